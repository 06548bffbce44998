use super::{Moment, heading, scope_query};
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::table::{Tone, columns};
use crate::output::{Format, lines, print, rows};
use api::wire::{AccessChange, AccessDiff};

/// Compare two moments: who gained and who lost what
///
/// Members and tokens in --org and --project or, without them, in the token's own scope.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit diff --org acme --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z
  chancery audit diff --from version:4000 --json")]
pub(crate) struct Args {
    /// The moment before: a time, position:LINES or version:EVENTS
    #[arg(long, value_name = "MOMENT")]
    from: Moment,
    /// The moment after, said in the same way; now when absent
    #[arg(long, value_name = "MOMENT")]
    to: Option<Moment>,
    /// At most so many, up to 1,000
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let mut query = scope_query(context);
    query.push(("from", args.from.0));
    query.extend(args.to.map(|to| ("to", to.0)));
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    let answer = client.get::<AccessDiff>(&["v1", "audit", "diff"], &query).await?;
    let found = &answer.value;
    match context.output.format() {
        Format::Json => context.output.json(answer.json.get())?,
        Format::Id => print(&lines(&found.changes.iter().map(who).collect::<Vec<_>>()))?,
        Format::Table | Format::Secret => {
            let cells = found.changes.iter().map(cells).collect();
            let table = columns(&["WHO", "NAME", "SCOPE", "GAINED", "LOST"], cells, false);
            print(&format!("{}{}{table}", heading(&found.from), heading(&found.to)))?;
        }
    }
    if found.cut {
        context
            .output
            .remark("There are more than are shown; ask with a larger --limit, or for one project.");
    }
    Ok(())
}

fn who(change: &AccessChange) -> String {
    change.token.or(change.user).map(|id| id.to_string()).unwrap_or_default()
}

fn cells(change: &AccessChange) -> Vec<(String, Tone)> {
    let cells = [
        who(change),
        change.name.clone().unwrap_or_default(),
        rows::scope(&change.scope),
        change.gained.join(" "),
        change.lost.join(" "),
    ];
    cells.map(|cell| (cell, Tone::Plain)).to_vec()
}
