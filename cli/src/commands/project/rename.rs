use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Project, Rename};
use reqwest::Method;

/// Give a project another name or display name
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery project rename web site --org acme
  chancery project rename web --org acme --display-name 'The web site'")]
pub(crate) struct Args {
    /// Its name or id
    #[arg(value_name = "NAME", value_parser = not_a_secret)]
    name: String,
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
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "projects", &args.name];
    let body = Rename { name: args.new_name, display_name: args.display_name };
    let answer = client.change::<Project>(Method::PATCH, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
