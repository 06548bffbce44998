//! Keeping the audit views: by one node at a time, page by page.

use super::rows::{Enrolled, EventRow, Open, UseRow, rows};
use super::{Audit, to_db};
use domain::id::{OrganizationId, ProjectId, TokenId};
use domain::state::State;
use eventlog::{Error, Point};
use sqlx::Row as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Commits on a page.
const PAGE: u32 = 500;
/// Commits of this node's that are taken in at a time.
const FED: usize = 10_000;
/// How often a node that does not keep the views looks whether nobody does, and one that does says that it goes on.
const PERIOD: Duration = Duration::from_secs(1);
/// The least time between two pages when there is little to take in.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest, however long a page took.
const LONGEST: Duration = Duration::from_secs(2);
/// Taking in takes one in so many parts of the time, unless there is more than a page.
const SHARE: u32 = 8;
/// Stretches of uses that are remembered. Past it all are forgotten, which costs rows and nothing else.
const STRETCHES: usize = 200_000;
/// Rows of a generation that is not read any more, deleted at a time.
const CHUNK: i64 = 2_000;

/// The node keeps the views.
struct Keeping {
    live: i32,
    building: Option<i32>,
    generations: Vec<Generation>,
    /// There are rows that nobody reads.
    has_old_rows: bool,
}

/// A generation as this node has brought it so far. If anybody else has moved it, nothing of it holds.
struct Generation {
    number: i32,
    size: u64,
    commit: Uuid,
    open: Open,
}

/// Commits that follow what a generation has.
#[derive(Default)]
struct Page {
    /// Each with where it begins.
    commits: Vec<(u64, Enrolled)>,
    /// The size of the log with them, and the last one.
    size: u64,
    last: Uuid,
    /// Those that were not read from the log.
    fed: Vec<Uuid>,
}

