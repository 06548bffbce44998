//! The one error of the log, and what an error of the database says about a statement's fate.

use std::path::PathBuf;

use sqlx::postgres::{PgDatabaseError, PgSeverity};
use uuid::Uuid;

/// What can go wrong with the log. No message holds a credential, a line or a personal value: of the
/// database's errors only the primary message and the SQLSTATE are kept, because the details quote rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached or cannot do it now, and nothing was changed. Try again later.
    #[error("the database is unavailable ({doing}): {reason}; nothing was changed")]
    Unavailable {
        /// What was attempted.
        doing: &'static str,
        /// What the database or the network said.
        reason: String,
    },
    /// The commit may have happened. Keep calling [`Writer::resolve`](crate::Writer::resolve) with the same
    /// draft and condition until it answers; never decide its batch anew before.
    #[error("it is not yet known whether commit {id} was appended: {reason}")]
    OutcomeUnknown {
        /// The commit's id.
        id: Uuid,
        /// What the last attempt met.
        reason: String,
    },
    /// The stored log contradicts itself. Never guess: stop.
    #[error("the log is corrupt: {what}")]
    Corrupt {
        /// What was found where, and what should have been there.
        what: String,
    },
    /// The database does not contain what was once read from it or written to it.
    #[error(
        "the database went backwards: {remembered}, but {found}; it was restored from a backup, failed over \
         without its tail, or is another database"
    )]
    WentBackwards {
        /// What is remembered of it.
        remembered: String,
        /// What it contains now.
        found: String,
    },
    /// The tree contradicts a checkpoint that was signed: something in the log or in the tree was changed. Nothing is
    /// signed.
    #[error(
        "the tree of {to} lines does not go on from the {size} lines that were signed of {origin}: {found}, and \
         {signed} was signed at size {size}; no checkpoint is signed until they agree"
    )]
    Inconsistent {
        /// The origin of the checkpoint.
        origin: String,
        /// Its size.
        size: u64,
        /// Its root.
        signed: String,
        /// The tree's size.
        to: u64,
        /// What the proof between the two leads to instead.
        found: String,
    },
    /// The database cannot carry a log until an operator changes something.
    #[error("{found}; {needed}")]
    Unsupported {
        /// What was found.
        found: String,
        /// What would be right.
        needed: String,
    },
    /// The database refused a statement for good: a missing right, or a mistake in this program. Nothing was
    /// changed.
    #[error("the database refused ({doing}): {reason}")]
    Refused {
        /// What was attempted.
        doing: &'static str,
        /// What the database said.
        reason: String,
    },
    /// A draft that can never be a commit: a mistake of the caller. Nothing was sent.
    #[error("not a commit: {what}")]
    Invalid {
        /// Which value is wrong, and what would be right.
        what: String,
    },
    /// A file could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
}

impl Error {
    /// The error of a statement that changes nothing, or that certainly did not happen.
    pub fn from_sqlx(doing: &'static str, error: &sqlx::Error) -> Error {
        let reason = describe(error);
        let Some(database) = as_postgres(error) else {
            return match error {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => Error::Unavailable { doing, reason },
                sqlx::Error::RowNotFound => {
                    Error::corrupt(format!("chancery.log_head has no row (seen when {doing})"))
                }
                _ => Error::Refused { doing, reason },
            };
        };
        match database.code() {
            "42P01" | "3F000" => Error::Unsupported {
                found: format!("the database holds no log ({reason})"),
                needed: "run the migrations first".into(),
            },
            "XX001" | "XX002" => {
                Error::Corrupt { what: format!("Postgres reports damaged storage while {doing}: {reason}") }
            }
            code => match &code[..2] {
                "08" | "25" | "40" | "53" | "55" | "57" | "58" => Error::Unavailable { doing, reason },
                _ => Error::Refused { doing, reason },
            },
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Error {
        Error::Corrupt { what: what.into() }
    }
}

/// Whether Postgres has said that the transaction of the failed statement is undone.
///
/// Only a plain ERROR of a class that is raised before the commit record is written counts. A FATAL or PANIC
/// message comes with the end of the connection and may have overtaken a commit (57P01, 57P02), and internal
/// and I/O errors (XX, 58, 08, 40003) may come from behind it.
pub(crate) fn certainly_undone(error: &sqlx::Error) -> bool {
    as_postgres(error).is_some_and(|database| {
        let code = database.code();
        database.severity() == PgSeverity::Error
            && !code.starts_with("57P")
            && code != "40003"
            && matches!(
                &code[..2],
                "0A" | "21" | "22" | "23" | "25" | "40" | "42" | "53" | "54" | "55" | "57" | "P0"
            )
    })
}

/// The violated constraint, when that is what the error says.
pub(crate) fn violated_unique(error: &sqlx::Error) -> Option<&str> {
    as_postgres(error).filter(|database| database.code() == "23505").and_then(PgDatabaseError::constraint)
}

/// The SQLSTATE of a database's error.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    as_postgres(error).map(PgDatabaseError::code)
}

/// The message without the parts that quote rows or statements.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match as_postgres(error) {
        Some(database) => format!("{} (SQLSTATE {})", database.message(), database.code()),
        None => error.to_string(),
    }
}

fn as_postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|database| database.try_downcast_ref::<PgDatabaseError>())
}
