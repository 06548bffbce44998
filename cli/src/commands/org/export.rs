use super::current::Current;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use crate::output;

/// Print an organization as a file that can be reviewed, kept and applied
///
/// TOML, whatever --output says: its display name, policy, own roles, members and projects. Who has an open invitation
/// stands among the members. What you may not read is left out, and said.
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
    let current = Current::read(&client, &name).await?;
    for (section, permission, is_there) in [
        ("policy", "policies:read", current.policy.is_some()),
        ("members", "members:read", current.people.is_some()),
    ] {
        if !is_there {
            context.output.remark(&format!("{section} is left out: reading it needs {permission}"));
        }
    }
    output::print(&current.file().text())
}