/// Why the views could not go on. They are claimed anew, from what is stored.
#[derive(Debug, thiserror::Error)]
enum Delayed {
    #[error(transparent)]
    Log(#[from] Error),
    #[error("position {0}: {1}")]
    Line(u64, serde_json::Error),
    #[error("another node has moved them, or the log is not what it was")]
    Overtaken,
    #[error("reading a page ended by a panic")]
    Panicked,
}

impl Audit {
    /// Follows the log until it is told to stop.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut keeping = None;
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            let is_due = tokio::select! {
                biased;
                _ = period.tick() => true,
                () = std::future::ready(()) => false,
            };
            let began = self.live.clock().monotonic();
            let has_more = match self.step(&mut keeping, is_due).await {
                Ok(has_more) => has_more,
                Err(error) => {
                    tracing::debug!(%error, "the audit views wait");
                    keeping = None;
                    self.feeds.audit.want(false);
                    false
                }
            };
            if has_more {
                tokio::task::yield_now().await;
                continue;
            }
            let took = self.live.clock().monotonic().saturating_sub(began);
            let size = keeping.as_ref().map(Keeping::size);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.pause(took, size) => {}
            }
        }
        let leaving = sqlx::query("UPDATE chancery_views.audit SET kept_until = 'epoch' WHERE keeper = $1");
        if let Err(error) = self.log.run("leaving the audit views to others", leaving.bind(self.id)).await {
            tracing::debug!(%error, "others find out by themselves that this node keeps the audit views no more");
        }
    }

    /// Until there may be something to take in.
    async fn pause(&self, took: Duration, size: Option<u64>) {
        let Some(size) = size else { return tokio::time::sleep(PERIOD).await };
        tokio::time::sleep((took * SHARE).clamp(SHORTEST, LONGEST)).await;
        self.live.reaches(size + 1, PERIOD).await;
    }

    /// Takes in a page for each generation; says whether there is more.
    async fn step(&self, keeping: &mut Option<Keeping>, is_due: bool) -> Result<bool, Delayed> {
        if is_due || keeping.is_none() {
            let claimed = self.claim(keeping.take()).await?;
            *keeping = claimed;
            self.feeds.audit.want(keeping.is_some());
        }
        let Some(kept) = keeping else {
            self.status_by(&self.log).await?;
            return Ok(false);
        };
        let mut has_more = false;
        for index in 0..kept.generations.len() {
            let generation = &mut kept.generations[index];
            match self.advance(generation, generation.number == kept.live).await {
                Ok(more) => has_more |= more,
                Err(Delayed::Log(Error::WentBackwards { .. })) => {
                    self.begin_anew(kept.live, generation.number).await?;
                    *keeping = None;
                    self.feeds.audit.want(false);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.live.stats.audit_position.store(kept.size(), Relaxed);
        if kept.building.is_some() && self.swap().await? {
            *keeping = None;
            return Ok(true);
        }
        if !has_more && (is_due || kept.has_old_rows) {
            kept.has_old_rows = self.clean().await?;
            has_more = kept.has_old_rows;
        }
        Ok(has_more)
    }

    /// Claims the views, or goes on keeping them, unless another node does. What is remembered of a generation holds
    /// as long as it stands where this node has brought it.
    async fn claim(&self, before: Option<Keeping>) -> Result<Option<Keeping>, Delayed> {
        let claiming = sqlx::query(
            "WITH view AS (
                 UPDATE chancery_views.audit SET keeper = $1, kept_until = now() + interval '5 seconds'
                 WHERE keeper = $1 OR kept_until <= now() OR kept_until > now() + interval '2 minutes'
                 RETURNING live, building
             )
             SELECT view.live, view.building, of.generation, of.size, of.commit
             FROM view JOIN chancery_views.audit_generations AS of ON of.generation IN (view.live, view.building)
             ORDER BY of.generation",
        );
        let rows = self.log.run("claiming the audit views", claiming.bind(self.id)).await?;
        let mut known = before.map(|kept| kept.generations).unwrap_or_default();
        let mut kept = Keeping { live: 0, building: None, generations: Vec::new(), has_old_rows: false };
        for row in &rows {
            let failed = |error: sqlx::Error| Error::from_sqlx("claiming the audit views", &error);
            kept.live = row.try_get(0).map_err(failed)?;
            kept.building = row.try_get(1).map_err(failed)?;
            let number: i32 = row.try_get(2).map_err(failed)?;
            let size = row.try_get::<i64, _>(3).map_err(failed)?.unsigned_abs();
            let commit = row.try_get(4).map_err(failed)?;
            let found = known
                .iter_mut()
                .find(|known| (known.number, known.size, known.commit) == (number, size, commit));
            let open = found.map(|known| std::mem::take(&mut known.open)).unwrap_or_default();
            kept.generations.push(Generation { number, size, commit, open });
        }
        Ok((!rows.is_empty()).then_some(kept))
    }

    /// Takes in what this node appended, or else a page of the log; says whether there may be more.
    async fn advance(&self, generation: &mut Generation, is_read: bool) -> Result<bool, Delayed> {
        let limit = self.live.position();
        let mut page = Page { size: generation.size, ..Page::default() };
        // What is read is what the feed is for: another generation has to take in what is long past.
        while is_read
            && page.commits.len() < FED
            && let Some(fed) = self.feeds.audit.take(page.size)
        {
            (page.size, page.last) = (fed.end, fed.commit);
            page.fed.push(fed.commit);
            page.commits.push((fed.first, fed.what));
        }
        if page.commits.is_empty() {
            // No further than the live state, which says where tokens stand.
            let commits = self.log.commits_after(generation.size, generation.commit, PAGE).await?;
            for commit in commits.into_iter().take_while(|commit| commit.end() <= limit) {
                (page.size, page.last) = (commit.end(), commit.id);
                page.commits.push((commit.first, Enrolled::Lines(commit)));
            }
        }
        if page.commits.is_empty() {
            return Ok(false);
        }
        let mut open = std::mem::take(&mut generation.open);
        let (live, commits) = (Arc::clone(&self.live), std::mem::take(&mut page.commits));
        let reading = spawn_blocking(move || {
            let scope = |token| live.read(|state| scope_of(state, token));
            rows(&commits, &mut open, scope).map(|found| (found, open))
        });
        let read = reading.await.map_err(|_| Delayed::Panicked)?;
        let ((events, uses), open) = read.map_err(|(position, error)| Delayed::Line(position, error))?;
        self.log.faults().at(Point::Projecting).await?;
        self.store(generation, &page, &events, &uses).await?;
        self.log.faults().at(Point::Projected).await?;
        (generation.size, generation.commit, generation.open) = (page.size, page.last, open);
        if generation.open.len() > STRETCHES {
            generation.open = Open::new();
        }
        Ok(page.size < limit)
    }

    /// Moves a generation on and inserts the rows, in one statement, if it stands where they begin and the log holds what
    /// was not read from it: a database that was restored meanwhile may not.
    async fn store(
        &self,
        generation: &Generation,
        page: &Page,
        events: &[EventRow],
        uses: &[UseRow],
    ) -> Result<(), Delayed> {
        let storing = sqlx::query(
            "WITH moved AS (
                 UPDATE chancery_views.audit_generations SET size = $4, commit = $5
                 WHERE generation = $1 AND size = $2 AND commit = $3
                   AND (SELECT count(*) FROM chancery.commits WHERE id = ANY($25)) = cardinality($25::uuid[])
                 RETURNING generation
             ), event AS (
                 INSERT INTO chancery_views.audit_events
                     (position, first, at, organization, project, token, actor_token, generation, type, actor, address)
                 SELECT position, first, 'epoch'::timestamptz + at * interval '1 microsecond', organization, project,
                        token, actor_token, moved.generation, type, actor, address
                 FROM moved, unnest($6::int8[], $7::int8[], $8::int8[], $9::uuid[], $10::uuid[], $11::uuid[],
                                    $12::uuid[], $13::text[], $14::text[], $15::bytea[])
                     AS event (position, first, at, organization, project, token, actor_token, type, actor, address)
             ), used AS (
                 INSERT INTO chancery_views.audit_uses AS known
                     (token, first, last, generation, hour, valid, refused, asked, outcomes, commits)
                 SELECT token, first, last, moved.generation, hour, valid, refused, asked, outcomes, commits
                 FROM moved, unnest($16::uuid[], $17::int8[], $18::int8[], $19::int4[], $20::int4[], $21::int4[],
                                    $22::int4[], $23::int4[], $24::bytea[])
                     AS used (token, first, last, hour, valid, refused, asked, outcomes, commits)
                 ON CONFLICT (generation, token, first) DO UPDATE
                 SET last = EXCLUDED.last, valid = known.valid + EXCLUDED.valid,
                     refused = known.refused + EXCLUDED.refused, asked = known.asked + EXCLUDED.asked,
                     outcomes = known.outcomes | EXCLUDED.outcomes, commits = known.commits || EXCLUDED.commits
             )
             SELECT generation FROM moved",
        )
        .bind(generation.number)
        .bind(to_db(generation.size))
        .bind(generation.commit)
        .bind(to_db(page.size))
        .bind(page.last)
        .bind(all(events, |event| to_db(event.position)))
        .bind(all(events, |event| to_db(event.first)))
        .bind(all(events, |event| event.at.micros()))
        .bind(all(events, |event| event.organization))
        .bind(all(events, |event| event.project))
        .bind(all(events, |event| event.token))
        .bind(all(events, |event| event.actor_token))
        .bind(all(events, |event| event.kind.clone()))
        .bind(all(events, |event| event.actor.clone()))
        .bind(all(events, |event| event.address.clone()))
        .bind(all(uses, |used| used.token))
        .bind(all(uses, |used| to_db(used.first)))
        .bind(all(uses, |used| to_db(used.last)))
        .bind(all(uses, |used| used.hour))
        .bind(all(uses, |used| used.counts.valid))
        .bind(all(uses, |used| used.counts.refused))
        .bind(all(uses, |used| used.counts.asked))
        .bind(all(uses, |used| used.counts.outcomes))
        .bind(all(uses, |used| used.commits.clone()))
        .bind(&page.fed);
        if self.log.run("storing a page of the audit views", storing).await?.is_empty() {
            return Err(Delayed::Overtaken);
        }
        Ok(())
    }

    /// Reads from the generation that was built, once it has come as far as the one before; says whether it has.
    async fn swap(&self) -> Result<bool, Error> {
        let swapping = sqlx::query(
            "UPDATE chancery_views.audit AS view SET live = view.building, building = NULL
             FROM chancery_views.audit_generations AS live, chancery_views.audit_generations AS building
             WHERE live.generation = view.live AND building.generation = view.building
               AND building.size >= live.size AND view.keeper = $1
             RETURNING 1",
        );
        let swapped =
            self.log.run("reading from the audit views that were built", swapping.bind(self.id)).await?;
        Ok(!swapped.is_empty())
    }

    /// The log was restored to an earlier state than a generation stands for: another one is made from what there is.
    async fn begin_anew(&self, live: i32, lost: i32) -> Result<(), Error> {
        if lost != live {
            let dropping = sqlx::query("UPDATE chancery_views.audit SET building = NULL WHERE building = $1");
            return self
                .log
                .run("giving up a generation of the audit views", dropping.bind(lost))
                .await
                .map(drop);
        }
        let beginning = sqlx::query(
            "WITH view AS (SELECT FROM chancery_views.audit WHERE live = $1 FOR UPDATE),
             next AS (
                 INSERT INTO chancery_views.audit_generations (generation)
                 SELECT max(generation) + 1 FROM chancery_views.audit_generations
                 HAVING EXISTS (SELECT FROM view)
                 RETURNING generation
             )
             UPDATE chancery_views.audit SET live = next.generation, building = NULL FROM next",
        );
        self.log.run("beginning the audit views anew", beginning.bind(lost)).await.map(drop)
    }

    /// Deletes some rows of generations that nobody reads; says whether there may be more.
    async fn clean(&self) -> Result<bool, Error> {
        let cleaning = sqlx::query(
            "WITH retired AS (
                 SELECT of.generation FROM chancery_views.audit_generations AS of, chancery_views.audit AS view
                 WHERE of.generation <> view.live AND of.generation IS DISTINCT FROM view.building
                 ORDER BY of.generation LIMIT 1
             ), event AS (
                 DELETE FROM chancery_views.audit_events WHERE (generation, position) IN (
                     SELECT generation, position FROM chancery_views.audit_events
                     WHERE generation = (SELECT generation FROM retired) ORDER BY position LIMIT $1)
                 RETURNING 1
             ), used AS (
                 DELETE FROM chancery_views.audit_uses WHERE (generation, token, first) IN (
                     SELECT generation, token, first FROM chancery_views.audit_uses
                     WHERE generation = (SELECT generation FROM retired) ORDER BY token, first LIMIT $1)
                 RETURNING 1
             ), gone AS (
                 DELETE FROM chancery_views.audit_generations
                 WHERE generation = (SELECT generation FROM retired)
                   AND NOT EXISTS (SELECT FROM event) AND NOT EXISTS (SELECT FROM used)
             )
             SELECT FROM retired",
        );
        let retired = self.log.run("deleting old audit views", cleaning.bind(CHUNK)).await?;
        Ok(!retired.is_empty())
    }
}

impl Keeping {
    /// What the generation that is read stands for.
    fn size(&self) -> u64 {
        self.generations.iter().find(|found| found.number == self.live).map_or(0, |found| found.size)
    }
}

fn scope_of(state: &State, token: TokenId) -> (Option<OrganizationId>, Option<ProjectId>) {
    let scope = state.tokens().get(token).map(|token| token.scope);
    scope.map_or((None, None), |scope| (scope.organization(), scope.project()))
}

fn all<T, C>(rows: &[T], column: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(column).collect()
}
