//! The state as it stood: folded anew from the log, off the scribe, and kept for a while.
//!
//! A few states that were folded before are kept, at places of the log where a commit ends. One that is asked for is
//! folded on from the last of them that is not later, or from the first line. Tokens that two of them have in common
//! are in memory once.

use crate::catch_up::Fatal;
use crate::work::Failure;
use domain::history::Moment;
use domain::line::Line;
use domain::state::State;
use domain::time::Timestamp;
use eventlog::{Commit, Log};
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// How many commits a page holds.
const PAGE: u32 = 2_000;
/// How many states are kept, beside the one that was asked for last.
const KEPT: usize = 3;
/// How many lifecycle events lie at least between two that are kept.
const APART: u64 = 32_768;
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
    waiting: Semaphore,
    /// Sorted by version. Who holds it folds: one at a time.
    kept: Mutex<Vec<Kept>>,
}

impl History {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, waiting: Semaphore::new(WAITING), kept: Mutex::new(Vec::new()) }
    }

    /// The state at a moment; none where the log has not come so far.
    pub(crate) async fn as_of(&self, moment: Moment) -> Result<Option<AsOf>, Failure> {
        let _turn = self.waiting.try_acquire().map_err(|_| Failure::Overloaded)?;
        let mut kept = self.kept.lock().await;
        let found = self.find(moment, &mut kept).await;
        if matches!(found, Err(Fatal::Log(eventlog::Error::WentBackwards { .. }))) {
            kept.clear();
        }
        found.map_err(|error| {
            tracing::error!(%error, "a state of the past could not be folded");
            Failure::Unavailable
        })
    }

    async fn find(&self, moment: Moment, kept: &mut Vec<Kept>) -> Result<Option<AsOf>, Fatal> {
        let (until, at) = match moment {
            Moment::Time(at) => (Until::Time(at), Some(at)),
            Moment::Version(version) => (Until::Version(version), None),
            Moment::Position(position) => match self.at_position(position).await? {
                Some((version, at)) => (Until::Version(version), Some(at)),
                None => return Ok(None),
            },
        };
        let base = kept.iter().rev().find(|kept| until.is_reached_by(&kept.state)).cloned();
        let state = self.fold(base.unwrap_or_default(), until, kept).await?;
        if matches!(until, Until::Version(version) if state.version() != version) {
            return Ok(None);
        }
        let at = at.unwrap_or(state.last_at());
        Ok(Some(AsOf { state, at }))
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
        loop {
            let page = self.log.lifecycle_after(from.state.version(), from.last, PAGE).await?;
            if page.is_empty() {
                return Ok(keep(kept, &from));
            }
            let before = from.state.version();
            let folded = spawn_blocking(move || fold_page(from, &page, until)).await;
            let (whole, part) = folded.map_err(|_| Fatal::Panicked("history"))??;
            if let Some(part) = part {
                keep(kept, &whole);
                return Ok(part);
            }
            if whole.state.version() / APART > before / APART {
                keep(kept, &whole);
            }
            from = whole;
        }
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
        // Of two that are close to each other, the earlier serves for both.
        let close =
            kept.windows(2).position(|pair| pair[1].state.version() - pair[0].state.version() < APART);
        kept.remove(close.map_or(0, |close| close + 1));
    }
    Arc::clone(&new.state)
}

impl Default for Kept {
    fn default() -> Self {
        Self { state: Arc::default(), last: Uuid::nil() }
    }
}

impl Until {
    /// Whether a state is at this place or before it.
    fn is_reached_by(self, state: &State) -> bool {
        match self {
            Self::Version(version) => state.version() <= version,
            Self::Time(at) => state.last_at() <= at,
        }
    }
}

/// Folds a page: the state after its last commit that lies before the place whole and, where that is not its end, the
/// state at the place.
fn fold_page(from: Kept, page: &[Commit], until: Until) -> Result<(Kept, Option<Arc<State>>), Fatal> {
    let Kept { state, mut last } = from;
    let mut state = Arc::unwrap_or_clone(state);
    for commit in page {
        let lines = lifecycle_lines(commit)?;
        let fits = |(line, ahead): &(&Line, u64)| match until {
            Until::Version(version) => state.version() + ahead < version,
            Until::Time(at) => line.at <= at,
        };
        let count = lines.iter().zip(0..).take_while(fits).count();
        if count < lines.len() {
            let whole = Kept { state: Arc::new(state.clone()), last };
            lines[..count].iter().try_for_each(|line| apply(&mut state, line))?;
            return Ok((whole, Some(Arc::new(state))));
        }
        lines.iter().try_for_each(|line| apply(&mut state, line))?;
        last = commit.id;
    }
    Ok((Kept { state: Arc::new(state), last }, None))
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
