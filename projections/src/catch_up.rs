//! Folding what other nodes have appended, and noticing a database that is not the one it was.

use crate::live::Live;
use crate::snapshots::Taken;
use domain::line::{Line, LineError};
use domain::state::{Corrupt, State};
use eventlog::{Commit, Head, Locked, Mark, Marker, Point, Writer};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use thiserror::Error;
use tokio::task::{JoinHandle, spawn_blocking};
use uuid::Uuid;

/// How many commits a page of the fold holds.
const PAGE: u32 = 2_000;
/// So few lines are read where they are wanted.
const FEW_LINES: u64 = 256;

/// What stops a node: it never guesses.
#[derive(Debug, Error)]
pub enum Fatal {
    /// The log itself.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// A line that this build cannot read.
    #[error("position {position}: {error}")]
    Line {
        /// Where it stands.
        position: u64,
        /// What is wrong with it.
        error: LineError,
    },
    /// An authority cannot begin, or cannot go on with this database.
    #[error("{0}")]
    Start(String),
    /// A task of the node's ended by a panic: a mistake in this program.
    #[error("the {0} ended by a panic")]
    Panicked(&'static str),
    /// Lines that do not follow from each other.
    #[error(transparent)]
    Fold(#[from] Corrupt),
}

impl Fatal {
    /// Whether it is only that the database is away: then a node waits for it.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Log(eventlog::Error::Unavailable { .. } | eventlog::Error::OutcomeUnknown { .. })
        )
    }
}

/// How far a node has folded the log.
pub(crate) struct Cursor {
    /// The last commit with lifecycle lines; nil at the start.
    pub(crate) last_lifecycle: Uuid,
    /// The size of the log that has been seen.
    pub(crate) size: u64,
    marks: Arc<Marks>,
}

/// The node's mark on disk. It moves only once the database is known to be the one to go on with, and never back.
pub(crate) struct Marks {
    marker: Marker,
    size: AtomicU64,
    /// The last checkpoint that the node signed or saw.
    checkpoint: Mutex<Option<String>>,
    /// Where the mark is, once it has moved.
    last: Mutex<Option<Mark>>,
}

impl Marks {
    /// A mark that does not move yet.
    pub(crate) fn new(marker: Marker, checkpoint: Option<String>) -> Self {
        let (checkpoint, last) = (Mutex::new(checkpoint), Mutex::default());
        Self { marker, size: AtomicU64::new(u64::MAX), checkpoint, last }
    }

    /// The last checkpoint that the node signed or saw.
    pub(crate) fn checkpoint(&self) -> Option<String> {
        self.checkpoint.lock().clone()
    }

    /// The node has signed a checkpoint, or seen one. It is written within a second, as the mark's place is.
    pub(crate) fn signed(&self, note: String) {
        *self.checkpoint.lock() = Some(note.clone());
        if let Some(last) = &mut *self.last.lock() {
            last.checkpoint = Some(note);
            self.marker.moved(last.clone());
        }
    }

    /// Lets the mark move on from a size.
    pub(crate) fn release(&self, size: u64) {
        self.size.store(size, Relaxed);
    }

    /// The log has been seen up to the end of a commit.
    pub(crate) fn moved(&self, live: &Live, size: u64, commit: Uuid) {
        if self.size.fetch_max(size, Relaxed) < size {
            let origin = live.read(|state| state.instance().map(|instance| instance.origin.to_string()));
            let mut last = self.last.lock();
            let checkpoint = self.checkpoint();
            let mark = Mark { size, commit, origin: origin.unwrap_or_default(), checkpoint };
            self.marker.moved(last.insert(mark).clone());
        }
    }

    /// Writes the mark a last time.
    pub(crate) async fn stop(self) -> Result<(), eventlog::Error> {
        self.marker.stop().await
    }
}

/// Where lifecycle commits are read from.
enum Source<'a, 'w> {
    Writer(&'a mut Writer),
    Locked(&'a mut Locked<'w>),
}

impl Source<'_, '_> {
    /// The next page after the last commit that was folded, which still has to be there.
    async fn page(&mut self, version: u64, last: Uuid) -> Result<Vec<Commit>, eventlog::Error> {
        match self {
            Self::Writer(writer) => writer.lifecycle_after(version, last, PAGE).await,
            Self::Locked(locked) => locked.lifecycle_after(version, last, PAGE).await,
        }
    }
}

/// A commit whose lifecycle lines were read.
struct ReadCommit {
    id: Uuid,
    end: u64,
    lines: Vec<Line>,
}

/// A page whose lines are being read: a long one on a thread of its own.
enum Reading {
    Done(Result<Vec<ReadCommit>, Fatal>),
    Running(JoinHandle<Result<Vec<ReadCommit>, Fatal>>),
}

impl Reading {
    /// Begins to read a page, if there is anything on it; says how far it reaches.
    fn follow(page: Vec<Commit>, fetched: &mut u64, last: &mut Uuid) -> Option<Self> {
        let end = page.last()?;
        (*fetched, *last) = (end.version_after(), end.id);
        Some(Self::begin(page))
    }

