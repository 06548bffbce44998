use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::Invitation;

/// Take an invitation back: it can no longer be accepted
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery invite withdraw ID --org acme")]
pub(crate) struct Args {
    /// Its id
    #[arg(value_name = "ID", value_parser = not_a_secret)]
    id: String,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    context.output.without_secret()?;
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "invitations", &args.id];
    let answer = client.end::<Invitation>(&path, &[], args.if_revision).await?;
    context.output.row(&answer)
}
