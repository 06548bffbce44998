//! Roles of an organization, or of the instance.

mod change;
mod define;
mod list;
mod retire;
mod rows;
mod show;

use super::Context;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the roles that can be held, and how many hold each
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Show a role, and which tokens hold it
    #[command(visible_alias = "describe")]
    Show(show::Args),
    /// Define a role
    #[command(visible_alias = "create", alias = "new")]
    Define(define::Args),
    /// Change what a role may do, at once for all that hold it
    #[command(visible_alias = "update", alias = "edit")]
    Change(change::Args),
    /// End a role
    #[command(visible_alias = "delete", alias = "rm")]
    Retire(retire::Args),
}

/// Whose roles are meant.
#[derive(Debug, clap::Args)]
struct Owner {
    /// The roles of the whole instance
    #[arg(long)]
    instance: bool,
}

impl Owner {
    /// Refuses what does not go together, before anything is asked of anybody.
    fn check(&self, context: &Context) -> Result<(), Failure> {
        if self.instance && context.options.org.as_ref().is_some_and(|org| !org.is_empty()) {
            return Err(Failure::Usage("--instance cannot be combined with --org".to_owned()));
        }
        Ok(())
    }

    /// The organization; none is the instance.
    async fn organization(&self, context: &Context, client: &Client) -> Result<Option<String>, Failure> {
        if self.instance { Ok(None) } else { context.organization(client).await.map(Some) }
    }
}

/// Where the roles of an organization or the instance are, or one of them.
fn path<'a>(organization: Option<&'a str>, role: Option<&'a str>) -> Vec<&'a str> {
    let of = organization.map_or_else(Vec::new, |organization| vec!["organizations", organization]);
    ["v1"].into_iter().chain(of).chain(["roles"]).chain(role).collect()
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, &args).await,
        Command::Define(args) => define::run(context, args).await,
        Command::Change(args) => change::run(context, args).await,
        Command::Retire(args) => retire::run(context, args).await,
    }?;
    Ok(Exit::Success)
}