    fn begin(page: Vec<Commit>) -> Self {
        let is_long = page.iter().map(|commit| u64::from(commit.lifecycle)).sum::<u64>() > FEW_LINES;
        let read = move || page.iter().map(read_commit).collect();
        if is_long { Self::Running(spawn_blocking(read)) } else { Self::Done(read()) }
    }

    async fn end(self) -> Result<Vec<ReadCommit>, Fatal> {
        match self {
            Self::Done(commits) => commits,
            Self::Running(reading) => reading.await.unwrap_or(Err(Fatal::Panicked("fold"))),
        }
    }
}

fn read_commit(commit: &Commit) -> Result<ReadCommit, Fatal> {
    let lines = commit
        .numbered()
        .map(|(position, text)| Line::read(text).map_err(|error| Fatal::Line { position, error }))
        .filter(|line| line.as_ref().map_or(true, |line| line.event.is_lifecycle()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(ReadCommit { id: commit.id, end: commit.end(), lines })
}

impl Cursor {
    pub(crate) fn new(marks: Arc<Marks>) -> Self {
        Self { last_lifecycle: Uuid::nil(), size: 0, marks }
    }

    /// Begins with the state of a snapshot rather than with nothing.
    pub(crate) fn go_on_from(&mut self, live: &Live, taken: &Taken, state: State) {
        live.write(|empty| *empty = state);
        (self.last_lifecycle, self.size) = (taken.commit, taken.size);
    }

    /// Folds everything up to a head that was read after `since`.
    pub(crate) async fn catch_up(&mut self, live: &Live, writer: &mut Writer) -> Result<Head, Fatal> {
        let since = live.clock().monotonic();
        let head = writer.head().await?;
        writer.faults().at(Point::CatchingUp).await?;
        live.clock().observe_since(since, head.time);
        if head.last_lifecycle != self.last_lifecycle || head.size < self.size {
            self.fold_to(live, &mut Source::Writer(writer), &head).await?;
        }
        self.size = head.size;
        live.reached(head.size, since);
        Ok(head)
    }

    /// The same inside the transaction that holds the head's lock.
    pub(crate) async fn catch_up_locked(
        &mut self,
        live: &Live,
        locked: &mut Locked<'_>,
    ) -> Result<(), Fatal> {
        let since = live.clock().monotonic();
        let head = locked.head();
        live.clock().observe(head.time);
        self.fold_to(live, &mut Source::Locked(locked), &head).await?;
        self.size = head.size;
        live.reached(head.size, since);
        Ok(())
    }

    async fn fold_to(&mut self, live: &Live, source: &mut Source<'_, '_>, head: &Head) -> Result<(), Fatal> {
        let went_backwards = |version: u64, size: u64| {
            Fatal::Log(eventlog::Error::WentBackwards {
                remembered: format!("this node has seen {size} lines and folded to version {version}"),
                found: format!("the head says {} lines and version {}", head.size, head.version),
            })
        };
        let mut version = live.read(State::version);
        // Only this task folds, so a head that it reads afterwards cannot be behind.
        if head.size < self.size || head.version < version {
            return Err(went_backwards(version, self.size));
        }
        // While a page is read, which is most of the work, the next one is on its way.
        let (mut fetched, mut last) = (version, self.last_lifecycle);
        let mut reading: Option<Reading> = None;
        loop {
            let page = if fetched < head.version { source.page(fetched, last).await } else { Ok(Vec::new()) };
            // What came is folded whatever became of the next page, or a connection that dies on each gets nowhere.
            if let Some(before) = reading.take() {
                let next = page.map(|page| Reading::follow(page, &mut fetched, &mut last));
                for commit in before.end().await? {
                    self.fold(live, &commit)?;
                }
                reading = next?;
            } else {
                reading = Reading::follow(page?, &mut fetched, &mut last);
            }
            if reading.is_none() {
                break;
            }
        }
        version = live.read(State::version);
        if version < head.version || (version == head.version && self.last_lifecycle != head.last_lifecycle) {
            return Err(went_backwards(version, self.size));
        }
        Ok(())
    }

    /// Folds the lifecycle lines of a commit that others appended, whole or not at all.
    fn fold(&mut self, live: &Live, commit: &ReadCommit) -> Result<(), Fatal> {
        live.write(|state| commit.lines.iter().try_for_each(|line| state.apply(line)))?;
        live.folded(&commit.lines);
        // Or a node that starts would look at every token through all that was ever revoked with what it minted.
        if live.read(State::is_marking) {
            live.write(State::mark_some);
        }
        self.last_lifecycle = commit.id;
        self.marks.moved(live, commit.end, commit.id);
        Ok(())
    }

    /// Folds what this node has appended itself.
    pub(crate) fn committed(
        &mut self,
        live: &Live,
        draft: &eventlog::Draft,
        events: &[Line],
        end: u64,
        since: Duration,
    ) -> Result<(), Fatal> {
        if !events.is_empty() {
            live.write(|state| events.iter().try_for_each(|line| state.apply(line)))?;
            live.folded(events);
            self.last_lifecycle = draft.id;
        }
        self.size = self.size.max(end);
        self.marks.moved(live, end, draft.id);
        live.reached(end, since);
        Ok(())
    }
}
