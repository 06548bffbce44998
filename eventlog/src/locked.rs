//! The way out after lost races: append while nobody else can.

use sqlx::Executor;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use crate::append::{self, Attempt};
use crate::draft::{Appended, Condition, Draft};
use crate::{Commit, Error, Head, Point, Writer, pages};

/// The head's row lock, held in an open transaction: the log stands still until this is released, used or
/// dropped.
///
/// Be quick: the server ends the transaction, and with it the lock, when it hears nothing for a second.
/// Dropping it closes the connection, which has the same effect at once.
#[derive(Debug)]
pub struct Locked<'writer> {
    writer: &'writer mut Writer,
    /// Not in the writer meanwhile: a transaction that is left half-way must never be used for anything else.
    connection: PgConnection,
    head: Head,
}

impl<'writer> Locked<'writer> {
    pub(crate) async fn take(
        writer: &'writer mut Writer,
        mut connection: PgConnection,
    ) -> Result<Locked<'writer>, Error> {
        let locking = async {
            connection
                .execute("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '1s'")
                .await
                .map_err(|error| Error::from_sqlx("locking the head", &error))?;
            let row = sqlx::query(
                "SELECT size, version, last_lifecycle, (extract(epoch FROM clock_timestamp()) * 1000000)::int8
                 FROM chancery.log_head FOR UPDATE",
            )
            .fetch_one(&mut connection)
            .await
            .map_err(|error| Error::from_sqlx("locking the head", &error))?;
            pages::head_of(&row, 0).map_err(|error| Error::from_sqlx("locking the head", &error))
        };
        let head = timeout(writer.statement_ceiling(), locking).await.map_err(|_| silent())??;
        Ok(Locked { writer, connection, head })
    }

    /// The head, which does not move while it is locked. Its time is the one at which the lock was taken.
    pub fn head(&self) -> Head {
        self.head
    }

    /// As [`Log::lifecycle_from`](crate::Log::lifecycle_from): what to catch up with before deciding.
    pub async fn lifecycle_from(&mut self, version: u64, limit: u32) -> Result<Vec<Commit>, Error> {
        let reading = pages::lifecycle_from(&mut self.connection, version, None, limit);
        timeout(self.writer.statement_ceiling(), reading).await.map_err(|_| silent())?
    }

    /// As [`Log::lifecycle_after`](crate::Log::lifecycle_after).
    pub async fn lifecycle_after(
        &mut self,
        version: u64,
        last: Uuid,
        limit: u32,
    ) -> Result<Vec<Commit>, Error> {
        let reading = pages::lifecycle_from(&mut self.connection, version, Some(last), limit);
        timeout(self.writer.statement_ceiling(), reading).await.map_err(|_| silent())?
    }

    /// As [`Log::commits_after`](crate::Log::commits_after).
    pub async fn commits_after(&mut self, size: u64, last: Uuid, limit: u32) -> Result<Vec<Commit>, Error> {
        let reading = pages::commits_from(&mut self.connection, size, Some(last), limit);
        timeout(self.writer.statement_ceiling(), reading).await.map_err(|_| silent())?
    }

    /// Appends and commits. The answer is [`Appended::ConditionFailed`] only when the connection was lost at
    /// the commit and another writer came first: then decide again, as after any lost race.
    pub async fn append(mut self, draft: &Draft) -> Result<Appended, Error> {
        draft.check()?;
        self.writer.faults().at(Point::Locked).await?;
        let ceiling = self.writer.statement_ceiling();
        let condition = Condition::Size(self.head.size);
        let sending = append::send(&mut self.connection, draft, condition, None);
        // Nothing has been committed as long as COMMIT has not been sent: every error up to here is a plain
        // failure.
        let place = match timeout(ceiling, sending).await.map_err(|_| silent())? {
            Ok(Some((place, _))) => place,
            Ok(None) => return Err(Error::corrupt("the head moved while it was locked")),
            Err(error) => {
                // Only a connection that is gone has certainly given the lock back.
                drop(self.connection);
                return match append::judge(&error) {
                    Attempt::Exists => self.writer.resolve(draft, condition).await,
                    Attempt::Undone(error) => Err(error),
                    _ => Err(Error::from_sqlx("appending", &error)),
                };
            }
        };
        self.writer.doubt(Some(draft.id));
        if self.writer.faults().at(Point::Committing).await.is_ok()
            && let Ok(Ok(_)) = timeout(ceiling, self.connection.execute("COMMIT")).await
            && self.writer.faults().at(Point::Answered).await.is_ok()
        {
            self.writer.doubt(None);
            self.writer.put_back(self.connection);
            return Ok(Appended::Committed(place));
        }
        // The commit may have happened. The lock makes the size the condition that it was made under.
        drop(self.connection);
        self.writer.resolve(draft, condition).await
    }

    /// Gives the lock back without appending.
    pub async fn release(mut self) -> Result<(), Error> {
        let ending = self.connection.execute("ROLLBACK");
        timeout(self.writer.statement_ceiling(), ending)
            .await
            .map_err(|_| silent())?
            .map_err(|error| Error::from_sqlx("releasing the head", &error))?;
        self.writer.put_back(self.connection);
        Ok(())
    }
}

fn silent() -> Error {
    Error::Unavailable {
        doing: "holding the head's lock",
        reason: "the server did not answer in time".into(),
    }
}
