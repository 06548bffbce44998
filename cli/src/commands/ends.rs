//! What an organization's or a project's end takes with it, shown before it is asked for.

use super::{Context, prompt};
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::output::rows::Row;
use crate::output::{self, Format, table};
use api::wire::{Contents, Delete};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How a deletion is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Deletion {
    /// Its name once more, where nobody can be asked to type it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Why, in your words
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    note: Option<String>,
    /// Delete nothing, only count what would end
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

/// Deletes what is at `path`, once its name has been given.
pub(super) async fn delete<T: Row + DeserializeOwned>(
    context: &Context,
    client: &Client,
    path: &[&str],
    kind: &str,
    deletion: Deletion,
) -> Result<(), Failure> {
    if deletion.dry_run {
        let counted = count(client, path).await?;
        return match context.output.format() {
            Format::Json => context.output.json(counted.json.get()),
            Format::Table | Format::Id | Format::Secret => {
                output::print(&table::pairs(&pairs(&counted.value)))
            }
        };
    }
    let confirm = match deletion.confirm {
        Some(name) => name,
        None if context.interactive => {
            output::ask(&what_ends(client, path, kind).await?);
            prompt::text(&format!("Type the name of the {kind} to delete it for good:"))?
        }
        None => {
            return Err(Failure::Usage(format!(
                "nobody is there to confirm the deletion; give the name of the {kind} again with --confirm"
            )));
        }
    };
    let body = Delete { confirm, note: deletion.note };
    let answer = client.change::<T>(Method::DELETE, path, &body, deletion.if_revision).await?;
    context.output.row(&answer)
}

/// Counts what is in an organization or a project.
async fn count(client: &Client, path: &[&str]) -> Result<Answer<Contents>, Failure> {
    client.get(&[path, &["contents"]].concat(), &[]).await
}

/// The same, if the caller may.
pub(super) async fn count_if_allowed(
    client: &Client,
    path: &[&str],
) -> Result<Option<Answer<Contents>>, Failure> {
    match count(client, path).await {
        Ok(counted) => Ok(Some(counted)),
        Err(Failure::Problem(refusal)) if refusal.problem.status == 403 => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What ends, or is refused from then on, with an organization or a project: for people.
pub(super) async fn what_ends(client: &Client, path: &[&str], kind: &str) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
        display_name: Option<String>,
    }
    let Named { name, display_name } = client.get::<Named>(path, &[]).await?.value;
    let counted = count_if_allowed(client, path).await?;
    let display_name = display_name.map(|text| format!(" ({text})")).unwrap_or_default();
    let counted = counted.map_or_else(
        || "how much is in it is not for this token to count".to_owned(),
        |counted| in_words(&counted.value),
    );
    Ok(format!("The {kind} {name}{display_name}: {counted}."))
}

fn in_words(contents: &Contents) -> String {
    let number = |count: u64, one: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    };
    let mut parts: Vec<String> =
        contents.projects.map(|count| number(count, "project")).into_iter().collect();
    parts.push(number(contents.tokens.live, "live token"));
    parts.extend(contents.holders.map(|count| format!("roles at it of {}", number(count, "other token"))));
    parts.extend(contents.members.map(|count| number(count, "member")));
    parts.extend(contents.invitations.map(|count| number(count, "open invitation")));
    parts.join(", ")
}

/// Counts as lines of what is told of one thing.
pub(super) fn pairs(contents: &Contents) -> Vec<(&'static str, String)> {
    let text = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    vec![
        ("PROJECTS", text(contents.projects)),
        ("LIVE TOKENS", contents.tokens.live.to_string()),
        ("EXPIRED TOKENS", contents.tokens.expired.to_string()),
        ("REVOKED TOKENS", contents.tokens.revoked.to_string()),
        ("HOLDERS", text(contents.holders)),
        ("MEMBERS", text(contents.members)),
        ("INVITATIONS", text(contents.invitations)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::wire::TokenCounts;

    #[test]
    fn what_ends_is_said_in_words() {
        let tokens = TokenCounts { live: 12, expired: 3, revoked: 1 };
        let (members, invitations) = (Some(1), Some(0));
        let of_organization = Contents { projects: Some(1), tokens, holders: None, members, invitations };
        let words = "1 project, 12 live tokens, 1 member, 0 open invitations";
        assert_eq!(in_words(&of_organization), words);
        let of_project = Contents {
            projects: None,
            holders: Some(2),
            members: None,
            invitations: None,
            ..of_organization
        };
        assert_eq!(in_words(&of_project), "12 live tokens, roles at it of 2 other tokens");
        insta::assert_snapshot!(table::pairs(&pairs(&of_project)), @r"
        LIVE TOKENS     12
        EXPIRED TOKENS  3
        REVOKED TOKENS  1
        HOLDERS         2
        ");
    }
}
