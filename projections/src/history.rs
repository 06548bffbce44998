//! The state as it stood: folded anew from the log, off the scribe, and kept for a while.
//!
//! A few states that were folded before are kept, at places of the log where a commit ends. One that is asked for is
//! folded on from the last of them that is not later, from a snapshot on disk, or from the first line. Tokens that two of
//! them have in common are in memory once.
//!
//! The same fold takes the snapshots, so that what they hold never comes from anywhere but the log.

use crate::catch_up::Fatal;
use crate::live::Live;
use crate::snapshots::{Snapshots, Taken, due_after};
use crate::work::Failure;
use domain::history::Moment;
use domain::line::Line;
use domain::state::State;
use domain::time::Timestamp;
use eventlog::{Commit, Log};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How many commits a page holds.
const PAGE: u32 = 2_000;
/// How many states are kept.
const KEPT: usize = 8;
/// How many lifecycle events lie at least between two that are kept.
const APART: u64 = 16_384;
/// How often it is looked whether a snapshot is due.
const LOOK: Duration = Duration::from_secs(1);
/// After how long states that nobody asks for are let go.
const IDLE: Duration = Duration::from_mins(5);
/// A snapshot is taken in at most so large a part of the time.
const PART: u32 = 20;
/// How many may wait for a state.
const WAITING: usize = 16;

/// The state as it stood.
#[derive(Clone)]
pub struct AsOf {
    /// It.
    pub state: Arc<State>,
    /// The time of the clock that it is looked at with.
    pub at: Timestamp,
}

/// A state at the end of a commit.
#[derive(Clone)]
struct Kept {
    state: Arc<State>,
    /// The last lifecycle commit in it; nil at the start.
    last: Uuid,
    /// Lines up to its end.
    size: u64,
    /// The version of the snapshot that it was folded from, 0 where that was none: those of one have tokens in common.
    family: u64,
}

/// Where to stop.
#[derive(Clone, Copy)]
enum Until {
    Version(u64),
    Time(Timestamp),
}

/// Makes states of the past.
pub(crate) struct History {
    log: Log,
    live: Arc<Live>,
    snapshots: Arc<Snapshots>,
    /// After how many lifecycle events, at least, a snapshot is taken.
    every: u64,
    waiting: Semaphore,
    /// Who holds it folds: one at a time.
    kept: Mutex<Shelf>,
}

/// The states that are kept.
#[derive(Default)]
struct Shelf {
    /// Sorted by version, of two families at most: who compares a moment long ago with one of today asks for both in turn.
    states: Vec<Kept>,
    /// The family that was last asked for.
    family: u64,
    /// When one was last asked for, by the monotonic clock.
    asked: Duration,
}

impl History {
    pub(crate) fn new(log: &Log, live: &Arc<Live>, snapshots: Snapshots, every: u64) -> Self {
        Self {
            log: log.clone(),
            live: Arc::clone(live),
            snapshots: Arc::new(snapshots),
            every,
            waiting: Semaphore::new(WAITING),
            kept: Mutex::default(),
        }
    }

    /// The version of the last snapshot, 0 where there is none.
    pub(crate) fn snapshot_version(&self) -> u64 {
        self.snapshots.last_version()
    }

    /// The state at a moment; none where the log has not come so far.
    pub(crate) async fn as_of(&self, moment: Moment) -> Result<Option<AsOf>, Failure> {
        let _turn = self.waiting.try_acquire().map_err(|_| Failure::Overloaded)?;
        let mut shelf = self.kept.lock().await;
        shelf.asked = self.live.clock().monotonic();
        let found = self.find(moment, &mut shelf).await;
        if matches!(found, Err(Fatal::Log(eventlog::Error::WentBackwards { .. }))) {
            shelf.states.clear();
        }
        found.map_err(|error| {
            tracing::error!(%error, "a state of the past could not be folded");
            Failure::Unavailable
        })
    }

