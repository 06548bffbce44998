//! `chancery serve`: a node over its own private Postgres or one that is given.

mod admin;
mod limits;
mod mail;
mod rotate_key;
mod settings;
mod start;

pub(crate) use rotate_key::{RotateKeyArgs, run as run_rotate_key};
pub(crate) use settings::{ServeArgs, Settings, read_secret};
pub(crate) use start::{Running, accept, read_url};

use anyhow::Result;
use std::io::IsTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Serves until it is told to stop, or the node stops by itself.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    log_to_stderr("info,sqlx=warn,sqlx_postgres::options=error");
    let running = Running::start(Settings::read(args)?).await?;
    running.announce();
    until_told(running).await
}

/// Accepts a database that does not contain what this node has seen.
pub(crate) async fn run_accept(args: ServeArgs) -> Result<()> {
    log_to_stderr("warn");
    accept(Settings::read(args)?).await
}

/// Serves on until a signal or a failure ends it. SIGHUP reads the TLS certificate again.
pub(crate) async fn until_told(running: Running) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => running.reload(),
            () = running.failed() => break,
        }
    }
    running.stop().await
}

/// Logs go to stderr: for people on a terminal, as JSON otherwise. `RUST_LOG` filters them.
pub(crate) fn log_to_stderr(usual: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call is one of a test in the same process; the first one stands.
    let _ = if std::io::stderr().is_terminal() { logs.try_init() } else { logs.json().try_init() };
}
