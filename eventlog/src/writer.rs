//! The one connection that appends, and how it finds out what became of a commit whose answer was lost.
//!
//! # Why an ambiguous commit ends exactly once
//!
//! The connection broke after the statement S (id X, condition C) may have been sent. The old server process
//! may not have read it yet, may be executing it, may be waiting for the head's row lock, or may have
//! committed it. The writer sends S again on another connection, with the same id and bytes: S'. Every S
//! takes the head's row lock before it inserts, and every commit's id is unique for ever. So:
//!
//! - **Never twice.** S and S' are ordered by the head's row lock. The one that comes second meets a
//!   condition that no longer holds, or the unique id, which undoes its whole statement, the head's update
//!   included.
//! - **Never lost.** S' waits on the row lock as long as S is undecided; it is not possible for S' to answer
//!   while S is between its update of the head and its commit. What S' answers is therefore about a settled S
//!   or about an S that has not begun:
//!   - *A row*: S' committed. A later S meets the unique id.
//!   - *The unique id is violated*: S had committed. Its place is read.
//!   - *No row*: the condition did not hold on a committed head that is newer than the one on which the
//!     caller decided (who had seen that one committed). It will never hold again: `LastLifecycle` compares
//!     with an identity, which the head never takes a second time, because commit ids are unique; `Size`
//!     compares with a number that only grows. An S that has not begun can thus only fail, and an S that made
//!     the condition false itself has committed. One snapshot, taken after S' answered, decides: X is there,
//!     it happened; X is absent and the condition is false, it did not happen and never will. (Should the
//!     condition hold in that snapshot, the database went backwards; nothing is concluded and S' is sent
//!     again.)
//! - **`Always`** has no condition that could fail: S' commits, or meets the unique id, or goes on trying.
//!
//! Any other error of S' (a timeout behind the lock of S, a full disk) says nothing about S: the writer tries
//! again until its deadline, and then says [`Error::OutcomeUnknown`], never that the commit failed.
//!
//! All this assumes that the primary is fenced: a second server that still accepts S is outside of it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::append::{self, Attempt};
use crate::clock::Stopwatch;
use crate::draft::{Appended, Condition, Draft};
use crate::log::Settings;
use crate::session::{self, Purpose};
use crate::{Commit, Error, Faults, Head, Locked, Point, pages};

/// Owns one connection, outside the pool, and reconnects by itself.
///
/// Run every call to its end: none is meant to be cancelled. A call that is dropped half-way takes the
/// connection with it, so that nothing half-read is ever used again, but what became of an append is then
/// known to nobody until [`Writer::append`] or [`Writer::resolve`] is called with the same draft and condition.
pub struct Writer {
    options: Arc<PgConnectOptions>,
    settings: Settings,
    /// Taken out while a statement runs: only a connection whose statement ended well comes back.
    connection: Option<PgConnection>,
    in_doubt: Option<Uuid>,
    /// Where the head's row was after the last append: a hint, good until somebody else appends.
    head_row: Option<append::Row>,
    faults: Faults,
}

impl Writer {
    pub(crate) async fn open(
        options: Arc<PgConnectOptions>,
        settings: Settings,
        faults: Faults,
    ) -> Result<Writer, Error> {
        let mut writer =
            Writer { options, settings, connection: None, in_doubt: None, head_row: None, faults };
        let connection = writer.take().await?;
        writer.put_back(connection);
        Ok(writer)
    }

    /// Gives up the connection: the next call opens another, on the runtime that it is called on.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Appends a draft if the condition holds, in one autocommit statement.
    ///
    /// [`Appended::ConditionFailed`] and every error but [`Error::OutcomeUnknown`] mean that nothing was
    /// appended and nothing will be. When the connection breaks half-way, this finds out what happened until
    /// [`Settings::resolve_deadline`], and then answers [`Error::OutcomeUnknown`]. A draft that is in doubt
    /// is resolved, not sent as if for the first time.
    pub async fn append(&mut self, draft: &Draft, condition: Condition) -> Result<Appended, Error> {
        draft.check()?;
        if self.in_doubt == Some(draft.id) {
            return self.resolve(draft, condition).await;
        }
        let connection = self.take().await?;
        // In doubt from here on, even if this call is dropped half-way.
        self.in_doubt = Some(draft.id);
        let answer = match self.attempt(connection, draft, condition).await {
            Attempt::Committed(place) => Ok(Appended::Committed(place)),
            Attempt::ConditionFailed => Ok(Appended::ConditionFailed),
            Attempt::Undone(error) => Err(error),
            Attempt::Exists => return self.resolve(draft, condition).await,
            Attempt::Unknown(reason) => {
                tracing::warn!(id = %draft.id, reason, "the answer to an append was lost: finding out");
                return self.resolve(draft, condition).await;
            }
        };
        self.in_doubt = None;
        answer
    }