    /// Takes snapshots as the log grows, and lets go of states that nobody asks for.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let clock = self.live.clock();
        let mut rest_until = Duration::ZERO;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = clock.monotonic();
            if let Ok(mut shelf) = self.kept.try_lock()
                && now.saturating_sub(shelf.asked) >= IDLE
            {
                shelf.states.clear();
            }
            self.live.stats.snapshot_version.store(self.snapshots.last_version(), Relaxed);
            let version = self.live.read(State::version);
            if now < rest_until || version < self.snapshots.last_version() + due_after(version, self.every) {
                continue;
            }
            let taken = tokio::select! {
                () = stop.cancelled() => return,
                taken = self.take(version) => taken,
            };
            if let Err(error) = taken {
                tracing::warn!(%error, "no snapshot of the state could be taken");
            }
            rest_until = clock.monotonic() + clock.monotonic().saturating_sub(now) * PART;
        }
    }

    /// Takes a snapshot of the state at a version or somewhat later, by a fold of its own, and others on the way where that
    /// is long: so a node that never took any, or those of another build, has them along the whole log at once.
    async fn take(&self, version: u64) -> Result<(), Fatal> {
        let mut from = match self.snapshots.load(&self.log, |_| true).await? {
            Some((taken, state)) => Kept::from((taken, state)),
            None => Kept::default(),
        };
        let apart = due_after(version, self.every);
        let commits = u32::try_from(self.every).map_or(PAGE, |every| PAGE.min(every.max(1)));
        let mut stored = from.state.version();
        while from.state.version() < version {
            let page = self.log.lifecycle_after(from.state.version(), from.last, commits).await?;
            let is_end = page.is_empty();
            let folded = spawn_blocking(move || fold_page(from, &page, Until::Version(u64::MAX))).await;
            from = folded.map_err(|_| Fatal::Panicked("history"))??.0;
            let is_far = from.state.version() >= stored + apart;
            if is_end || is_far || from.state.version() >= version {
                stored = from.state.version();
                self.store(from.clone()).await?;
            }
            if is_end {
                break;
            }
        }
        Ok(())
    }

    async fn store(&self, kept: Kept) -> Result<(), Fatal> {
        let snapshots = Arc::clone(&self.snapshots);
        let taken = Taken::of(&kept.state, kept.size, kept.last);
        let stored = spawn_blocking(move || snapshots.store(taken, &kept.state)).await;
        Ok(stored.map_err(|_| Fatal::Panicked("writing of a snapshot"))??)
    }

    async fn find(&self, moment: Moment, shelf: &mut Shelf) -> Result<Option<AsOf>, Fatal> {
        let (until, at) = match moment {
            Moment::Time(at) => (Until::Time(at), Some(at)),
            Moment::Version(version) => (Until::Version(version), None),
            Moment::Position(position) => match self.at_position(position).await? {
                Some((version, at)) => (Until::Version(version), Some(at)),
                None => return Ok(None),
            },
        };
        let base = self.base(until, shelf).await?;
        let state = self.fold(base, until, &mut shelf.states).await?;
        if matches!(until, Until::Version(version) if state.version() != version) {
            return Ok(None);
        }
        let at = at.unwrap_or(state.last_at());
        Ok(Some(AsOf { state, at }))
    }

    /// What to fold on from: what is kept, or a snapshot where that saves more than it costs to read.
    async fn base(&self, until: Until, shelf: &mut Shelf) -> Result<Kept, Fatal> {
        let is_before = |kept: &&Kept| until.is_after(kept.state.version(), kept.state.last_at());
        let base = shelf.states.iter().rev().find(is_before).cloned().unwrap_or_default();
        let version = base.state.version();
        let is_better = |taken: &Taken| {
            until.is_after(taken.version, taken.last_at())
                && taken.version > version + self.every.max(taken.version / 4)
        };
        let base = self.snapshots.load(&self.log, is_better).await?.map_or(base, Kept::from);
        if base.family != shelf.family {
            let (new, last) = (base.family, shelf.family);
            shelf.states.retain(|kept| kept.family == last || kept.family == new);
            shelf.family = new;
        }
        Ok(base)
    }

    /// The version of a log of so many lines, and the time of the last one.
    async fn at_position(&self, position: u64) -> Result<Option<(u64, Timestamp)>, Fatal> {
        let Some(before) = position.checked_sub(1) else { return Ok(Some((0, Timestamp::MIN))) };
        if position > self.log.head().await?.size {
            return Ok(None);
        }
        let commits = self.log.commits_from(before, 1).await?;
        let Some(commit) = commits.first() else { return Ok(None) };
        let (mut version, mut at) = (commit.version, Timestamp::MIN);
        for (place, text) in commit.numbered().take_while(|(place, _)| *place < position) {
            let line = Line::read(text).map_err(|error| Fatal::Line { position: place, error })?;
            version += u64::from(line.event.is_lifecycle());
            at = line.at;
        }
        Ok(Some((version, at)))
    }

    /// Folds on from a state until a place, and keeps what it comes by.
    async fn fold(&self, from: Kept, until: Until, kept: &mut Vec<Kept>) -> Result<Arc<State>, Fatal> {
        let mut from = from;
        let mut page = self.log.lifecycle_after(from.state.version(), from.last, PAGE).await?;
        while let Some(end) = page.last() {
            // While a page is folded, the next one is on its way, unless the place is known to be on this one.
            let (before, version, last) = (from.state.version(), end.version_after(), end.id);
            let is_here = matches!(until, Until::Version(until) if until < version);
            let folding = spawn_blocking(move || fold_page(from, &page, until));
            let next = async {
                if is_here { Ok(Vec::new()) } else { self.log.lifecycle_after(version, last, PAGE).await }
            };
            let (folded, next) = tokio::join!(folding, next);
            let (whole, part) = folded.map_err(|_| Fatal::Panicked("history"))??;
            if let Some(part) = part {
                keep(kept, &whole);
                return Ok(part);
            }
            if whole.state.version() / APART > before / APART {
                keep(kept, &whole);
            }
            (from, page) = (whole, next?);
        }
        Ok(keep(kept, &from))
    }
}

