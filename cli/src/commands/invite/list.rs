use crate::commands::Context;
use crate::failure::Failure;
use api::wire::Invitation;

/// List the invitations of an organization that you may read, the oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery invite list --org acme
  chancery invite list --org acme --all")]
pub(crate) struct Args {
    /// Those as well that were accepted or withdrawn, or have expired
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    context.output.without_secret()?;
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "invitations"];
    let mut found = client.list::<Invitation>(&path, &[], None).await?;
    found.retain(|one| args.all || one.value.status == "open");
    context.output.list(&found)
}
