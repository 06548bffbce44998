use super::revoke_where::{self, Wanted, Where};
use super::select::{self, Among};
use crate::client::{Answer, Client};
use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::{Exit, Failure};
use crate::output;
use api::wire::{Revoke, Token};
use clap::builder::PossibleValuesParser;
use reqwest::Method;

/// End tokens, at once and for good
///
/// On a terminal the tokens are named and have to be confirmed. Where nobody can be asked, --force is needed. One that
/// cannot be revoked does not keep the others from it; the exit code tells whether all were.
///
/// With --where, all live tokens of an organization, or of a project of it, that every --where is true of: they are shown
/// and counted first, and revoked by one event if there are still as many.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token revoke ci --org acme
  chancery token revoke ID ID ID --force --reason leaked --note 'seen in a build log'
  chancery token list --org acme --output id | xargs chancery token revoke --force
  chancery token revoke --org acme --where created-by=org-token:chyo_4fT9aQ1 --dry-run
  chancery token revoke --org acme --where person=ada@example.org --dry-run
  chancery token revoke --org acme --where role=admin --where created-from=2027-01-31T00:00:00Z --force --expect 17")]
pub(crate) struct Args {
    /// Their ids, names, or how their secrets begin (at most 12 characters)
    #[arg(required_unless_present = "filter", conflicts_with = "filter", value_name = "TOKEN", value_parser = not_a_secret)]
    tokens: Vec<String>,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
    /// Why; requested when absent
    #[arg(long, value_parser = PossibleValuesParser::new(["requested", "leaked"]))]
    reason: Option<String>,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// With everything that they minted
    #[arg(long, conflicts_with = "filter")]
    cascade: bool,
    /// All that this is true of: created-by=ACTOR|ID, person=USER|MAIL, created-from=TIME, created-before=TIME, role=ROLE; scope=instance
    /// for the instance's own. Several have to be true together
    #[arg(id = "filter", long = "where", value_name = "KEY=VALUE")]
    filter: Vec<Where>,
    /// With --where: only if they are so many
    #[arg(long, value_name = "COUNT", requires = "filter")]
    expect: Option<u64>,
    /// With --where: only show which they are
    #[arg(long, requires = "filter")]
    dry_run: bool,
}

/// What has become of the tokens so far.
#[derive(Default)]
struct Tally {
    /// The exit code of each failure.
    failures: Vec<Exit>,
    asked: usize,
}

impl Tally {
    /// The value, or the failure on standard error; a prompt that was left ends everything.
    fn keep<T>(&mut self, text: &str, result: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(end @ (Failure::Cancelled | Failure::ReaderGone)) => Err(end),
            Err(failure) => {
                self.failures.push(failure.exit());
                let failure = if self.asked > 1 { failure.about(text) } else { failure };
                failure.report();
                Ok(None)
            }
        }
    }

    /// What all failures agree on, or only that something failed.
    fn exit(&self) -> Exit {
        match self.failures.split_first() {
            None => Exit::Success,
            Some((first, rest)) if rest.iter().all(|other| other == first) => *first,
            Some(_) => Exit::Failed,
        }
    }
}

pub(super) async fn run(context: &Context, mut args: Args) -> Result<Exit, Failure> {
    if !args.filter.is_empty() {
        let Args { force, expect, dry_run, reason, note, .. } = args;
        let wanted = Wanted { force, expect, dry_run, reason, note };
        return revoke_where::run(context, &args.filter, wanted).await;
    }
    if !args.force && !context.interactive {
        return Err(Failure::Usage(
            "nobody is there to confirm the revocation; give --force (-f) to revoke without being asked"
                .to_owned(),
        ));
    }
    let client = context.client()?;
    let mut tally = Tally { asked: args.tokens.len(), ..Tally::default() };
    let ids = if args.force {
        resolve(context, &client, &mut tally, &args.tokens).await?
    } else {
        confirm(context, &client, &mut tally, &args).await?
    };
    let body = Revoke { reason: args.reason.take(), note: args.note.take(), cascade: args.cascade };
    let mut revoked: Vec<Answer<Token>> = Vec::new();
    for id in ids {
        let path = ["v1", "tokens", &id, "revoke"];
        let result = client.change(Method::POST, &path, &body, None).await;
        revoked.extend(tally.keep(&id, result)?);
    }
    if !revoked.is_empty() || tally.failures.is_empty() {
        context.output.list(&revoked)?;
    }
    Ok(tally.exit())
}

/// The ids of all that can be found, each once.
async fn resolve(
    context: &Context,
    client: &Client,
    tally: &mut Tally,
    tokens: &[String],
) -> Result<Vec<String>, Failure> {
    let mut ids: Vec<String> = Vec::new();
    for text in tokens {
        let found = select::id(context, client, text, Among::Live).await;
        ids.extend(tally.keep(text, found)?.filter(|id| !ids.contains(id)));
    }
    Ok(ids)
}

/// The ids of all that can be found, once somebody has seen what they are.
async fn confirm(
    context: &Context,
    client: &Client,
    tally: &mut Tally,
    args: &Args,
) -> Result<Vec<String>, Failure> {
    let mut found: Vec<Token> = Vec::new();
    for text in &args.tokens {
        let token = select::token(context, client, text, Among::Live).await.map(|answer| answer.value);
        found.extend(tally.keep(text, token)?.filter(|token| found.iter().all(|other| other.id != token.id)));
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    for token in &found {
        output::ask(&format!("  {}", select::label(token)));
    }
    let what =
        if found.len() == 1 { "this token".to_owned() } else { format!("these {} tokens", found.len()) };
    let with = if args.cascade { " and everything minted with it" } else { "" };
    if !prompt::confirm(&format!("Revoke {what}{with} for good?"))? {
        return Err(Failure::Cancelled);
    }
    Ok(found.iter().map(|token| token.id.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_the_truth() {
        let exit = |failures: &[Exit]| Tally { failures: failures.to_vec(), asked: 3 }.exit();
        assert_eq!(exit(&[]), Exit::Success);
        assert_eq!(exit(&[Exit::NotFound]), Exit::NotFound);
        assert_eq!(exit(&[Exit::NotFound, Exit::NotFound]), Exit::NotFound);
        assert_eq!(exit(&[Exit::NotFound, Exit::Denied]), Exit::Failed);
    }
}
