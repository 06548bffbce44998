//! The rows of lifecycle events, page by page: they are inserted once and never changed.

use super::READING;
use super::found::{Findings, shown, typed};
use crate::audit::{Kind, Summary};
use crate::replay::page::Item;
use domain::state::State;
use domain::time::Timestamp;
use eventlog::personal::{decode_commitment, encode_commitment};
use eventlog::{Error, Log};
use sqlx::FromRow;
use std::collections::VecDeque;
use uuid::Uuid;

/// Rows that are read at once.
const PAGE: usize = 5_000;

pub(super) struct Events {
    generation: i32,
    /// Where the comparison ends: rows from there on came later.
    until: u64,
    /// What the log says of the page, in its order.
    expected: VecDeque<(u64, Expected)>,
    pub(super) found: Findings,
}

struct Expected {
    first: u64,
    at: Timestamp,
    organization: Option<Uuid>,
    project: Option<Uuid>,
    token: Option<Uuid>,
    actor_token: Option<Uuid>,
    kind: Box<str>,
    actor: Box<str>,
    address: Option<Box<str>>,
}

#[derive(FromRow)]
struct Row {
    position: i64,
    first: i64,
    at: i64,
    organization: Option<Uuid>,
    project: Option<Uuid>,
    token: Option<Uuid>,
    actor_token: Option<Uuid>,
    #[sqlx(rename = "type")]
    kind: String,
    actor: String,
    address: Option<Vec<u8>>,
}

impl Events {
    pub(super) fn new(generation: i32, until: u64) -> Self {
        let mut found = Findings::new("chancery_views.audit_events");
        found.table.position = until;
        Self { generation, until, expected: VecDeque::new(), found }
    }

    /// Takes note of a line of the commit at `first`.
    pub(super) fn take(&mut self, position: u64, first: u64, item: &Item<'_>, state: &State) {
        let Item::Line(line, text) = item else { return };
        if position >= self.until {
            return;
        }
        let summary = Summary::read(text).expect("a line that was read whole is read in part");
        if summary.kind() == Kind::Use {
            return;
        }
        let of_token = || Some(state.tokens().get(summary.token?)?.scope.project()?.0);
        let expected = Expected {
            first,
            at: line.at,
            organization: line.org.map(|id| id.0),
            project: summary.project.map(|id| id.0).or_else(of_token),
            token: summary.token.map(|id| id.0),
            actor_token: line.actor.token.map(|id| id.0),
            kind: (*summary.kind).into(),
            actor: (*summary.actor.by).into(),
            address: line.actor.address.clone().filter(|address| decode_commitment(address).is_some()),
        };
        self.expected.push_back((position, expected));
    }

    /// Holds the rows of a stretch of the log against what was noted of it.
    pub(super) async fn compare(&mut self, log: &Log, from: u64, to: u64) -> Result<(), Error> {
        let to = to.min(self.until);
        // Nothing stands before the log's begin.
        let mut next = if from == 0 { i64::MIN } else { from.cast_signed() };
        while next < to.cast_signed() {
            let rows = self.page(log, next, to).await?;
            let end =
                rows.last().filter(|_| rows.len() == PAGE).map_or(to.cast_signed(), |row| row.position + 1);
            for row in &rows {
                self.row(row);
            }
            while let Some((position, expected)) =
                self.expected.pop_front_if(|(position, _)| position.cast_signed() < end)
            {
                self.missing(position, &expected);
            }
            next = end;
        }
        Ok(())
    }

    /// Finds rows past the size that the generation stands for.
    pub(super) async fn finish(&mut self, log: &Log) -> Result<(), Error> {
        let reading = sqlx::query(
            "SELECT event.position, event.type FROM chancery_views.audit_generations AS of
             JOIN chancery_views.audit_events AS event
               ON event.generation = of.generation AND event.position >= of.size
             WHERE of.generation = $1 ORDER BY event.position LIMIT $2",
        )
        .bind(self.generation)
        .bind(i64::try_from(PAGE).unwrap_or(i64::MAX));
        for (position, kind) in typed::<(i64, String)>(log.run(READING, reading).await?.iter())? {
            self.found.too_many(
                || format!("position {position}"),
                || format!("type {kind}, past where the view stands"),
            );
        }
        Ok(())
    }

    async fn page(&self, log: &Log, from: i64, to: u64) -> Result<Vec<Row>, Error> {
        let reading = sqlx::query(
            "SELECT position, first, (extract(epoch FROM at) * 1000000)::int8 AS at, organization, project, token,
                    actor_token, type, actor, address
             FROM chancery_views.audit_events
             WHERE generation = $1 AND position >= $2 AND position < $3 ORDER BY position LIMIT $4",
        )
        .bind(self.generation)
        .bind(from)
        .bind(to.cast_signed())
        .bind(i64::try_from(PAGE).unwrap_or(i64::MAX));
        typed(log.run(READING, reading).await?.iter())
    }

    fn row(&mut self, row: &Row) {
        self.found.table.rows += 1;
        while let Some((position, expected)) =
            self.expected.pop_front_if(|(position, _)| position.cast_signed() < row.position)
        {
            self.missing(position, &expected);
        }
        let key = || format!("position {}", row.position);
        let expected = self.expected.pop_front_if(|(position, _)| position.cast_signed() == row.position);
        let Some((_, expected)) = expected else {
            return self.found.too_many(key, || format!("type {}", row.kind));
        };
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        let address = row.address.as_ref().map(|bytes| match <[u8; 32]>::try_from(&bytes[..]) {
            Ok(commitment) => encode_commitment(&commitment),
            Err(_) => format!("{} bytes", bytes.len()),
        });
        self.found.hold(
            key,
            [
                ("first", shown(expected.first), shown(row.first)),
                ("at", shown(expected.at), shown(Timestamp::from_micros(row.at))),
                ("organization", id(expected.organization), id(row.organization)),
                ("project", id(expected.project), id(row.project)),
                ("token", id(expected.token), id(row.token)),
                ("actor_token", id(expected.actor_token), id(row.actor_token)),
                ("type", shown(expected.kind), shown(&row.kind)),
                ("actor", shown(expected.actor), shown(&row.actor)),
                ("address", expected.address.map(String::from), address),
            ],
        );
    }

    fn missing(&mut self, position: u64, expected: &Expected) {
        self.found.missing(|| format!("position {position}"), || format!("type {}", expected.kind));
    }
}
