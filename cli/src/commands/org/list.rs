use crate::commands::Context;
use crate::failure::Failure;
use api::wire::Organization;

/// List the organizations that you may read, by name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery org list --output id")]
pub(crate) struct Args {
    /// At most so many; all when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let found = context.client()?.list::<Organization>(&["v1", "organizations"], &[], args.limit).await?;
    context.output.list(&found)
}
