//! The live-token index: the state in memory, and how far it reaches.

use domain::event::{Answers, Event};
use domain::line::Line;
use domain::state::State;
use eventlog::Clock;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;

/// The state of a node, shared by everyone who reads it.
pub struct Live {
    state: RwLock<State>,
    position: watch::Sender<u64>,
    /// Monotonic microseconds at which the last successful look at the head began.
    fresh: AtomicI64,
    clock: Clock,
    /// How many erasures of persons this node has folded.
    erasures: AtomicU64,
    /// What the node has done, for its metrics.
    pub stats: Stats,
}

/// Counts of what a node has done since it started.
#[derive(Debug, Default)]
pub struct Stats {
    /// Commits that were appended.
    pub commits: AtomicU64,
    /// Lines in them.
    pub lines: AtomicU64,
    /// Commits whose condition had failed and that were decided again.
    pub races: AtomicU64,
    /// Commits that took the head's lock.
    pub locks: AtomicU64,
    /// Batches that failed because the database was away.
    pub failures: AtomicU64,
    /// Calls that were turned away because too much waited.
    pub overloads: AtomicU64,
    /// Presented texts that match no token.
    pub unknown: AtomicU64,
    /// Bounded uses that are answered and not yet on the log.
    pub unrecorded: AtomicU64,
    /// Bounded uses that were given up at a stop.
    pub lost: AtomicU64,
    /// The size of the log that the usage view stands for.
    pub usage_position: AtomicU64,
    /// The size of the log that the Merkle tree stands for.
    pub tree_position: AtomicU64,
    /// The size of the log that the last checkpoint stands for; without the key, that of the tree.
    pub checkpoint_position: AtomicU64,
    /// Attempts at a checkpoint that were given up because the tree does not go on from what was signed.
    pub checkpoints_refused: AtomicU64,
    /// The size of the log that the audit views stand for.
    pub audit_position: AtomicU64,
    /// The version of the last snapshot of the state on disk, 0 without any.
    pub snapshot_version: AtomicU64,
}

impl Live {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            state: RwLock::default(),
            position: watch::Sender::new(0),
            fresh: AtomicI64::new(i64::MIN),
            clock,
            erasures: AtomicU64::new(0),
            stats: Stats::default(),
        }
    }

    /// Looks at the state. Keep it short: commands wait meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.read())
    }

    /// Only the scribe changes the state, and only by lines that are on the log.
    pub(crate) fn write<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.state.write())
    }

    /// How many erasures of persons this node has folded. It is counted up before the lines after them are decided.
    pub(crate) fn erasures(&self) -> u64 {
        self.erasures.load(Relaxed)
    }

    /// Lines have been folded.
    pub(crate) fn folded(&self, lines: &[Line]) {
        if lines.iter().any(|line| matches!(line.event, Event::PersonErased(_))) {
            self.erasures.fetch_add(1, Relaxed);
        }
    }

    /// The authority's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The size of the log that the state stands for.
    pub fn position(&self) -> u64 {
        *self.position.borrow()
    }

    /// Waits until the state stands for a log of at least `position` lines; says whether it does within `patience`.
    pub async fn reaches(&self, position: u64, patience: Duration) -> bool {
        let mut seen = self.position.subscribe();
        tokio::time::timeout(patience, seen.wait_for(|now| *now >= position))
            .await
            .is_ok_and(|seen| seen.is_ok())
    }

    pub(crate) fn reached(&self, position: u64, since: Duration) {
        self.fresh.fetch_max(micros(since), Relaxed);
        self.position.send_if_modified(|now| {
            let grows = position > *now;
            *now = position.max(*now);
            grows
        });
    }

    /// How verify is answered.
    pub fn answers(&self) -> Answers {
        self.read(|state| state.instance().map_or(Answers::Committed, |instance| instance.policy.answers))
    }

    /// How old the state may be: the time since the last successful look at the log's head began.
    pub fn staleness(&self) -> Duration {
        let now = micros(self.clock.monotonic());
        Duration::from_micros(now.saturating_sub(self.fresh.load(Relaxed)).unsigned_abs())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
