//! What the log proves: checkpoints and receipts from a server, and their check without one.

mod checkpoint;
mod prove;
mod verify;
mod verify_receipt;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use clap::Subcommand;
use eventlog::note::VerifierKey;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch the last checkpoint: the signed size and root of the log
    Checkpoint(checkpoint::Args),
    /// Fetch a receipt: the proof that the line at a position is on the log
    Prove(prove::Args),
    /// Check a receipt and its line, without a server
    VerifyReceipt(verify_receipt::Args),
    /// Check exported lines against checkpoints, without a server
    Verify(verify::Args),
}

pub(super) async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    context.output.without_secret()?;
    match command {
        Command::Checkpoint(args) => checkpoint::run(context, args).await,
        Command::Prove(args) => prove::run(context, args).await,
        Command::VerifyReceipt(args) => verify_receipt::run(&args),
        Command::Verify(args) => verify::run(context, &args),
    }
}

/// A key as `--key` takes it.
fn key(text: &str) -> Result<VerifierKey, String> {
    let expected = "a key as `chancery log checkpoint --keys` prints it: <name>+<id>+<base64>";
    VerifierKey::parse(text).ok_or_else(|| expected.to_owned())
}

/// The text of a file.
fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("cannot read {}: {error}", path.display()))
}

/// Prints a text, or writes it to a file.
fn hand_out(text: &str, file: Option<&Path>) -> Result<Exit, Failure> {
    match file {
        None => output::print(text)?,
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))?,
    }
    Ok(Exit::Success)
}
