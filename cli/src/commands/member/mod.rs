//! Members of organizations and projects.

mod list;
mod remove;
mod set_role;
mod show;

use super::Context;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use api::wire::Member;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the members of an organization and its projects
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Show a member: its roles, and the tokens it answers for
    #[command(visible_alias = "describe")]
    Show(show::Args),
    /// Give a member another role
    #[command(visible_alias = "update")]
    SetRole(set_role::Args),
    /// Remove a member
    #[command(visible_alias = "rm")]
    Remove(remove::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::List(args) => list::run(context, &args).await,
        Command::Show(args) => show::run(context, args).await,
        Command::SetRole(args) => set_role::run(context, args).await,
        Command::Remove(args) => remove::run(context, args).await,
    }?;
    Ok(Exit::Success)
}

/// The id of the member that a text names: an id, or the mail address of exactly one.
pub(super) async fn id(client: &Client, organization: &str, text: &str) -> Result<String, Failure> {
    if !text.contains('@') {
        return Ok(text.to_owned());
    }
    let path = ["v1", "organizations", organization, "members"];
    let members = client.list::<Member>(&path, &[], None).await?;
    let mut ids: Vec<String> = members
        .into_iter()
        .filter(|one| one.value.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(text)))
        .map(|one| one.value.user.to_string())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    match <[String; 1]>::try_from(ids) {
        Ok([id]) => Ok(id),
        Err(ids) if ids.is_empty() => {
            Err(Failure::NotFound(format!("no member of {organization} has the mail address `{text}`")))
        }
        Err(ids) => Err(Failure::Usage(format!(
            "{} members have the mail address `{text}`; give one of their ids: {}",
            ids.len(),
            ids.join(", ")
        ))),
    }
}
