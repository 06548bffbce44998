//! The black-box suites: one binary, a module a topic, a database a test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod at_least;
mod audit;
mod authority;
mod backwards;
mod bounded;
mod conditions;
mod cuts;
mod ends;
mod exports;
mod faults;
mod golden;
mod history;
mod hostile;
mod idempotency;
mod intake;
mod kill;
mod last_use;
mod life;
mod limits;
mod lineage;
mod load;
mod mail;
mod nodes;
mod openapi;
mod outage;
mod overload;
mod people;
mod policy;
mod proof;
mod record;
mod replay;
mod restart;
mod roles;
mod secrets;
mod serve;
mod shutdown;
mod snapshots;
mod tidy;
mod tour;
mod verify;

use std::time::Duration;

/// The resolution of the log's time.
const TICK: Duration = Duration::from_micros(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The last moment that is earlier.
fn just_before(time: Duration) -> Duration {
    time.saturating_sub(TICK)
}

/// A secret of the right shape that was never issued; another one for another seed.
fn never_issued(seed: u8) -> String {
    use domain::secret::{ENTROPY, Kind, Secret};
    Secret::from_entropy(Kind::Organization, &[seed; ENTROPY]).into_text()
}

/// A secret with one character changed, so that its checksum fails.
fn damaged(secret: &str) -> String {
    let other = if secret.ends_with('0') { '1' } else { '0' };
    format!("{}{other}", &secret[..secret.len() - 1])
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
