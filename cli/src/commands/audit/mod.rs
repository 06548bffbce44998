//! The record.

mod as_of;
mod diff;
mod events;
mod export;
mod filter;
mod folder;
mod rebuild;
mod replay;
mod report;
mod tail;
mod views;
mod who_could;

use super::Context;
use crate::failure::{Exit, Failure};
use api::wire;
use clap::Subcommand;
use std::convert::Infallible;
use std::str::FromStr;

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
    /// List what there was at a moment
    AsOf(as_of::Args),
    /// Compare two moments: who gained and who lost what
    Diff(diff::Args),
    /// Find who could do something at a moment
    WhoCould(who_could::Args),
    /// Fold the log anew and decide every recorded use again
    Replay(replay::Args),
    /// Write the log, or an organization's part of it, to files
    Export(export::Args),
    /// Write a review of who may do what in an organization
    Report(report::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Events(args) => events::run(context, &args).await?,
        Command::Tail(args) => tail::run(context, &args).await?,
        Command::Views => views::run(context).await?,
        Command::Rebuild => rebuild::run(context).await?,
        Command::AsOf(args) => as_of::run(context, args).await?,
        Command::Diff(args) => diff::run(context, args).await?,
        Command::WhoCould(args) => who_could::run(context, args).await?,
        Command::Export(args) => export::run(context, &args).await?,
        Command::Report(args) => report::run(context, &args).await?,
        Command::Replay(args) => return replay::run(context, args).await,
    }
    Ok(Exit::Success)
}

/// A moment as it is typed: a time, `position:<lines>` or `version:<events>`. The server judges it.
#[derive(Clone, Debug)]
struct Moment(String);

impl FromStr for Moment {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl Moment {
    fn into_query(self) -> (&'static str, String) {
        if let Some(position) = self.0.strip_prefix("position:") {
            ("position", position.to_owned())
        } else if let Some(version) = self.0.strip_prefix("version:") {
            ("version", version.to_owned())
        } else {
            ("time", self.0)
        }
    }
}

/// The scope that was named, if one was.
fn scope_query(context: &Context) -> Vec<(&'static str, String)> {
    let organization = context.options.organization().map(|organization| ("organization", organization));
    let project = context.options.project().map(|project| ("project", project));
    organization.into_iter().chain(project).collect()
}

/// The moment that an answer is of.
fn heading(moment: &wire::Moment) -> String {
    format!("As of {}, version {}\n", moment.time, moment.version)
}
