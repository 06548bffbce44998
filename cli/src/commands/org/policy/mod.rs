//! What an organization's tokens may be at most.

mod set;
mod show;

use crate::commands::Context;
use crate::failure::Failure;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the policy, and what it hits today
    #[command(visible_alias = "describe")]
    Show(show::Args),
    /// Change the policy, or see what a change would hit
    #[command(visible_alias = "update")]
    Set(set::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Show(args) => show::run(context, args).await,
        Command::Set(args) => set::run(context, args).await,
    }
}
