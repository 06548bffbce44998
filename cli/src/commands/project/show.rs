use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::Project;

/// Show a project
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery project show web --org acme")]
pub(crate) struct Args {
    /// Its name or id; that of --project when absent
    #[arg(value_name = "NAME", value_parser = not_a_secret)]
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let name = args.name.or_else(|| context.options.project()).ok_or_else(|| {
        Failure::Usage(
            "no project is named; give its name, --project (-p), or set CHANCERY_PROJECT".to_owned(),
        )
    })?;
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let path = ["v1", "organizations", &organization, "projects", &name];
    context.output.details(&client.get::<Project>(&path, &[]).await?)
}
