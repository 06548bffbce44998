use super::{hand_out, key};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output;
use api::wire::Instance;
use eventlog::Checkpoint;
use eventlog::note::VerifierKey;
use std::path::PathBuf;

/// Fetch the last checkpoint: the signed size and root of the log
///
/// Keep it where the operator of the server cannot reach it: whoever holds one finds every later change of what was on
/// the log then. With --key, it is only handed out if that key has signed it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery log checkpoint --keys > chancery.key
  chancery log checkpoint --key \"$(cat chancery.key)\" --save 2026-11-22.checkpoint")]
pub(crate) struct Args {
    /// A key that must have signed it
    #[arg(long, value_parser = key)]
    key: Vec<VerifierKey>,
    /// Write it to a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print the keys that sign now instead: compare them with what you know from elsewhere
    #[arg(long, conflicts_with_all = ["key", "save"])]
    keys: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    if args.keys {
        let instance = client.get::<Instance>(&["v1", "instance"], &[]).await?;
        output::print(&output::lines(&instance.value.verifier_keys))?;
        return Ok(Exit::Success);
    }
    let at_least = context.options.at_least.map(|position| ("at_least", position.to_string()));
    let note = client.text(&["log", "checkpoint"], at_least.as_slice()).await?;
    if !args.key.is_empty() {
        let refused =
            |error| Failure::Other(format!("the server's checkpoint is not to be believed: {error}"));
        Checkpoint::open(&note, &args.key).map_err(refused)?;
    }
    hand_out(&note, args.save.as_deref())
}
