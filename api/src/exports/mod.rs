//! The log, taken away: exact lines, or rows for those who calculate with them.
//!
//! An export is a file of certain positions. The same positions always come to the same bytes, on every node, so that a
//! manifest can say their hash, and whoever was cut off can go on where a part ended.

mod compression;
pub(crate) mod export;
mod file;
pub(crate) mod manifest;
mod parquet;
pub(crate) mod personal;
mod reading;
mod row;

use crate::seats::Limits;

/// How many there may be.
pub(crate) const EXPORTS: Limits =
    Limits { name: "exports", most: 8, most_of_organization: 3, most_of_one: 2 };

/// How many copies of the state there may be: each is made while everybody who changes it waits.
pub(crate) const STATES: Limits =
    Limits { name: "copies of the state", most: 1, most_of_organization: 1, most_of_one: 1 };

pub use file::Format;

use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::error::{invalid, problem};
use domain::authority::Caller;
use domain::query::{self, Read};
use domain::scope::Scope;
use domain::state::State;
use std::ops::Range;

/// What a request asks for.
struct Asked<'q> {
    organization: Option<&'q str>,
    from_position: Option<u64>,
    until_position: Option<u64>,
    at_least: Option<u64>,
}

/// What it gets, if it still may when it comes.
struct Granted {
    place: Scope,
    positions: Range<u64>,
    /// The size of the log.
    size: u64,
    caller: Caller,
}

impl Asked<'_> {
    /// Records the call, and settles what it is about.
    async fn grant(&self, app: &App, session: &Session, operation: &'static str) -> Result<Granted, Problem> {
        let read = Read::Export(self.organization.map(str::to_owned));
        app.readable(session, operation, read, self.at_least).await?;
        let size = app.node().live().position();
        let (place, caller) = look(app, session, |state, caller| {
            query::exported(state, caller, self.organization).map(|place| (place, caller.clone()))
        })?;
        let to = match self.until_position {
            Some(to) if to > size => {
                return Err(invalid(
                    "until_position",
                    &to.to_string(),
                    &format!("at most {size}, the size of the log"),
                ));
            }
            other => other.unwrap_or(size),
        };
        let from = self.from_position.unwrap_or_default();
        if from > to {
            return Err(invalid(
                "from_position",
                &from.to_string(),
                &format!("at most {to}, where the export ends"),
            ));
        }
        Ok(Granted { place, positions: from..to, size, caller })
    }
}

/// Asks the state, for the caller as it is now.
pub(crate) fn look<R>(
    app: &App,
    session: &Session,
    ask: impl FnOnce(&State, &Caller) -> Result<R, domain::rejection::Rejection>,
) -> Result<R, Problem> {
    app.node().live().read(|state| {
        let caller = app.again(state, session)?;
        ask(state, &caller).map_err(|rejection| problem(&rejection.into()))
    })
}
