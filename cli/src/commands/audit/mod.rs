//! The record.

mod export;
mod folder;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the log, or an organization's part of it, to files
    Export(export::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Export(args) => export::run(context, &args).await?,
    }
    Ok(Exit::Success)
}
