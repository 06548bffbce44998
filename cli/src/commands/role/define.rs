use super::Owner;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Level, NewRole, Role};
use clap::builder::PossibleValuesParser;
use reqwest::Method;

/// Define a role
///
/// You have to hold every permission that it is to have, in the whole organization, or on the instance.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery role define deployer --org acme --level project --permission deployments:create --permission projects:read
  chancery role define support --instance --level instance --permission 'tokens:*'")]
pub(crate) struct Args {
    #[command(flatten)]
    owner: Owner,
    /// Its name: 1 to 63 of a-z, 0-9 and inner hyphens
    #[arg(value_parser = not_a_secret)]
    name: String,
    /// Where it can be held
    #[arg(long, value_parser = PossibleValuesParser::new(["instance", "organization", "project"]))]
    level: String,
    /// What it may do: noun:verb, noun:* or *; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION", required = true)]
    permissions: Vec<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    args.owner.check(context)?;
    let client = context.client()?;
    let organization = args.owner.organization(context, &client).await?;
    let level = match args.level.as_str() {
        "instance" => Level::Instance,
        "organization" => Level::Organization,
        _ => Level::Project,
    };
    let body = NewRole { name: args.name, level, permissions: args.permissions };
    let path = super::path(organization.as_deref(), None);
    let answer = client.change::<Role>(Method::POST, &path, &body, None).await?;
    context.output.row(&answer)
}
