//! Organizations.

mod apply;
mod create;
mod current;
mod delete;
mod export;
mod file;
mod list;
mod plan;
mod policy;
mod rename;
mod restore;
mod show;
mod suspend;
mod sweep;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an organization
    #[command(visible_alias = "new")]
    Create(create::Args),
    /// List the organizations that you may read
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Show an organization, and how much is in it
    #[command(visible_alias = "describe")]
    Show(show::Args),
    /// Give an organization another name or display name
    #[command(visible_alias = "update")]
    Rename(rename::Args),
    /// Refuse all tokens of an organization until it is restored
    Suspend(suspend::Args),
    /// Accept the tokens of a suspended organization again
    Restore(restore::Args),
    /// Delete an organization for good, with everything in it
    #[command(visible_alias = "rm")]
    Delete(delete::Args),
    /// Print an organization as a file that can be reviewed, kept and applied
    Export(export::Args),
    /// Make an organization what a file says
    Apply(apply::Args),
    /// What its tokens may be at most
    #[command(subcommand)]
    Policy(policy::Command),
    /// Revoke the tokens that went unused for longer than the policy allows
    Sweep(sweep::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Create(args) => create::run(context, args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::Rename(args) => rename::run(context, args).await,
        Command::Suspend(args) => suspend::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Delete(args) => delete::run(context, args).await,
        Command::Export(args) => export::run(context, args).await,
        Command::Apply(args) => apply::run(context, args).await,
        Command::Policy(command) => policy::run(context, command).await,
        Command::Sweep(args) => sweep::run(context, args).await,
    }?;
    Ok(Exit::Success)
}
