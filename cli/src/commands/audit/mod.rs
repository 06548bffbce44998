//! The record.

mod events;
mod filter;
mod rebuild;
mod tail;
mod views;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List events
    #[command(visible_alias = "ls")]
    Events(events::Args),
    /// Follow events as they happen
    #[command(visible_alias = "follow")]
    Tail(tail::Args),
    /// Show how far the views have come that events and uses are found by
    Views,
    /// Make these views anew from the log, beside those that are read
    Rebuild,
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Events(args) => events::run(context, &args).await?,
        Command::Tail(args) => tail::run(context, &args).await?,
        Command::Views => views::run(context).await?,
        Command::Rebuild => rebuild::run(context).await?,
    }
    Ok(Exit::Success)
}
