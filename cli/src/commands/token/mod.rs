//! Tokens, from their minting to their end.

pub(super) mod expires;
mod history;
mod identify;
mod import;
mod lineage;
mod list;
mod mint;
mod narrow;
mod particulars;
mod revoke;
mod revoke_where;
mod rotate;
pub(super) mod select;
mod show;
pub(super) mod subject;
mod update;
mod uses;
mod verify;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Mint a token
    #[command(visible_alias = "create", alias = "new")]
    Mint(mint::Args),
    /// Mint a token that can do no more than the one that you call with, and ends with it
    Narrow(narrow::Args),
    /// List tokens
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Show a token
    #[command(visible_alias = "describe")]
    Show(show::Args),
    /// Show who minted a token, and what it minted
    Lineage(lineage::Args),
    /// Change a token's name, description, grants, expiry or metadata
    #[command(alias = "edit")]
    Update(update::Args),
    /// Give a token another secret
    Rotate(rotate::Args),
    /// End tokens, at once and for good
    #[command(visible_aliases = ["delete", "rm"])]
    Revoke(revoke::Args),
    /// Ask whether a token may do something
    Verify(verify::Args),
    /// Find whose token a text is
    Identify(identify::Args),
    /// Show what happened to a token
    History(history::Args),
    /// List a token's uses, one by one
    Uses(uses::Args),
    /// Import keys that were issued elsewhere, by their hashes
    Import(import::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    if !matches!(command, Command::Mint(_) | Command::Narrow(_) | Command::Rotate(_)) {
        context.output.without_secret()?;
    }
    match command {
        Command::Mint(args) => mint::run(context, args).await?,
        Command::Narrow(args) => narrow::run(context, args).await?,
        Command::List(args) => list::run(context, &args).await?,
        Command::Show(args) => show::run(context, &args).await?,
        Command::Lineage(args) => lineage::run(context, &args).await?,
        Command::Update(args) => update::run(context, args).await?,
        Command::Rotate(args) => rotate::run(context, args).await?,
        Command::Revoke(args) => return revoke::run(context, args).await,
        Command::Verify(args) => return verify::run(context, args).await,
        Command::Identify(args) => identify::run(context, args).await?,
        Command::History(args) => history::run(context, &args).await?,
        Command::Uses(args) => uses::run(context, &args).await?,
        Command::Import(args) => return import::run(context, args).await,
    }
    Ok(Exit::Success)
}
