use super::{key, read, unreadable};
use crate::failure::{Exit, Failure};
use crate::output;
use eventlog::note::VerifierKey;
use eventlog::receipt::Receipt;
use eventlog::tree::leaf_hash;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Check a receipt and its line, without a server
///
/// The line is the exact text of an export, on standard input or in a file; one newline at its end is not of it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery log verify-receipt 17.tlog-proof --key \"$(cat chancery.key)\" --line 17.json")]
pub(crate) struct Args {
    /// The receipt
    receipt: PathBuf,
    /// A key that is believed: one of them must have signed the checkpoint
    #[arg(long, required = true, value_parser = key)]
    key: Vec<VerifierKey>,
    /// The line [default: standard input]
    #[arg(long, value_name = "FILE")]
    line: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let shown = args.receipt.display();
    let receipt = Receipt::parse(&read(&args.receipt)?)
        .ok_or_else(|| Failure::Other(format!("{shown} is no receipt (c2sp.org/tlog-proof@v1)")))?;
    let line = read_line(args.line.as_deref())?;
    let checkpoint = receipt
        .check(leaf_hash(line.strip_suffix(b"\n").unwrap_or(&line)), &args.key)
        .map_err(|error| Failure::Other(format!("{shown}: {error}")))?;
    output::print(&format!(
        "This line is at position {} of {}, by its checkpoint of {} lines.\n",
        receipt.position, checkpoint.origin, checkpoint.size
    ))?;
    Ok(Exit::Success)
}

fn read_line(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    if let Some(path) = path {
        return std::fs::read(path).map_err(|error| unreadable(path, &error));
    }
    let mut line = Vec::new();
    let reading = std::io::stdin().lock().read_to_end(&mut line);
    reading.map_err(|error| unreadable(Path::new("standard input"), &error))?;
    Ok(line)
}
