//! The saved log-in.

mod login;
mod logout;

use super::Context;
use crate::failure::{Exit, Failure};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Save a token to call an authority with
    Login(login::Args),
    /// Forget the token saved for an authority
    Logout,
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Login(args) => login::run(context, &args).await,
        Command::Logout => logout::run(context),
    }
}

pub(super) fn no_folder() -> Failure {
    Failure::Other(
        "there is no configuration folder to keep a log-in in; set HOME or XDG_CONFIG_HOME".to_owned(),
    )
}
