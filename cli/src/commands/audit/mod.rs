//! The record.

mod export;
mod folder;
mod report;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the log, or an organization's part of it, to files
    Export(export::Args),
    /// Write a review of who may do what in an organization
    Report(report::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Export(args) => export::run(context, &args).await?,
        Command::Report(args) => report::run(context, &args).await?,
    }
    Ok(Exit::Success)
}
