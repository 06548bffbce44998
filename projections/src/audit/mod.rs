//! The audit views: tables that say where lifecycle events and single uses stand in the log, by what auditors ask for.
//!
//! They hold places, not lines: what is shown is the exact line, from the log. One node at a time keeps them. Rows are
//! inserted by the statement that moves the generation's position, on the condition that it stands where the rows begin:
//! so a line is taken in once, whoever is killed when, and two keepers at once would only do each other's work in vain.
//! Another generation can be built beside the one that is read, and takes its place when it has come as far.

mod read;
mod rows;
mod runner;
mod summary;

pub use read::{EventFilter, EventPage, Order, TokenHistory, UseFilter, UsePage};
pub use rows::UseOutcome;
pub(crate) use rows::{Counts, Enrolled, bit};
pub use summary::{Kind, Summary, kind_of};

use crate::feed::Feeds;
use crate::live::Live;
use eventlog::{Error, Log, Random};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How often it is looked whether the views have come to a position that somebody waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(40);

/// The audit views as one node sees them.
pub struct Audit {
    log: Log,
    /// The same log for those who read the views.
    reads: Log,
    live: Arc<Live>,
    feeds: Arc<Feeds>,
    /// Tells this node from others as the keeper.
    id: Uuid,
}

/// How far the audit views have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditStatus {
    /// The generation that is read.
    pub live: GenerationStatus,
    /// The one that is being built to take its place.
    pub building: Option<GenerationStatus>,
}

/// How far a generation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationStatus {
    /// Its number.
    pub generation: u32,
    /// The size of the log that it stands for.
    pub position: u64,
}

impl Audit {
    pub(crate) fn new(log: Log, live: Arc<Live>, feeds: Arc<Feeds>) -> Self {
        let reads = log.apart();
        Self { log, reads, live, feeds, id: Random::system().uuid_v7(0) }
    }

    /// The log as auditors read it.
    pub(crate) fn reads(&self) -> &Log {
        &self.reads
    }

    /// How far the views have come.
    pub async fn status(&self) -> Result<AuditStatus, Error> {
        self.status_by(&self.reads).await
    }

    async fn status_by(&self, log: &Log) -> Result<AuditStatus, Error> {
        const DOING: &str = "reading how far the audit views have come";
        let reading = sqlx::query(
            "SELECT view.live, live.size, view.building, building.size
             FROM chancery_views.audit AS view
             JOIN chancery_views.audit_generations AS live ON live.generation = view.live
             LEFT JOIN chancery_views.audit_generations AS building ON building.generation = view.building",
        );
        let rows = log.run(DOING, reading).await?;
        let row = rows.first().ok_or_else(|| missing(DOING))?;
        let status = status_of(row).map_err(|error| Error::from_sqlx(DOING, &error))?;
        self.live.stats.audit_position.store(status.live.position, Relaxed);
        Ok(status)
    }

    /// Waits until the views stand for a log of at least `position` lines; says how far they have come by then, or by
    /// the end of `patience`.
    pub async fn reaches(&self, position: u64, patience: Duration) -> Result<u64, Error> {
        let reaching = async {
            loop {
                let reached = self.status().await?.live.position;
                if reached >= position {
                    return Ok(reached);
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        match timeout(patience, reaching).await {
            Ok(reached) => reached,
            Err(_) => Ok(self.status().await?.live.position),
        }
    }

    /// Begins another generation, unless one is being built.
    pub async fn rebuild(&self) -> Result<AuditStatus, Error> {
        let beginning = sqlx::query(
            "WITH view AS (SELECT FROM chancery_views.audit WHERE building IS NULL FOR UPDATE),
             next AS (
                 INSERT INTO chancery_views.audit_generations (generation)
                 SELECT max(generation) + 1 FROM chancery_views.audit_generations
                 HAVING EXISTS (SELECT FROM view)
                 RETURNING generation
             )
             UPDATE chancery_views.audit SET building = next.generation FROM next",
        );
        self.log.run("beginning another generation of the audit views", beginning).await?;
        self.status().await
    }
}

fn status_of(row: &PgRow) -> Result<AuditStatus, sqlx::Error> {
    let generation = |number: i32, size: i64| GenerationStatus {
        generation: number.unsigned_abs(),
        position: size.unsigned_abs(),
    };
    let building: (Option<i32>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
    Ok(AuditStatus {
        live: generation(row.try_get(0)?, row.try_get(1)?),
        building: building.0.zip(building.1).map(|(number, size)| generation(number, size)),
    })
}

fn missing(doing: &'static str) -> Error {
    Error::Refused { doing, reason: "the row of chancery_views.audit is missing".into() }
}

/// Postgres has no unsigned numbers; a log does not reach 2^63 lines.
fn to_db(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
