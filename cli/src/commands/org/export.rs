use super::file::{Described, Named, OrganizationFile};
use crate::client::Client;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use crate::output;
use api::wire::{Organization, Project};
use std::collections::BTreeMap;

/// Print an organization as a file that can be reviewed, kept and applied
///
/// TOML, whatever --output says: its display name and its projects.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery org export acme > acme.toml")]
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
    output::print(&Current::read(&client, &name).await?.file().text())
}

/// An organization and its projects as they are, with the revisions that a change of them can be made conditional on.
pub(super) struct Current {
    pub(super) organization: Organization,
    pub(super) projects: BTreeMap<String, Project>,
}

impl Current {
    pub(super) async fn read(client: &Client, organization: &str) -> Result<Self, Failure> {
        let path = ["v1", "organizations", organization];
        let organization = client.get::<Organization>(&path, &[]).await?.value;
        let id = organization.id.to_string();
        let projects = client.list::<Project>(&["v1", "organizations", &id, "projects"], &[], None).await?;
        let projects = projects.into_iter().map(|found| (found.value.name.clone(), found.value)).collect();
        Ok(Self { organization, projects })
    }

    pub(super) fn file(&self) -> OrganizationFile {
        let Organization { name, display_name, .. } = &self.organization;
        let named = Named { name: name.clone(), display_name: display_name.clone() };
        let described = |project: &Project| Described { display_name: project.display_name.clone() };
        let projects = self.projects.iter().map(|(name, project)| (name.clone(), described(project)));
        OrganizationFile::new(named, projects.collect())
    }
}
