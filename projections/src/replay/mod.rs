//! Replaying a log: it is folded from its first line, and every use in it is decided again.
//!
//! Lines come in pages, in their order, from wherever they are kept. A page is read on all threads at once, since what a
//! line says does not depend on another one; then its lifecycle lines are folded in order, and the uses between two of
//! them are decided on all threads again, since they do not change the state. Nothing here changes a log.

mod behind;
mod page;
mod report;
mod views;

pub use page::{Page, Stopped};
pub use report::{Difference, LiveState, Report};
pub use views::{Compared, RowDifference, Table};

use behind::Behind;
use domain::event::{Answers, Event};
use domain::line::Line;
use domain::replay::again;
use domain::state::State;
use domain::time::Timestamp;
use eventlog::personal::Opened;
use eventlog::tree::Frontier;
use eventlog::{Commit, Error, Log};
use page::Item;
use std::collections::HashMap;
use std::net::IpAddr;
use std::thread;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use uuid::Uuid;
use views::Views;

use crate::catch_up::Fatal;

/// So few uses are not worth another thread.
const FEW: usize = 1_024;
/// How many lifecycle lines are folded between two times that what is too old to matter is forgotten.
const FORGET_EVERY: u64 = 4_096;
/// How many commits are read at once.
const COMMITS: u32 = 20_000;

/// Addresses by their commitments; none behind one that is not known.
#[derive(Default)]
struct Addresses(HashMap<Box<str>, Option<IpAddr>, foldhash::quality::RandomState>);

impl Addresses {
    fn open(&self, commitment: &str) -> Option<IpAddr> {
        self.0.get(commitment).copied().flatten()
    }
}

/// A replay under way.
pub struct Replay {
    state: State,
    /// Once answers were bounded: the state as it was, for uses that were decided on an earlier one.
    behind: Option<Behind>,
    addresses: Addresses,
    /// A state to be compared with the fold when it is of the same version.
    other: Option<Box<State>>,
    tree: Frontier,
    report: Report,
    threads: usize,
    leaves_views: bool,
    views: Option<Views>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Replay {
    /// A replay from the first line on, on so many threads.
    pub fn new(threads: usize) -> Self {
        Self {
            state: State::default(),
            behind: None,
            addresses: Addresses::default(),
            other: None,
            tree: Frontier::default(),
            report: Report::default(),
            threads: threads.max(1),
            leaves_views: false,
            views: None,
        }
    }

    /// Compares a state, whole, with what the lines fold to when they have come to its version.
    #[must_use]
    pub fn against(self, other: State) -> Self {
        let other = Some(Box::new(other));
        Self { other, ..self }
    }

    /// The same without a look at the views of a database, which need rights of their own.
    #[must_use]
    pub fn without_views(self) -> Self {
        Self { leaves_views: true, ..self }
    }

    /// The position of the next line.
    pub fn position(&self) -> u64 {
        self.report.lines
    }

    /// The state that was folded.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Reads the next lines, without a newline at their end.
    pub fn read<'t>(&self, lines: &'t str) -> Result<Page<'t>, Stopped> {
        Page::read(self.position(), lines, self.threads)
    }

    /// Folds a page that was read just before, and decides its uses again.
    pub fn take(&mut self, page: &Page<'_>) -> Result<(), Stopped> {
        page.leaves().for_each(|leaf| self.tree.push(*leaf));
        for items in page.chunks() {
            let mut rest = items;
            while !rest.is_empty() {
                let uses = rest.iter().take_while(|item| item.lifecycle().is_none()).count();
                let (between, after) = rest.split_at(uses);
                self.decide(between);
                rest = after;
                if let Some((line, after)) = after.split_first() {
                    self.fold(line.lifecycle().expect("the first that is no use"))?;
                    rest = after;
                }
            }
        }
        Ok(())
    }

    /// Ends the replay.
    pub fn finish(mut self) -> Result<(Report, State), Stopped> {
        if let Some(behind) = &mut self.behind {
            behind.finish(&self.addresses, &mut self.report)?;
        }
        if let Some(other) = &self.other {
            self.report.live = Some(LiveState::NotReached(other.version()));
        }
        self.report.root = self.tree.root().0;
        Ok((self.report, self.state))
    }

    fn fold(&mut self, line: &Line) -> Result<(), Stopped> {
        let position = self.report.lines;
        let is_bounded = |policy: &domain::event::InstancePolicy| policy.answers == Answers::Bounded;
        let begins = match &line.event {
            Event::AuthorityStarted { policy, .. } => is_bounded(policy),
            Event::InstancePolicyChanged { after, .. } => is_bounded(after),
            _ => false,
        };
        if begins && self.behind.is_none() {
            self.behind = Some(Behind::new(self.state.clone()));
        }
        apply(&mut self.state, line, position)?;
        self.report.lines += 1;
        self.report.lifecycle += 1;
        if let Some(other) = self.other.take_if(|other| other.version() == self.state.version()) {
            let (version, difference) = (other.version(), self.state.difference(&other));
            let live = difference.map(|what| LiveState::Different(version, what));
            self.report.live = Some(live.unwrap_or(LiveState::Same(version)));
        }
        match &mut self.behind {
            Some(behind) => behind.folded(position, line, &self.addresses, &mut self.report),
            None => Ok(()),
        }
    }

    /// Decides uses between two lifecycle lines.
    fn decide(&mut self, items: &[Item<'_>]) {
        let first = self.report.lines;
        self.report.lines += items.len() as u64;
        let (state, addresses, behind) = (&self.state, &self.addresses, self.behind.is_some());
        let decide = |first, items| decide(state, addresses, first, items, behind);
        let size = items.len().div_ceil(self.threads).max(FEW);
        let found: Vec<Found<'_>> = if items.len() <= size {
            vec![decide(first, items)]
        } else {
            thread::scope(|scope| {
                let starts = (first..).step_by(size);
                let parts = starts.zip(items.chunks(size));
                let running: Vec<_> =
                    parts.map(|(first, part)| scope.spawn(move || decide(first, part))).collect();
                running.into_iter().map(|part| part.join().expect("deciding does not panic")).collect()
            })
        };
        let version = self.state.version();
        for part in found {
            self.report.add(part.report);
            if let Some(behind) = &mut self.behind {
                part.decided_at.into_iter().for_each(|at| behind.visible(version, at));
                part.earlier.iter().for_each(|(position, seen, text)| behind.wait(*position, *seen, text));
            }
        }
    }
}

