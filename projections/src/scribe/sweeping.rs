//! A sweep's commit: it is decided on uses, so it stands alone in its batch, on a log that has not grown since the last
//! use was read. Another node's verify between the two makes the append fail, and the sweep is decided again.

use super::{Desk, Written, decide, is_fatal};
use crate::catch_up::Fatal;
use crate::sweep::{LastKnown, Sweep};
use crate::work::{Call, Work};
use eventlog::{Commit, Condition, Error, Locked, Place, Writer};
use std::sync::atomic::Ordering::Relaxed;

/// Commits on a page.
const PAGE: u32 = 1_000;

/// Where uses are read from.
enum Source<'s, 'w> {
    Writer(&'s mut Writer),
    Locked(&'s mut Locked<'w>),
}

impl Source<'_, '_> {
    async fn page(&mut self, known: &LastKnown) -> Result<Vec<Commit>, Error> {
        let (size, commit) = known.reach;
        match self {
            Self::Writer(writer) => writer.commits_after(size, commit, PAGE).await,
            Self::Locked(locked) => locked.commits_after(size, commit, PAGE).await,
        }
    }
}

/// Takes in every use up to a size of the log.
async fn read_uses(known: &mut LastKnown, source: &mut Source<'_, '_>, size: u64) -> Result<(), Fatal> {
    while known.reach.0 < size {
        for commit in source.page(known).await? {
            known.take_in(&commit)?;
        }
    }
    Ok(())
}

impl Desk {
    /// Decides and appends a sweep.
    pub(super) async fn write_sweep(&mut self, call: &Call, mut sweep: Sweep) -> Result<Written, Fatal> {
        for _ in 0..2 {
            match away(self.attempt_sweep(call, &mut sweep).await)? {
                Some(written) => return Ok(written),
                None => drop(self.live.stats.races.fetch_add(1, Relaxed)),
            }
        }
        loop {
            self.live.stats.locks.fetch_add(1, Relaxed);
            if let Some(written) = away(self.attempt_sweep_locked(call, &mut sweep).await)? {
                return Ok(written);
            }
        }
    }

    async fn attempt_sweep(&mut self, call: &Call, sweep: &mut Sweep) -> Result<Option<Written>, Fatal> {
        let since = self.live.clock().monotonic();
        // The state first: what is appended on this size was decided on a state that is as new.
        let head = self.cursor.catch_up(&self.live, &mut self.writer).await?;
        read_uses(&mut sweep.known, &mut Source::Writer(&mut self.writer), head.size).await?;
        let work = Work::Sweep(Box::new(sweep.clone()));
        let (decided, held) =
            decide(&self.live, &mut self.people, &self.random, std::iter::once((call, &work)))?;
        let Some(draft) = &decided.draft else {
            let place = Place { first: head.size, version: head.version, time: head.time };
            return Ok(Some(Written::Done(decided, held, place)));
        };
        let condition = Condition::Size(head.size);
        let appended = self.writer.append(draft, condition).await;
        self.settle(appended, condition, decided, held, since).await
    }

    async fn attempt_sweep_locked(
        &mut self,
        call: &Call,
        sweep: &mut Sweep,
    ) -> Result<Option<Written>, Fatal> {
        let since = self.live.clock().monotonic();
        let mut locked = self.writer.lock().await?;
        self.cursor.catch_up_locked(&self.live, &mut locked).await?;
        let head = locked.head();
        read_uses(&mut sweep.known, &mut Source::Locked(&mut locked), head.size).await?;
        let work = Work::Sweep(Box::new(sweep.clone()));
        let (decided, held) =
            decide(&self.live, &mut self.people, &self.random, std::iter::once((call, &work)))?;
        let Some(draft) = &decided.draft else {
            locked.release().await?;
            let place = Place { first: head.size, version: head.version, time: head.time };
            return Ok(Some(Written::Done(decided, held, place)));
        };
        let appended = locked.append(draft).await;
        self.settle(appended, Condition::Size(head.size), decided, held, since).await
    }
}

/// Nothing has happened where the database was away before anything was appended.
fn away(attempted: Result<Option<Written>, Fatal>) -> Result<Option<Written>, Fatal> {
    match attempted {
        Err(Fatal::Log(error)) if !is_fatal(&error) => Ok(Some(Written::Away(error))),
        other => other,
    }
}
