use super::as_of::table_of_members;
use super::{Moment, heading, scope_query};
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use crate::output::rows::Row;
use crate::output::table::columns;
use crate::output::{Format, lines, print, times};
use api::wire::{Token, WhoCould};

/// Find who could do something at a moment
///
/// The members and tokens that could do it at --org and --project or, without them, at the token's own scope.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit who-could deployments:create --org acme --project web
  chancery audit who-could tokens:mint --org acme --at 2026-11-01T00:00:00Z --json")]
pub(crate) struct Args {
    /// The permission
    #[arg(value_parser = not_a_secret)]
    permission: String,
    /// A time, position:LINES or version:EVENTS; now when absent
    #[arg(long, value_name = "MOMENT")]
    at: Option<Moment>,
    /// At most so many, up to 1,000
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let mut query = scope_query(context);
    query.push(("permission", args.permission));
    query.extend(args.at.map(Moment::into_query));
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    let answer = client.get::<WhoCould>(&["v1", "audit", "who-could"], &query).await?;
    let found = &answer.value;
    match context.output.format() {
        Format::Json => context.output.json(answer.json.get())?,
        Format::Id => {
            let members = found.members.iter().map(|member| member.user.to_string());
            print(&lines(&members.chain(found.tokens.iter().map(Row::id)).collect::<Vec<_>>()))?;
        }
        Format::Table | Format::Secret => {
            let cells = found.tokens.iter().map(|token| token.cells(times::now())).collect();
            let tokens = columns(Token::COLUMNS, cells, false);
            let members = table_of_members(&found.members);
            print(&format!("{}{members}\n{tokens}", heading(&found.moment)))?;
        }
    }
    if found.cut {
        context
            .output
            .remark("There are more than are shown; ask with a larger --limit, or for one project.");
    }
    Ok(())
}
