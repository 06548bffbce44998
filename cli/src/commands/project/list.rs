use crate::commands::Context;
use crate::failure::Failure;
use api::wire::Project;

/// List the projects of an organization that you may read, by name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery project list --org acme")]
pub(crate) struct Args {
    /// At most so many; all when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "projects"];
    context.output.list(&client.list::<Project>(&path, &[], args.limit).await?)
}
