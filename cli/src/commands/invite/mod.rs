//! Invitations to become a member.

mod accept;
mod create;
mod list;
mod reissue;
mod withdraw;

use super::Context;
use crate::client::Answer;
use crate::failure::{Exit, Failure};
use api::wire::Invitation;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Invite somebody to an organization, or to a project of it
    #[command(visible_alias = "new")]
    Create(create::Args),
    /// List the invitations of an organization
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Give an invitation another text
    Reissue(reissue::Args),
    /// Take an invitation back
    #[command(visible_alias = "rm")]
    Withdraw(withdraw::Args),
    /// Become a member
    Accept(accept::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Create(args) => create::run(context, args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Reissue(args) => reissue::run(context, args).await,
        Command::Withdraw(args) => withdraw::run(context, args).await,
        Command::Accept(args) => accept::run(context, args).await,
    }?;
    Ok(Exit::Success)
}

/// An invitation that was just given out, with its text if the caller is told it.
fn given(context: &Context, answer: &Answer<Invitation>) -> Result<(), Failure> {
    let missing = match answer.value.delivery.as_str() {
        "mail" => "Its text was sent to the mail address.",
        "none" => {
            "Nobody has its text yet: an owner of the organization can ask for it, with `invite reissue`."
        }
        _ => "The server no longer has its text to hand out. Reissue the invitation to have a new one.",
    };
    context.output.with_secret(
        answer,
        "Give the text to the invited person alone; it is not shown again.",
        missing,
    )
}
