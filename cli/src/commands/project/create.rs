use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{NewProject, Project};
use reqwest::Method;

/// Create a project
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery project create web --org acme
  chancery project create web --org acme --display-name 'The web site'")]
pub(crate) struct Args {
    /// Its name, unique in its organization: 1 to 63 of a-z, 0-9 and inner hyphens
    #[arg(value_parser = not_a_secret)]
    name: String,
    /// What people read
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "projects"];
    let body = NewProject { name: args.name, display_name: args.display_name };
    let answer = client.change::<Project>(Method::POST, &path, &body, None).await?;
    context.output.row(&answer)?;
    let Project { name, organization, .. } = &answer.value;
    context.output.hint(&format!(
        "Next: chancery token mint --org {organization} --project {name} --name first --grant project-writer"
    ));
    Ok(())
}
