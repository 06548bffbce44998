//! Revoking all tokens that a filter chooses: first what they are, then by their count.

use crate::client::{Answer, Client};
use crate::commands::{Context, member, not_a_secret, prompt};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, table};
use api::wire::{RevokeTokens, RevokedTokens, Scope, TokenFilter};
use domain::time::Timestamp;
use reqwest::Method;
use std::str::FromStr;

/// The path of the API.
const PATH: [&str; 3] = ["v1", "tokens", "revoke"];

/// One part of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// The tokens of the instance itself, rather than an organization's.
    Instance,
    CreatedBy(String),
    /// An id or, of a member, the mail address.
    Person(String),
    CreatedFrom(String),
    CreatedBefore(String),
    Role(String),
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = |time: &str| {
            let known = Timestamp::parse(time).map(|_| time.to_owned());
            known.ok_or_else(|| "a time such as 2027-01-31T12:00:00Z (RFC 3339) is needed".to_owned())
        };
        match text.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("scope", "instance")) => Ok(Self::Instance),
            Some(("created-by", value)) if !value.is_empty() => not_a_secret(value).map(Self::CreatedBy),
            Some(("person", value)) if !value.is_empty() => not_a_secret(value).map(Self::Person),
            Some(("created-from", value)) => time(value).map(Self::CreatedFrom),
            Some(("created-before", value)) => time(value).map(Self::CreatedBefore),
            Some(("role", value)) if !value.is_empty() => Ok(Self::Role(value.to_owned())),
            _ => Err("created-by=ACTOR, person=USER, created-from=TIME, created-before=TIME, role=ROLE or scope=instance is needed"
                .to_owned()),
        }
    }
}

/// What is asked for besides the filter.
pub(super) struct Wanted {
    pub(super) force: bool,
    pub(super) expect: Option<u64>,
    pub(super) dry_run: bool,
    pub(super) reason: Option<String>,
    pub(super) note: Option<String>,
}

pub(super) async fn run(context: &Context, parts: &[Where], wanted: Wanted) -> Result<Exit, Failure> {
    if !wanted.dry_run && !context.interactive && wanted.expect.is_none() {
        return Err(Failure::Usage(
            "nobody is there to confirm the revocation; give --expect COUNT with the count of a --dry-run"
                .to_owned(),
        ));
    }
    let client = context.client()?;
    let filter = filter(context, &client, parts).await?;
    let mut body = RevokeTokens {
        filter,
        expected_count: None,
        reason: wanted.reason,
        note: wanted.note,
        dry_run: true,
    };
    if wanted.dry_run {
        return preview(context, &client, &body).await;
    }
    body.expected_count = match wanted.expect {
        Some(count) if wanted.force || !context.interactive => Some(count),
        _ => Some(confirm(&client, &body, wanted.expect).await?),
    };
    body.dry_run = false;
    let done: Answer<RevokedTokens> = client.change(Method::POST, &PATH, &body, None).await?;
    match context.output.format() {
        Format::Json => context.output.json(done.json.get())?,
        Format::Id => {}
        Format::Table | Format::Secret => {
            output::print(&table::pairs(&[("REVOKED", done.value.count.to_string())]))?;
        }
    }
    Ok(Exit::Success)
}

async fn filter(context: &Context, client: &Client, parts: &[Where]) -> Result<TokenFilter, Failure> {
    let scope = if parts.contains(&Where::Instance) {
        if context.options.org.is_some() || context.options.project.is_some() {
            let text = "--where scope=instance cannot be combined with --org or --project";
            return Err(Failure::Usage(text.to_owned()));
        }
        Scope { instance: Some(true), ..Scope::default() }
    } else {
        let organization = Some(context.organization(client).await?);
        Scope { organization, project: context.options.project(), instance: None }
    };
    let mut filter = TokenFilter { scope, ..TokenFilter::default() };
    for part in parts {
        let person;
        let (field, value) = match part {
            Where::Instance => continue,
            Where::CreatedBy(value) => (&mut filter.created_by, value),
            Where::Person(text) => {
                person = match &filter.scope.organization {
                    Some(organization) => member::id(client, organization, text).await?,
                    None => text.clone(),
                };
                (&mut filter.person, &person)
            }
            Where::CreatedFrom(value) => (&mut filter.created_from, value),
            Where::CreatedBefore(value) => (&mut filter.created_before, value),
            Where::Role(value) => (&mut filter.role, value),
        };
        if field.replace(value.clone()).is_some() {
            let text = "--where states the same thing twice; all of its parts have to be true of a token";
            return Err(Failure::Usage(text.to_owned()));
        }
    }
    Ok(filter)
}

async fn preview(context: &Context, client: &Client, body: &RevokeTokens) -> Result<Exit, Failure> {
    let found: Answer<RevokedTokens> = client.ask(&PATH, body).await?;
    match context.output.format() {
        Format::Json => context.output.json(found.json.get())?,
        Format::Id => {
            let ids: Vec<String> = found.value.tokens.iter().map(|token| token.id.to_string()).collect();
            output::print(&output::lines(&ids))?;
        }
        Format::Table | Format::Secret => {
            show(&found.value);
            output::print(&table::pairs(&[("WOULD REVOKE", found.value.count.to_string())]))?;
        }
    }
    Ok(Exit::Success)
}

/// The count, once somebody has seen what it stands for.
async fn confirm(client: &Client, body: &RevokeTokens, expect: Option<u64>) -> Result<u64, Failure> {
    let found: Answer<RevokedTokens> = client.ask(&PATH, body).await?;
    let count = found.value.count;
    if let Some(expect) = expect.filter(|expect| *expect != count) {
        return Err(Failure::Usage(format!("there are {count} such tokens, not {expect}")));
    }
    show(&found.value);
    if count > 0 && !prompt::confirm(&format!("Revoke these {count} tokens for good?"))? {
        return Err(Failure::Cancelled);
    }
    Ok(count)
}

fn show(found: &RevokedTokens) {
    for token in &found.tokens {
        output::ask(&format!("  {}", super::select::label(token)));
    }
    let more = found.count.saturating_sub(found.tokens.len() as u64);
    if more > 0 {
        output::ask(&format!("  and {more} more"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_filter_names_what_it_is_about() {
        assert_eq!("role=member".parse(), Ok(Where::Role("member".to_owned())));
        assert_eq!("scope=instance".parse(), Ok(Where::Instance));
        let time = "2027-01-31T12:00:00Z";
        assert_eq!(format!("created-from={time}").parse(), Ok(Where::CreatedFrom(time.to_owned())));
        for bad in ["", "role", "role=", "colour=red", "created-before=yesterday", "scope=galaxy"] {
            assert!(bad.parse::<Where>().is_err(), "{bad}");
        }
    }
}