/// Keeps a state beside the others, and not too many.
fn keep(kept: &mut Vec<Kept>, new: &Kept) -> Arc<State> {
    let version = new.state.version();
    let place = kept.partition_point(|kept| kept.state.version() < version);
    if kept.get(place).is_none_or(|found| found.state.version() != version) {
        kept.insert(place, new.clone());
    }
    if kept.len() > KEPT {
        // The first stays, or what lies after it would be folded from a snapshot again; and of the others the one goes
        // without which the way from one to the next stays the shortest.
        let way = |index: &usize| kept[index + 1].state.version() - kept[index - 1].state.version();
        let least = (1..kept.len() - 1).min_by_key(way).expect("there are more than three");
        kept.remove(least);
    }
    Arc::clone(&new.state)
}

impl Default for Kept {
    fn default() -> Self {
        Self { state: Arc::default(), last: Uuid::nil(), size: 0, family: 0 }
    }
}

impl From<(Taken, State)> for Kept {
    fn from((taken, state): (Taken, State)) -> Self {
        Self { state: Arc::new(state), last: taken.commit, size: taken.size, family: taken.version }
    }
}

impl Until {
    /// Whether a state of this version and time is at the place or before it.
    fn is_after(self, version: u64, last_at: Timestamp) -> bool {
        match self {
            Self::Version(until) => version <= until,
            Self::Time(until) => last_at <= until,
        }
    }
}

/// Folds a page: the state after its last commit that lies before the place whole and, where that is not its end, the
/// state at the place.
fn fold_page(from: Kept, page: &[Commit], until: Until) -> Result<(Kept, Option<Arc<State>>), Fatal> {
    let Kept { state, mut last, mut size, family } = from;
    let mut state = Arc::unwrap_or_clone(state);
    for commit in page {
        let lines = lifecycle_lines(commit)?;
        let fits = |(line, ahead): &(&Line, u64)| match until {
            Until::Version(version) => state.version() + ahead < version,
            Until::Time(at) => line.at <= at,
        };
        let count = lines.iter().zip(0..).take_while(fits).count();
        if count < lines.len() {
            let whole = Kept { state: Arc::new(state.clone()), last, size, family };
            lines[..count].iter().try_for_each(|line| apply(&mut state, line))?;
            return Ok((whole, Some(Arc::new(state))));
        }
        lines.iter().try_for_each(|line| apply(&mut state, line))?;
        (last, size) = (commit.id, commit.end());
    }
    Ok((Kept { state: Arc::new(state), last, size, family }, None))
}

fn apply(state: &mut State, line: &Line) -> Result<(), Fatal> {
    state.apply(line)?;
    while state.is_marking() {
        state.mark_some();
    }
    Ok(())
}

fn lifecycle_lines(commit: &Commit) -> Result<Vec<Line>, Fatal> {
    let lines = commit
        .numbered()
        .map(|(position, text)| Line::read(text).map_err(|error| Fatal::Line { position, error }));
    lines.filter(|line| line.as_ref().map_or(true, |line| line.event.is_lifecycle())).collect()
}
