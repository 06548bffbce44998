//! `chancery log rotate-key`: another key in the place of the one that signs checkpoints.

use super::settings::{ServeArgs, Settings};
use super::start;
use anyhow::{Result, anyhow};
use clap::Args;
use eventlog::note::VerifierKey;
use eventlog::{LogKeys, Random};
use std::time::Duration;

/// What a rotation is told.
#[derive(Args, Debug)]
pub(crate) struct RotateKeyArgs {
    /// How long the present key signs beside the new one, at most 366d
    #[arg(long, default_value = "30d", value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Duration,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Rotates the key of a log whose node is stopped.
pub(crate) async fn run(args: RotateKeyArgs) -> Result<()> {
    super::log_to_stderr("warn");
    let settings = Settings::read(args.serve)?;
    let (keys, random) = (LogKeys::beside(&settings.log_key_file), Random::system());
    let keys = &keys;
    let origin = start::with_node(&settings, async |node| {
        let next = keys.next(&random)?.public();
        node.rotate_log_key(next.clone(), args.overlap).await.map_err(|failure| anyhow!("{failure}"))?;
        keys.rotated()?;
        let origin = node.live().read(|state| state.instance().map(|instance| instance.origin.to_string()));
        Ok(origin.and_then(|origin| VerifierKey::new(&origin, &next)))
    })
    .await?;
    let shown = origin.map_or_else(|| "none: its origin cannot be a name".to_owned(), |key| key.to_string());
    crate::print_lines(&[
        format!("the log's checkpoints are signed by another key: {shown}"),
        format!(
            "give it to who checks them; the key before signs on for {}",
            humantime::format_duration(args.overlap)
        ),
        format!("back up {}, and copy it to every node that signs", settings.log_key_file.display()),
    ]);
    Ok(())
}
