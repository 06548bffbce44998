//! Persons, whichever organizations they are members of.

mod erase;
mod list;
mod offboard;

use super::Context;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use api::wire::User;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all persons of the instance
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// End all memberships and sessions of a person, in every organization
    Offboard(offboard::Args),
    /// Delete for good what is kept about a person who has left, or was only invited
    Erase(erase::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::List(args) => list::run(context, &args).await,
        Command::Offboard(args) => offboard::run(context, args).await,
        Command::Erase(args) => erase::run(context, args).await,
    }?;
    Ok(Exit::Success)
}

/// The id of the person that a text names: an id, or the mail address of exactly one who has not left.
async fn id(client: &Client, text: &str) -> Result<String, Failure> {
    match <[String; 1]>::try_from(ids(client, text).await?) {
        Ok([id]) => Ok(id),
        Err(ids) => Err(Failure::Usage(format!(
            "{} persons have the mail address `{text}`; give one of their ids: {}",
            ids.len(),
            ids.join(", ")
        ))),
    }
}

/// The same, of all who have the mail address: somebody who accepted invitations without a session has several ids.
async fn ids(client: &Client, text: &str) -> Result<Vec<String>, Failure> {
    if !text.contains('@') {
        return Ok(vec![text.to_owned()]);
    }
    let users = client.list::<User>(&["v1", "users"], &[], None).await?;
    let is_named = |user: &User| user.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(text));
    let ids: Vec<String> = users
        .into_iter()
        .filter(|one| is_named(&one.value) && one.value.offboarded_at.is_none())
        .map(|one| one.value.id.to_string())
        .collect();
    if ids.is_empty() {
        return Err(Failure::NotFound(format!("nobody who is there has the mail address `{text}`")));
    }
    Ok(ids)
}
