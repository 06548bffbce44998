use super::filter::Filter;
use crate::commands::{Context, count};
use crate::failure::Failure;
use api::wire::AuditEvent;

/// At most so many, unless told otherwise.
const USUAL: usize = 100;

/// List events
///
/// Lifecycle events, the newest first: of an organization (--org), of one of its projects (--project), or of all that
/// your token may audit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit events --org acme
  chancery audit events --org acme --type TokenMinted,TokenRevoked --from 2026-11-01T00:00:00Z --json
  chancery audit events --actor admin-token --oldest --limit 20")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// At most so many; 100 when absent
    #[arg(long, value_parser = count, value_name = "COUNT")]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let mut query = args.filter.query(context);
    if args.oldest {
        query.push(("order", "oldest".to_owned()));
    }
    let limit = args.limit.unwrap_or(USUAL);
    let found = client.list::<AuditEvent>(&["v1", "audit", "events"], &query, Some(limit)).await?;
    context.output.list(&found)
}
