use crate::commands::{Context, count};
use crate::failure::Failure;
use api::wire::Leak;

/// List the leaks that were reported
///
/// The newest first, of tokens where you have `leaks:read`. A token that was reported by a hash alone is flagged and
/// still in force: revoke it, or find out who has read the log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// At most so many
    #[arg(long, value_parser = count, value_name = "COUNT")]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let found = client.list::<Leak>(&["v1", "leaks"], &[], args.limit).await?;
    context.output.list(&found)
}
