use super::Owner;
use crate::commands::Context;
use crate::failure::Failure;
use api::wire::Role;

/// List the roles that can be held in an organization, or the instance's, by name, and how many live tokens hold each
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery role list --org acme
  chancery role list --instance")]
pub(crate) struct Args {
    #[command(flatten)]
    owner: Owner,
    /// At most so many; all when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    args.owner.check(context)?;
    let client = context.client()?;
    let organization = args.owner.organization(context, &client).await?;
    let path = super::path(organization.as_deref(), None);
    context.output.list(&client.list::<Role>(&path, &[], args.limit).await?)
}
