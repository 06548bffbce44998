use crate::commands::{Context, ends, not_a_secret};
use crate::failure::Failure;
use crate::output::rows::Row as _;
use crate::output::{self, Format, table, times};
use api::wire::Organization;

/// Show an organization, and how much is in it
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
    let Some(contents) = ends::count_if_allowed(&client, &path).await? else {
        return context.output.details(&organization);
    };
    match context.output.format() {
        Format::Table => {
            let mut details = organization.value.details(times::now());
            details.extend(ends::pairs(&contents.value));
            output::print(&table::pairs(&details))
        }
        Format::Json => context.output.json(&with_contents(organization.json.get(), contents.json.get())),
        Format::Id | Format::Secret => context.output.details(&organization),
    }
}

/// The organization's JSON as it came, with a last key.
fn with_contents(organization: &str, contents: &str) -> String {
    let open = organization.trim_end().strip_suffix('}').unwrap_or(organization);
    format!("{open},\"contents\":{contents}}}")
}
