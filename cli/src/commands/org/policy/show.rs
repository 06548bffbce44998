use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::OrganizationPolicy;

/// Show the policy, and what it hits today
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery org policy show acme")]
pub(crate) struct Args {
    /// The organization's name or id; that of --org when absent
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = match args.organization {
        Some(organization) => organization,
        None => context.organization(&client).await?,
    };
    let path = ["v1", "organizations", &organization, "policy"];
    context.output.details(&client.get::<OrganizationPolicy>(&path, &[]).await?)
}
