use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{NewOrganization, Organization};
use reqwest::Method;

/// Create an organization
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org create acme
  chancery org create acme --display-name 'Acme Corporation'")]
pub(crate) struct Args {
    /// Its name: 1 to 63 of a-z, 0-9 and inner hyphens
    #[arg(value_parser = not_a_secret)]
    name: String,
    /// What people read
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let body = NewOrganization { name: args.name, display_name: args.display_name };
    let client = context.client()?;
    let answer = client.change::<Organization>(Method::POST, &["v1", "organizations"], &body, None).await?;
    context.output.row(&answer)?;
    let name = &answer.value.name;
    context.output.hint(&format!(
        "Next: chancery token mint --org {name} --name first --grant owner, or chancery project create NAME --org {name}"
    ));
    Ok(())
}
