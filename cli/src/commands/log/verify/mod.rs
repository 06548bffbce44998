//! `chancery log verify`: exported lines against checkpoints, without a server.
//!
//! It reads once, in as much memory as the state takes that the lines fold to, and believes nothing but the keys that it
//! is given.

mod audit;
mod decisions;
mod export;
mod manifest;
mod personal;
mod report;

use super::{key, read};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, progress::Progress};
use audit::{Audit, Kept};
use decisions::Decisions;
use eventlog::Checkpoint;
use eventlog::note::VerifierKey;
use export::Export;
use manifest::Manifest;
use personal::Personal;
use std::path::{Path, PathBuf};

/// Check exported lines against checkpoints, without a server
///
/// Every line is hashed anew, and the tree over them is held against each checkpoint at its size. Give the checkpoints
/// that you kept, the older the better, and the newest: the manifest of an export holds the one of its day. Where all lines
/// are there, every use in them is decided again. The exit code is 1 if anything is wrong, and the page says where.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery log verify --key \"$(cat chancery.key)\" --manifest log/manifest.json
  chancery log verify --key \"$(cat chancery.key)\" --checkpoint 2026-01.checkpoint --checkpoint now.checkpoint log.ndjson
  chancery log verify --key \"$(cat chancery.key)\" --checkpoint now.checkpoint --earlier 2026-01.ndjson log.ndjson
  chancery log verify --key \"$(cat chancery.key)\" --checkpoint now.checkpoint --personal log/personal.ndjson log/log-*.ndjson")]
pub(crate) struct Args {
    /// The export: NDJSON from position 0 on, in several files if it is [default: those of --manifest]
    #[arg(required_unless_present = "manifest")]
    export: Vec<PathBuf>,
    /// A key that is believed: each checkpoint must be signed by one of them
    #[arg(long, required = true, value_parser = key)]
    key: Vec<VerifierKey>,
    /// A checkpoint that you kept
    #[arg(long, required_unless_present = "manifest", value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The manifest of the export, for its files and its checkpoint
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// An export that you kept: says exactly which lines are others now
    #[arg(long, value_name = "FILE")]
    earlier: Vec<PathBuf>,
    /// The personal values that came with the export: each is held against its commitment in the lines
    #[arg(long, value_name = "FILE")]
    personal: Option<PathBuf>,
    /// Do not decide the uses again: that takes about 500 bytes of memory for each token ever minted
    #[arg(long)]
    no_replay: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let (files, kept) = gather(args)?;
    let personal = args.personal.as_deref().map(Personal::open).transpose()?;
    let mut audit = Audit::new(kept, personal);
    let mut export = Export::open(&files)?;
    let mut earlier = if args.earlier.is_empty() { None } else { Some(Export::open(&args.earlier)?) };
    let mut progress = Progress::new(export.length(), context.options.quiet);
    let mut decisions = (!args.no_replay).then(Decisions::default);
    while let Some(entry) = export.next()? {
        audit.entry(&entry);
        if let Some(decisions) = &mut decisions {
            decisions.entry(&entry);
        }
        if let Some(earlier) = &mut earlier
            && let Some(before) = earlier.next()?
        {
            audit.compare(before.leaf, entry.leaf);
        }
        progress.reach(export.position());
    }
    progress.finish();
    audit.end(earlier.map_or(Ok(None), |mut earlier| earlier.next().map(|left| left.map(|_| ())))?.is_some());
    audit.decided(decisions.and_then(Decisions::end));
    let report = audit.report();
    match context.options.format() {
        Format::Json => {
            context.output.json(&serde_json::to_string(&report).expect("a report is plain data"))?;
        }
        _ => output::print(&report.page())?,
    }
    // A check that proves nothing is no success: nobody should take it for one.
    let is_proved = report.proved.is_some_and(|size| size > 0);
    Ok(if report.found.is_empty() && is_proved { Exit::Success } else { Exit::Failed })
}

/// The files of the export, and the checkpoints that it is held against.
fn gather(args: &Args) -> Result<(Vec<PathBuf>, Vec<Kept>), Failure> {
    let open = |path: &PathBuf| believed(path, &read(path)?, &args.key);
    let mut kept = args.checkpoint.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut files = args.export.clone();
    if let Some(path) = &args.manifest {
        let manifest = Manifest::open(path)?;
        kept.extend(manifest.kept(path, &args.key)?);
        if files.is_empty() {
            files = manifest.files(path)?;
        }
        let shown = path.display();
        if kept.is_empty() {
            let text =
                format!("{shown} holds no checkpoint: none was signed in time; give one by --checkpoint");
            return Err(Failure::Usage(text));
        }
        if files.is_empty() {
            return Err(Failure::Usage(format!("{shown} lists no files; name those of the export")));
        }
    }
    Ok((files, kept))
}

/// A checkpoint whose signature is of a key that is believed. One that is not proves nothing, so nothing is checked.
fn believed(file: &Path, note: &str, keys: &[VerifierKey]) -> Result<Kept, Failure> {
    let (checkpoint, opened) = Checkpoint::open(note, keys)
        .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
    let signed_by = opened.signed_by.iter().map(ToString::to_string).collect();
    Ok(Kept::new(file.display().to_string(), checkpoint, signed_by, opened.others))
}
