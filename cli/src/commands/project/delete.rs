use crate::commands::{Context, ends, not_a_secret};
use crate::failure::Failure;
use api::wire::Project;

/// Delete a project for good, with its tokens and the roles that others hold at it
///
/// On a terminal it is shown what ends, and the name has to be typed. Where nobody can be asked, --confirm gives it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery project delete web --org acme
  chancery project delete web --org acme --dry-run
  chancery project delete web --org acme --confirm web --note 'moved to the shop'")]
pub(crate) struct Args {
    /// Its name or id
    #[arg(value_name = "NAME", value_parser = not_a_secret)]
    name: String,
    #[command(flatten)]
    deletion: ends::Deletion,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "projects", &args.name];
    ends::delete::<Project>(context, &client, &path, "project", args.deletion).await
}
