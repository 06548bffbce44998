//! The record, for who may audit it: events, the stream of them, and the views that they are found by.
//!
//! What is shown is the exact line. Whoever may audit a place sees the personal values of its lines as well, as long as
//! nobody erased them, and only those that the lines were written with.

pub(crate) mod events;
pub(crate) mod filter;
pub(crate) mod stream;
pub(crate) mod views;

use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::error::{behind, invalid, problem};
use crate::page::{self, Page};
use crate::wire;
use domain::authority::Caller;
use domain::rejection::Rejection;
use domain::state::State;
use eventlog::personal::{Opened, encode_commitment};
use projections::Failure;
use projections::audit::{EventPage, Order, Summary};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How long a read waits for the position that `at_least` asks for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until the views stand for what `at_least` asks for. The read is on the log by now, so the node stands for it.
pub(crate) async fn reached(app: &App, at_least: Option<u64>) -> Result<(), Problem> {
    let Some(wanted) = at_least else { return Ok(()) };
    let reached = app.node().audit().reaches(wanted, PATIENCE).await.map_err(|error| failed(&error))?;
    if reached >= wanted { Ok(()) } else { Err(behind(wanted, reached)) }
}

/// Asks the state, for the caller as it is now.
pub(crate) fn look<R>(
    app: &App,
    session: &Session,
    ask: impl FnOnce(&State, &Caller) -> Result<R, Rejection>,
) -> Result<R, Problem> {
    app.node().live().read(|state| {
        let caller = app.again(state, session)?;
        ask(state, &caller).map_err(|rejection| problem(&rejection.into()))
    })
}

/// A view that could not be read.
pub(crate) fn failed(error: &eventlog::Error) -> Problem {
    tracing::warn!(%error, "the audit views could not be read");
    problem(&Failure::Unavailable)
}

/// Lines as they are shown, with the personal values of those that `opens` says.
pub(crate) async fn view(
    app: &App,
    lines: Vec<(u64, String)>,
    opens: impl Fn(&Summary<'_>) -> bool,
) -> Result<Vec<wire::AuditEvent>, Problem> {
    let mut commitments = Vec::with_capacity(lines.len());
    for (position, line) in &lines {
        let summary = Summary::read(line).map_err(|error| unread(*position, &error))?;
        let own: Vec<_> = if opens(&summary) { summary.commitments().collect() } else { Vec::new() };
        commitments.push(own);
    }
    let values = values(app, &commitments).await?;
    let shown = lines.into_iter().zip(commitments).map(|((position, line), own)| {
        let (mut personal, mut erased, mut altered) = (BTreeMap::new(), Vec::new(), Vec::new());
        for commitment in own {
            let text = encode_commitment(&commitment);
            match values.get(&commitment) {
                Some(Opened::Value(value)) => drop(personal.insert(text, value.clone())),
                Some(Opened::Altered) => altered.push(text),
                None => erased.push(text),
            }
        }
        let line = RawValue::from_string(line).map_err(|error| unread(position, &error))?;
        Ok(wire::AuditEvent { position, personal, erased, altered, line })
    });
    shown.collect()
}

/// The personal values of some lines.
async fn values(app: &App, of: &[Vec<[u8; 32]>]) -> Result<HashMap<[u8; 32], Opened>, Problem> {
    let mut all: Vec<_> = of.iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return Ok(HashMap::new());
    }
    app.node().audit_log().personal_values(&all).await.map_err(|error| failed(&error))
}

fn unread(position: u64, error: &serde_json::Error) -> Problem {
    tracing::error!(position, %error, "a line could not be read");
    Problem::new(crate::edge::codes::INTERNAL)
}

/// Where a page of events ended.
#[derive(Serialize, Deserialize)]
struct Cursor {
    order: String,
    after: u64,
}

/// In which order a request wants events, and after which position.
pub(crate) fn read_order(order: Option<&str>, cursor: Option<&str>) -> Result<(Order, Option<u64>), Problem> {
    let order = order.unwrap_or("newest");
    let known = match order {
        "newest" => Order::NewestFirst,
        "oldest" => Order::OldestFirst,
        other => return Err(invalid("order", other, "`newest` or `oldest`")),
    };
    let after: Option<Cursor> = page::decode(cursor)?;
    if let Some(other) = after.as_ref().filter(|after| after.order != order) {
        let expected = format!("a cursor of this order; it is of a list with the {} first", other.order);
        return Err(invalid("cursor", cursor.unwrap_or_default(), &expected));
    }
    Ok((known, after.map(|after| after.after)))
}

/// A page of events, and the size of the log that it stands for.
pub(crate) async fn view_page(
    app: &App,
    found: EventPage,
    order: Order,
    opens: impl Fn(&Summary<'_>) -> bool,
) -> Result<(Page<wire::AuditEvent>, u64), Problem> {
    let order = match order {
        Order::NewestFirst => "newest",
        Order::OldestFirst => "oldest",
    };
    let cursor = |after| page::encode(&Cursor { order: order.to_owned(), after });
    let next_cursor = found.next.map(cursor);
    let items = view(app, found.lines, opens).await?;
    Ok((Page { items, next_cursor }, found.position))
}
