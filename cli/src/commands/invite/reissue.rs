use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Invitation, ReissueInvitation};
use reqwest::Method;

/// Give an invitation another text
///
/// For a text that was lost or has expired, or that nobody was told. The one before is no longer accepted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery invite reissue ID --org acme --expires 2d")]
pub(crate) struct Args {
    /// Its id
    #[arg(value_name = "ID", value_parser = not_a_secret)]
    id: String,
    /// How long it can be accepted from now on; 7d when absent
    #[arg(long, value_name = "DURATION", visible_alias = "expiration")]
    expires: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "invitations", &args.id, "reissue"];
    let body = ReissueInvitation { expires_in: args.expires };
    let answer = client.change::<Invitation>(Method::POST, &path, &body, None).await?;
    super::given(context, &answer)
}
