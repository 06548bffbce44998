use super::filter::Filter;
use crate::client::{Answer, Client, Event};
use crate::commands::Context;
use crate::failure::Failure;
use api::wire::{AuditEvent, Problem};
use std::time::Duration;

/// Between two attempts to connect again.
const PAUSE: Duration = Duration::from_secs(1);
/// Attempts in a row that came to nothing before it is given up.
const ATTEMPTS: u32 = 30;

/// Follow events as they happen
///
/// A line for each, or with --json its JSON. After a lost connection it goes on where it was: nothing is left out and
/// nothing comes twice. It ends when your token does.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit tail --org acme
  chancery audit tail --type TokenRevoked,LeakReported --json
  chancery audit tail --uses --from-position 0 --until-position 1000")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Uses of tokens as well
    #[arg(long)]
    uses: bool,
    /// Begin with this position; with what happens next when absent
    #[arg(long, value_name = "POSITION")]
    from_position: Option<u64>,
    /// End before this position
    #[arg(long, value_name = "POSITION")]
    until_position: Option<u64>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let mut query = args.filter.query(context);
    query.extend(args.uses.then(|| ("uses", "true".to_owned())));
    query.extend(args.from_position.map(|position| ("from_position", position.to_string())));
    query.extend(args.until_position.map(|position| ("until_position", position.to_string())));
    let (mut last, mut attempts) = (None, 0);
    loop {
        let failure = match follow(context, &client, &query, &mut last, &mut attempts).await {
            // With an end that was named, the server comes to it.
            Ok(()) if args.until_position.is_some() || args.filter.has_end() => return Ok(()),
            Ok(()) => None,
            Err(failure) if is_passing(&failure) => Some(failure),
            Err(failure) => return Err(failure),
        };
        attempts += 1;
        if attempts > ATTEMPTS {
            let text = "the stream ends again and again without an event".to_owned();
            return Err(failure.unwrap_or(Failure::Unavailable(text)));
        }
        if attempts == 1 {
            context.output.hint("The connection was lost; connecting again …");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the same stream may be had a moment later.
fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Unavailable(_) => true,
        Failure::Problem(refusal) => matches!(refusal.problem.status, 429 | 503),
        _ => false,
    }
}

/// Prints what one connection brings.
async fn follow(
    context: &Context,
    client: &Client,
    query: &[(&str, String)],
    last: &mut Option<u64>,
    attempts: &mut u32,
) -> Result<(), Failure> {
    let mut events = client.stream(&["v1", "audit", "stream"], query, *last).await?;
    while let Some(event) = events.next().await {
        *last = event.id.or(*last);
        if event.kind == "end" {
            return end(&event);
        }
        *attempts = 0;
        if !event.data.is_empty() {
            print(context, &event)?;
        }
    }
    Ok(())
}

fn print(context: &Context, event: &Event) -> Result<(), Failure> {
    let strange =
        |error: serde_json::Error| Failure::Other(format!("an event of another shape came: {error}"));
    let value: AuditEvent = serde_json::from_str(&event.data).map_err(strange)?;
    let json = serde_json::from_str(&event.data).map_err(strange)?;
    context.output.followed(&Answer { value, json })
}

/// What ends a stream: what passes by, after which it goes on, or what has to be seen to.
fn end(event: &Event) -> Result<(), Failure> {
    let problem: Problem = serde_json::from_str(&event.data).unwrap_or_default();
    let detail = problem.detail.as_deref().unwrap_or(&problem.title);
    match problem.code.as_str() {
        "too_slow" | "unavailable" => Ok(()),
        code => Err(Failure::Other(format!("the stream was ended: {detail} ({code})"))),
    }
}
