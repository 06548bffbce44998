use crate::commands::Context;
use crate::failure::Failure;
use api::wire::Member;

/// List the members of an organization and its projects that you may read
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery member list --org acme")]
pub(crate) struct Args {
    /// At most so many; all when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "members"];
    context.output.list(&client.list::<Member>(&path, &[], args.limit).await?)
}
