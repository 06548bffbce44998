//! Replaying a log: it is folded from its first line, and every use in it is decided again.
//!
//! Lines come in pages, in their order, from wherever they are kept. A page is read on all threads at once, since what a
//! line says does not depend on another one; then its lifecycle lines are folded in order, and the uses between two of
//! them are decided on all threads again, since they do not change the state. Nothing here changes a log.

mod behind;
mod page;

pub use page::{Page, Stopped};

use behind::Behind;
use domain::event::{Answers, Event};
use domain::line::Line;
use domain::replay::{Again, UseLine, again};
use domain::state::State;
use domain::verify::Code;
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

use crate::catch_up::Fatal;

/// Differences that are listed; the rest is counted.
const LISTED: usize = 1_000;
/// So few uses are not worth another thread.
const FEW: usize = 1_024;
/// How many lifecycle lines are folded between two times that what is too old to matter is forgotten.
const FORGET_EVERY: u64 = 4_096;
/// How many commits are read at once.
const COMMITS: u32 = 20_000;

/// A use that comes out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where its line stands.
    pub position: u64,
    /// The token that was presented.
    pub token: String,
    /// The answer in the line.
    pub recorded: &'static str,
    /// What is decided.
    pub decided: String,
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines.
    pub lines: u64,
    /// Lifecycle lines among them.
    pub lifecycle: u64,
    /// Uses of the break-glass token, whose answers rest on no state.
    pub admin_uses: u64,
    /// Lines of uses that came out the same.
    pub same: u64,
    /// Calls of Chancery's own API whose credential came out the same. Whether the call was allowed is not decided.
    pub standing: u64,
    /// Uses that came out the same but for an address, which is not known.
    pub without_address: u64,
    /// Bounded uses that name a version too far back.
    pub too_far_back: u64,
    /// Uses that came out differently.
    pub differing: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// The root of the Merkle tree over the lines (RFC 9162, section 2.1).
    pub root: [u8; 32],
}

impl Report {
    /// How many uses were looked at.
    pub fn uses(&self) -> u64 {
        self.same
            + self.standing
            + self.without_address
            + self.too_far_back
            + self.differing
            + self.admin_uses
    }

    fn add(&mut self, other: Self) {
        self.admin_uses += other.admin_uses;
        self.same += other.same;
        self.standing += other.standing;
        self.without_address += other.without_address;
        self.too_far_back += other.too_far_back;
        self.differing += other.differing;
        self.differences.extend(other.differences);
        self.differences.truncate(LISTED);
    }

    fn count(&mut self, position: u64, used: &UseLine<'_>, found: Again) {
        match found {
            Again::Same => self.same += 1,
            Again::Standing => self.standing += 1,
            Again::Address => self.without_address += 1,
            Again::Other(decided) => self.differ(position, used, || decided.to_string()),
        }
    }

    fn differ(&mut self, position: u64, used: &UseLine<'_>, decided: impl FnOnce() -> String) {
        self.differing += 1;
        if self.differences.len() < LISTED {
            let recorded = used.code.unwrap_or(Code::Valid).as_str();
            let token = used.token.to_string();
            self.differences.push(Difference { position, token, recorded, decided: decided() });
        }
    }
}

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
    tree: Frontier,
    report: Report,
    threads: usize,
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
            tree: Frontier::default(),
            report: Report::default(),
            threads: threads.max(1),
        }
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
        for part in found {
            self.report.add(part.report);
            if let Some(behind) = &mut self.behind {
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
}

fn decide<'t>(
    state: &State,
    addresses: &Addresses,
    first: u64,
    items: &[Item<'t>],
    is_bounded: bool,
) -> Found<'t> {
    let mut found = Found { report: Report::default(), earlier: Vec::new() };
    for (position, item) in (first..).zip(items) {
        let Some((used, text)) = item.used() else {
            found.report.admin_uses += 1;
            continue;
        };
        match used.seen {
            Some(seen) if seen < state.version() && is_bounded => found.earlier.push((position, seen, text)),
            Some(seen) if seen != state.version() => found.report.differ(position, &used, || {
                let version = state.version();
                format!("no answer: it names version {seen}, which the log was not at (its own is {version})")
            }),
            _ => found.report.count(position, &used, again(state, &used, |text| addresses.open(text))),
        }
    }
    found
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
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Log(error.into())
    }
}

/// Replays the log of a database up to where it is when this begins, with the addresses that are not erased. `progress`
/// is told how many lines are done, of how many.
pub async fn replay(
    log: &Log,
    replay: Replay,
    mut progress: impl FnMut(u64, u64),
) -> Result<(Report, State), Failure> {
    let size = log.head().await?.size;
    let (mut position, mut last) = (0, Uuid::nil());
    let mut running = spawn_blocking(|| Ok(replay));
    loop {
        // While a page is decided, the next one is on its way.
        let commits =
            if position < size { log.commits_after(position, last, COMMITS).await? } else { Vec::new() };
        let replay = running.await.map_err(|_| Failure::Log(Fatal::Panicked("replay")))??;
        progress(replay.position(), size);
        let Some(end) = commits.last() else { return Ok(replay.finish()?) };
        (position, last) = (end.end(), end.id);
        let (log, handle) = (log.clone(), Handle::current());
        running = spawn_blocking(move || replay.commits(&commits, &log, &handle));
    }
}

impl Replay {
    fn commits(mut self, commits: &[Commit], log: &Log, handle: &Handle) -> Result<Self, Failure> {
        let texts: Vec<&str> = commits.iter().map(|commit| commit.lines.as_str()).collect();
        let lines = texts.join("\n");
        let page = self.read(&lines)?;
        let wanted = self.wanted(&page);
        let opened = handle.block_on(crate::people::open(log, wanted.iter().copied()))?;
        for commitment in wanted {
            let value = opened.get(commitment).and_then(Opened::value);
            let address = value.and_then(|value| value.parse().ok());
            self.addresses.0.insert(commitment.into(), address);
        }
        self.take(&page)?;
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
