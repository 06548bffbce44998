//! Projects of an organization.

mod create;
mod delete;
mod list;
mod rename;
mod show;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a project
    #[command(visible_alias = "new")]
    Create(create::Args),
    /// List the projects of an organization
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Show a project
    #[command(visible_alias = "describe")]
    Show(show::Args),
    /// Give a project another name or display name
    #[command(visible_alias = "update")]
    Rename(rename::Args),
    /// Delete a project for good, with everything in it
    #[command(visible_alias = "rm")]
    Delete(delete::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Create(args) => create::run(context, args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Rename(args) => rename::run(context, args).await,
        Command::Delete(args) => delete::run(context, args).await,
    }?;
    Ok(Exit::Success)
}
