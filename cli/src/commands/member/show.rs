use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::Memberships;

/// Show a member: its roles, and the tokens it answers for
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery member show ada@example.org --org acme")]
pub(crate) struct Args {
    /// The person's id or mail address
    #[arg(value_name = "USER", value_parser = not_a_secret)]
    user: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let user = super::id(&client, &organization, &args.user).await?;
    let path = ["v1", "organizations", &organization, "members", &user];
    context.output.details(&client.get::<Memberships>(&path, &[]).await?)
}
