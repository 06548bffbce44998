use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use crate::output::Format;
use api::wire::{Organization, OrganizationPolicy};

/// Show an organization, with its policy where you may read that
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery org show acme")]
pub(crate) struct Args {
    /// Its name or id; that of --org when absent
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    name: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let name = match args.name {
        Some(name) => name,
        None => context.organization(&client).await?,
    };
    let found = client.get::<Organization>(&["v1", "organizations", &name], &[]).await?;
    context.output.details(&found)?;
    if context.output.format() != Format::Table {
        return Ok(());
    }
    // The policy has a permission of its own; without it the rest is still worth showing.
    match client.get::<OrganizationPolicy>(&["v1", "organizations", &name, "policy"], &[]).await {
        Ok(policy) => context.output.details(&policy),
        Err(Failure::Problem(refusal)) if refusal.problem.status == 403 => Ok(()),
        Err(failure) => Err(failure),
    }
}
