//! Secrets that were seen where they should not be.

mod list;
mod report;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Report that a secret was seen where it should not be
    Report(report::Args),
    /// List the leaks that were reported
    #[command(visible_alias = "ls")]
    List(list::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Report(args) => report::run(context, args).await?,
        Command::List(args) => list::run(context, &args).await?,
    }
    Ok(Exit::Success)
}