/// What came of some uses.
struct Found<'t> {
    report: Report,
    /// Those that were decided on an earlier version: their positions, that version and their lines.
    earlier: Vec<(u64, u64, &'t str)>,
    /// The first time after that of the last lifecycle line at which one of the others was decided.
    decided_at: Option<Timestamp>,
}

fn decide<'t>(
    state: &State,
    addresses: &Addresses,
    first: u64,
    items: &[Item<'t>],
    is_bounded: bool,
) -> Found<'t> {
    let mut found = Found { report: Report::default(), earlier: Vec::new(), decided_at: None };
    for (position, item) in (first..).zip(items) {
        let Some((used, text)) = item.used() else {
            found.report.count_admin(position, item, state);
            continue;
        };
        match used.seen {
            Some(seen) if seen < state.version() && is_bounded => {
                found.earlier.push((position, seen, text));
                continue;
            }
            Some(seen) if seen != state.version() => found.report.differ(position, &used, || {
                let version = state.version();
                format!("no answer: it names version {seen}, which the log was not at (its own is {version})")
            }),
            _ if used.at < state.last_at() => found.report.differ(position, &used, || too_early(state)),
            _ => found.report.count(position, &used, again(state, &used, |text| addresses.open(text))),
        }
        if used.at > state.last_at() && found.decided_at.is_none_or(|first| used.at < first) {
            found.decided_at = Some(used.at);
        }
    }
    found
}

/// Whoever decides on a state does so at a time that is not before its last event's.
fn too_early(state: &State) -> String {
    format!(
        "no answer at that time: it is before {}, the time of the last event that it rests on",
        state.last_at()
    )
}

fn apply(state: &mut State, line: &Line, position: u64) -> Result<(), Stopped> {
    state.apply(line).map_err(|error| Stopped { position, why: error.to_string() })?;
    while state.is_marking() {
        state.mark_some();
    }
    if state.version().is_multiple_of(FORGET_EVERY) {
        state.forget(line.at);
    }
    Ok(())
}

/// Why a log could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The log itself could not be read.
    #[error(transparent)]
    Log(#[from] Fatal),
    /// A line does not follow from those before it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The rows that were compared are not read any more.
    #[error("the audit views were built anew while they were compared; replay again")]
    Rebuilt,
    /// A view says that it stands for more than there is.
    #[error("a view says that it stands for a log of {stands} lines, and the log has {log}")]
    Ahead {
        /// What the view says.
        stands: u64,
        /// What there is.
        log: u64,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Log(error.into())
    }
}

/// Replays the log of a database up to where it is when this begins, with the addresses that are not erased, and holds
/// its views against it. `progress` is told how many lines are done, of how many.
pub async fn replay(
    log: &Log,
    replay: Replay,
    mut progress: impl FnMut(u64, u64),
) -> Result<(Report, State), Failure> {
    let mut replay = Box::new(replay);
    replay.views = if replay.leaves_views { None } else { Views::begin(log).await? };
    let size = log.head().await?.size;
    let (mut position, mut last) = (0, Uuid::nil());
    let mut running = spawn_blocking(|| Ok(replay));
    loop {
        // While a page is decided, the next one is on its way.
        let commits =
            if position < size { log.commits_after(position, last, COMMITS).await? } else { Vec::new() };
        let mut replay = running.await.map_err(|_| Failure::Log(Fatal::Panicked("replay")))??;
        progress(replay.position(), size);
        let Some(end) = commits.last() else {
            let views = replay.views.take();
            let (mut report, state) = replay.finish()?;
            if let Some(views) = views {
                report.views = Some(Box::pin(views.finish()).await?);
            }
            return Ok((report, state));
        };
        (position, last) = (end.end(), end.id);
        let (log, handle) = (log.clone(), Handle::current());
        running = spawn_blocking(move || replay.commits(&commits, &log, &handle));
    }
}

impl Replay {
    fn commits(
        mut self: Box<Self>,
        commits: &[Commit],
        log: &Log,
        handle: &Handle,
    ) -> Result<Box<Self>, Failure> {
        let texts: Vec<&str> = commits.iter().map(|commit| commit.lines.as_str()).collect();
        let lines = texts.join("\n");
        let page = self.read(&lines)?;
        page.check(commits)?;
        let wanted = self.wanted(&page);
        let opened = handle.block_on(crate::people::open(log, wanted.iter().copied()))?;
        for commitment in wanted {
            let value = opened.get(commitment).and_then(Opened::value);
            let address = value.and_then(|value| value.parse().ok());
            self.addresses.0.insert(commitment.into(), address);
        }
        self.take(&page)?;
        if let Some(views) = &mut self.views {
            handle.block_on(views.take(&page, commits, &self.state))?;
        }
        drop(page);
        Ok(self)
    }

    /// The commitments to addresses that were not asked for before.
    fn wanted<'p>(&self, page: &'p Page<'_>) -> Vec<&'p str> {
        let known = &self.addresses.0;
        let mut wanted: Vec<&str> =
            page.addresses().filter(|address| !known.contains_key(*address)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }
}
