use super::hand_out;
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use std::path::PathBuf;

/// Fetch a receipt: the proof that the line at a position is on the log
///
/// A receipt (`.tlog-proof`) holds a checkpoint and a path of hashes. Kept beside the line, it proves for good, without
/// a server, that the line was on the log: `chancery log verify-receipt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The line's position
    #[arg(long)]
    position: u64,
    /// Write it to a file
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let query = [("position", args.position.to_string())];
    let receipt = client.text(&["log", "proof", "receipt"], &query).await?;
    hand_out(&receipt, args.save.as_deref())
}
