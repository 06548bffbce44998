//! The record.

mod replay;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fold the log anew and decide every recorded use again
    Replay(replay::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Replay(args) => replay::run(context, args).await,
    }
}