    /// Finds out what became of a draft that was sent with this condition, appending it if it is still
    /// possible and has not happened. Call it again after [`Error::OutcomeUnknown`], for as long as it takes.
    pub async fn resolve(&mut self, draft: &Draft, condition: Condition) -> Result<Appended, Error> {
        draft.check()?;
        self.in_doubt = Some(draft.id);
        let watch = Stopwatch::start();
        let mut pause = Duration::from_millis(10);
        loop {
            let reason = match self.settle(draft, condition).await {
                Settled::Answer(answer) => {
                    self.in_doubt = None;
                    return answer;
                }
                Settled::Not(reason) => reason,
            };
            if watch.elapsed() + pause > self.settings.resolve_deadline {
                return Err(Error::OutcomeUnknown { id: draft.id, reason });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// What a test may have planned.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How far the log reaches now.
    pub async fn head(&mut self) -> Result<Head, Error> {
        let mut retry = self.first_try();
        loop {
            let mut connection = self.take().await?;
            let result = timeout(self.statement_ceiling(), pages::head(&mut connection)).await;
            if let Some(result) = self.finish(connection, result, &mut retry) {
                return result;
            }
        }
    }

    /// As [`Log::lifecycle_from`](crate::Log::lifecycle_from), on the writer's own connection: it sees
    /// everything that made a condition fail.
    pub async fn lifecycle_from(&mut self, version: u64, limit: u32) -> Result<Vec<Commit>, Error> {
        self.lifecycle(version, None, limit).await
    }

    /// As [`Log::lifecycle_after`](crate::Log::lifecycle_after), on the writer's own connection.
    pub async fn lifecycle_after(
        &mut self,
        version: u64,
        last: Uuid,
        limit: u32,
    ) -> Result<Vec<Commit>, Error> {
        self.lifecycle(version, Some(last), limit).await
    }

    async fn lifecycle(
        &mut self,
        version: u64,
        last: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Commit>, Error> {
        let mut retry = self.first_try();
        loop {
            let mut connection = self.take().await?;
            let reading = pages::lifecycle_from(&mut connection, version, last, limit);
            let result = timeout(self.statement_ceiling(), reading).await;
            if let Some(result) = self.finish(connection, result, &mut retry) {
                return result;
            }
        }
    }

    /// As [`Log::commits_after`](crate::Log::commits_after), on the writer's own connection.
    pub async fn commits_after(&mut self, size: u64, last: Uuid, limit: u32) -> Result<Vec<Commit>, Error> {
        let mut retry = self.first_try();
        loop {
            let mut connection = self.take().await?;
            let reading = pages::commits_from(&mut connection, size, Some(last), limit);
            let result = timeout(self.statement_ceiling(), reading).await;
            if let Some(result) = self.finish(connection, result, &mut retry) {
                return result;
            }
        }
    }

    /// Takes the head's row lock in a short transaction: the way out after lost races. See [`Locked`].
    pub async fn lock(&mut self) -> Result<Locked<'_>, Error> {
        let connection = self.take().await?;
        Locked::take(self, connection).await
    }

    /// One more attempt, and if it did not append, one snapshot that says why.
    async fn settle(&mut self, draft: &Draft, condition: Condition) -> Settled {
        let connection = match self.take().await {
            Ok(connection) => connection,
            Err(error) => return Settled::Not(error.to_string()),
        };
        match self.attempt(connection, draft, condition).await {
            Attempt::Committed(place) => return Settled::Answer(Ok(Appended::Committed(place))),
            Attempt::Exists | Attempt::ConditionFailed => {}
            Attempt::Undone(error) => return Settled::Not(error.to_string()),
            Attempt::Unknown(reason) => return Settled::Not(reason),
        }
        if let Err(error) = self.faults.at(Point::Resolving).await {
            return Settled::Not(error.to_string());
        }
        let mut retry = self.first_try();
        let looked = loop {
            let mut connection = match self.take().await {
                Ok(connection) => connection,
                Err(error) => return Settled::Not(error.to_string()),
            };
            let result = timeout(self.statement_ceiling(), append::look_for(&mut connection, draft)).await;
            if let Some(result) = self.finish(connection, result, &mut retry) {
                break result;
            }
        };
        match looked {
            Ok((Some(found), _)) => Settled::Answer(found.same_as(draft).map(Appended::Committed)),
            Ok((None, head)) if condition.failed_for_good(&head) => {
                Settled::Answer(Ok(Appended::ConditionFailed))
            }
            Ok((None, _)) => Settled::Not("the id is absent and the condition may still hold".into()),
            Err(error) => Settled::Not(error.to_string()),
        }
    }

    async fn attempt(
        &mut self,
        mut connection: PgConnection,
        draft: &Draft,
        condition: Condition,
    ) -> Attempt {
        if let Err(error) = self.faults.at(Point::Sending).await {
            return Attempt::Unknown(error.to_string());
        }
        let is_free = self.faults.unconditional() && draft.lifecycle == 0;
        let condition = if is_free { Condition::Always } else { condition };
        let sending = append::send(&mut connection, draft, condition, self.head_row.as_ref());
        let Ok(result) = timeout(self.statement_ceiling(), sending).await else {
            return Attempt::Unknown("the server did not answer in time".into());
        };
        match result {
            Ok(row) => {
                if let Err(error) = self.faults.at(Point::Answered).await {
                    return Attempt::Unknown(error.to_string());
                }
                self.put_back(connection);
                let Some((place, head_row)) = row else { return Attempt::ConditionFailed };
                self.head_row = Some(head_row);
                Attempt::Committed(place)
            }
            Err(error) => {
                let attempt = append::judge(&error);
                // A read-only server is another server than the one that was checked: connect, and check,
                // again.
                if matches!(attempt, Attempt::Exists)
                    || matches!(&attempt, Attempt::Undone(Error::Refused { .. }))
                {
                    self.put_back(connection);
                }
                attempt
            }
        }
    }

    /// Whether a read may be tried once more: an old connection may turn out to be dead, a new one is not.
    fn first_try(&self) -> Retry {
        if self.connection.is_some() { Retry::Once } else { Retry::No }
    }

    /// The end of a read: its answer, or nothing if it should be tried again on a new connection.
    fn finish<T>(
        &mut self,
        connection: PgConnection,
        result: Result<Result<T, Error>, Elapsed>,
        retry: &mut Retry,
    ) -> Option<Result<T, Error>> {
        let result = result.unwrap_or_else(|_| {
            Err(Error::Unavailable { doing: "reading", reason: "the server did not answer in time".into() })
        });
        if !matches!(result, Err(Error::Unavailable { .. })) {
            self.put_back(connection);
            return Some(result);
        }
        match std::mem::replace(retry, Retry::No) {
            Retry::Once => None,
            Retry::No => Some(result),
        }
    }

    /// The client's own limit, for a server or network that falls silent: a little more than the server's.
    pub(crate) fn statement_ceiling(&self) -> Duration {
        self.settings.append_timeout + Duration::from_secs(1)
    }

    pub(crate) async fn take(&mut self) -> Result<PgConnection, Error> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = session::open(&self.options, &self.settings, Purpose::Append).await?;
        append::prepare(&mut connection).await?;
        Ok(connection)
    }

    /// Remembers what is being committed under the lock, until it is known.
    pub(crate) fn doubt(&mut self, draft: Option<Uuid>) {
        self.in_doubt = draft;
    }

    pub(crate) fn put_back(&mut self, connection: PgConnection) {
        self.connection = Some(connection);
    }
}

enum Retry {
    Once,
    No,
}

enum Settled {
    Answer(Result<Appended, Error>),
    Not(String),
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("connected", &self.connection.is_some())
            .field("in_doubt", &self.in_doubt)
            .finish_non_exhaustive()
    }
}
