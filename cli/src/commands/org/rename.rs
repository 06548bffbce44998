use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Organization, Rename};
use reqwest::Method;

/// Give an organization another name or display name
///
/// The name before stays reserved for the organization for 90 days.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org rename acme acme-labs
  chancery org rename acme --display-name 'Acme Labs'")]
pub(crate) struct Args {
    /// Its name or id
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: String,
    /// The new name
    #[arg(value_parser = not_a_secret, required_unless_present = "display_name")]
    new_name: Option<String>,
    /// What people read; empty removes it
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let body = Rename { name: args.new_name, display_name: args.display_name };
    let path = ["v1", "organizations", &args.organization];
    let client = context.client()?;
    let answer = client.change::<Organization>(Method::PATCH, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
