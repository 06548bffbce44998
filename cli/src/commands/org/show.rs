use crate::commands::{Context, ends, not_a_secret};
use crate::failure::Failure;
use crate::output::rows::Row as _;
use crate::output::{self, Format, table, times};
use api::wire::{Organization, OrganizationPolicy};

/// Show an organization, how much is in it, and its policy, as far as you may read them
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
    let path = ["v1", "organizations", &name];
    let organization = client.get::<Organization>(&path, &[]).await?;
    // Who may not read its tokens is not told how many there are, and all the rest.
    let contents = ends::count_if_allowed(&client, &path).await?;
    match context.output.format() {
        Format::Table => {
            let mut details = organization.value.details(times::now());
            details.extend(contents.iter().flat_map(|contents| ends::pairs(&contents.value)));
            output::print(&table::pairs(&details))?;
        }
        Format::Json => {
            return match contents {
                Some(contents) => {
                    context.output.json(&with_contents(organization.json.get(), contents.json.get()))
                }
                None => context.output.details(&organization),
            };
        }
        Format::Id | Format::Secret => return context.output.details(&organization),
    }
    // The policy has a permission of its own; without it the rest is still worth showing.
    match client.get::<OrganizationPolicy>(&["v1", "organizations", &name, "policy"], &[]).await {
        Ok(policy) => context.output.details(&policy),
        Err(Failure::Problem(refusal)) if refusal.problem.status == 403 => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// The organization's JSON as it came, with a last key.
fn with_contents(organization: &str, contents: &str) -> String {
    let open = organization.trim_end().strip_suffix('}').unwrap_or(organization);
    format!("{open},\"contents\":{contents}}}")
}
