use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Organization, Suspend};
use reqwest::Method;

/// Accept the tokens of a suspended organization again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery org restore acme --note 'settled'")]
pub(crate) struct Args {
    /// Its name or id
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: String,
    /// Why, in your words
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    note: Option<String>,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let path = ["v1", "organizations", &args.organization, "restore"];
    let body = Suspend { note: args.note };
    let client = context.client()?;
    let answer = client.change::<Organization>(Method::POST, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
