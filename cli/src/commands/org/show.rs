use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::Organization;

/// Show an organization
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery org show acme")]
pub(crate) struct Args {
    /// Its name or id; that of --org when absent
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let name = match args.name {
        Some(name) => name,
        None => context.organization(&client).await?,
    };
    context.output.details(&client.get::<Organization>(&["v1", "organizations", &name], &[]).await?)
}
