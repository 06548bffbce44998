use crate::commands::{Context, ends, not_a_secret};
use crate::failure::Failure;
use api::wire::Organization;

/// Delete an organization for good, with its projects and all their tokens
///
/// On a terminal it is shown what ends, and the name has to be typed. Where nobody can be asked, --confirm gives it.
/// What is deleted stays readable by its id for the instance's auditors; the name stays reserved for 90 days.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org delete acme
  chancery org delete acme --dry-run
  chancery org delete acme --confirm acme --note 'contract ended'")]
pub(crate) struct Args {
    /// Its name or id
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: String,
    #[command(flatten)]
    deletion: ends::Deletion,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let path = ["v1", "organizations", &args.organization];
    ends::delete::<Organization>(context, &client, &path, "organization", args.deletion).await
}
