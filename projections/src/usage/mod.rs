//! The usage view: when, for what and from where each token was last used and last refused, and how often on which day.
//!
//! One node at a time keeps it. What that node appends it takes in directly, the rest it reads off the log, and it holds
//! what it has taken in in memory until it is worth writing: a second later when little happens, and under load so
//! seldom that writing takes a fiftieth of the time at most. Its own answers count what it still holds; other nodes see
//! what is written. No request waits for any of it.
//!
//! Last uses are maxima, so that writing one twice changes nothing. Counts are sums, and each line counts once whoever
//! writes: every row says the size of the log that it counts (`through`), and a node that takes over finds the rows that
//! were written past the stored size, and leaves out of them what they count already. The node before it writes no more
//! from then on, because each of its statements holds that the view's `term` is still its own. How far the table stands
//! for the log is stored after the rows.

mod feed;
mod tally;
mod view;
mod write;

pub(crate) use feed::{Feed, Uses};
pub(crate) use tally::{Seen, Tallies, count_line, count_use};
pub use view::{LastUse, Moment};

use crate::live::Live;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Error, Log};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tally::{Total, uses_of};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What nodes do with the tables.
const RIGHTS: &[(&str, &str)] = &[
    ("chancery_views.migrations", "SELECT"),
    ("chancery_views.progress", "SELECT, UPDATE"),
    ("chancery_views.usage", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery_views.usage_days", "SELECT, INSERT, UPDATE, DELETE"),
];
/// How often the log is looked at, and how soon after that the table is written when there is little to write.
const PERIOD: Duration = Duration::from_secs(1);
/// The longest time between two writes.
const LONGEST: Duration = Duration::from_secs(30);
/// The writes' share of the time is one in so many.
const SHARE: u32 = 50;
/// Commits on a page.
const PAGE: u32 = 1_000;
/// Rows of one statement: each is a short transaction.
const ROWS: usize = 500;
/// Tokens that are held at most before they are written whatever the time.
const HELD: usize = 200_000;

type Totals = HashMap<TokenId, Total>;

/// Makes the tables of the view, and the rights on them.
pub async fn migrate(log: &Log) -> Result<(), Error> {
    log.migrate_more(sqlx::migrate!("./migrations"), "chancery_views", RIGHTS).await
}

/// The view as one node sees it.
pub(crate) struct Usage {
    log: Log,
    live: Arc<Live>,
    feed: Arc<Feed>,
    held: Mutex<Held>,
}

/// What is taken in and not in the table yet.
#[derive(Default)]
struct Held {
    fresh: Totals,
    /// The size of the log that `fresh` reaches to.
    fresh_to: u64,
    /// Is being written.
    leaving: Totals,
    leaving_to: u64,
}

/// A size of the log, and the commit that ends there.
type Reach = (u64, Uuid);

/// The node keeps the view.
struct Keeping {
    /// Of which the node is the keeper.
    term: i64,
    /// What the table stands for.
    stored: Reach,
    /// What table and memory together stand for.
    taken: Reach,
    /// Rows that count more of the log than the table stands for, and how much.
    ahead: HashMap<(TokenId, i64), u64>,
    /// By the monotonic clock.
    write_at: Duration,
}

impl Usage {
    pub(crate) fn new(log: Log, live: Arc<Live>, feed: Arc<Feed>) -> Self {
        Self { log, live, feed, held: Mutex::default() }
    }

    /// Follows the log until it is told to stop.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let (mut keeping, mut term) = (None, None);
        loop {
            if let Err(error) = self.step(&mut keeping, &mut term, stop.is_cancelled()).await {
                tracing::debug!(error = %error.0, "the usage view waits");
            }
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    async fn step(
        &self,
        keeping: &mut Option<Keeping>,
        term: &mut Option<i64>,
        is_last: bool,
    ) -> Result<(), Delayed> {
        if keeping.is_none() {
            *keeping = self.begin(*term).await?;
        }
        let Some(kept) = keeping else { return Ok(()) };
        *term = Some(kept.term);
        loop {
            let has_more = self.take_in(kept).await?;
            let is_full = self.held.lock().fresh.len() >= HELD;
            let is_due = is_full || is_last || self.live.clock().monotonic() >= kept.write_at;
            if is_due && (kept.taken != kept.stored || is_last) {
                let written = self.write(kept, is_last).await;
                if !matches!(written, Ok(true)) {
                    // Which rows were written is not known, so that counting goes on from what the table says.
                    self.forget();
                    *keeping = None;
                    return written.map(drop);
                }
            }
            if !has_more || is_last {
                return Ok(());
            }
        }
    }

    /// Takes over, unless another node keeps the view. `own` is the term in which this node last kept it.
    async fn begin(&self, own: Option<i64>) -> Result<Option<Keeping>, Delayed> {
        let (size, is_kept): (i64, bool) = sqlx::query_as(
            "SELECT size, kept_until > now() AND term IS DISTINCT FROM $1
             FROM chancery_views.progress WHERE view = 'usage'",
        )
        .bind(own)
        .fetch_one(self.log.pool())
        .await?;
        self.live.stats.usage_position.fetch_max(from_db(size), Relaxed);
        if is_kept {
            return Ok(None);
        }
        let taken: Option<(i64, Uuid, i64, i64)> = sqlx::query_as(
            "UPDATE chancery_views.progress
             SET term = term + 1, kept_until = now() + 2 * $2 * interval '1 second'
             WHERE view = 'usage' AND (kept_until <= now() OR term = $1)
             RETURNING size, commit, writing, term",
        )
        .bind(own)
        .bind(LONGEST.as_secs_f64())
        .fetch_optional(self.log.pool())
        .await?;
        let Some((size, commit, writing, term)) = taken else { return Ok(None) };
        let stored = (from_db(size), commit);
        let ahead = if writing > size { self.rows_after(size).await? } else { HashMap::new() };
        self.held.lock().fresh_to = stored.0;
        self.feed.want(true);
        Ok(Some(Keeping { term, stored, taken: stored, ahead, write_at: Duration::ZERO }))
    }

    /// The rows that a write left that did not come to its end.
    async fn rows_after(&self, size: i64) -> Result<HashMap<(TokenId, i64), u64>, Delayed> {
        let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
            "SELECT token, (day - '1970-01-01'::date)::int8, through
             FROM chancery_views.usage_days WHERE through > $1",
        )
        .bind(size)
        .fetch_all(self.log.pool())
        .await?;
        Ok(rows.into_iter().map(|(token, day, to)| ((TokenId(token), day), from_db(to))).collect())
    }

    fn forget(&self) {
        self.feed.want(false);
        *self.held.lock() = Held::default();
    }

    /// Takes in what this node appended, or else a page of the log; says whether there may be more.
    async fn take_in(&self, kept: &mut Keeping) -> Result<bool, Delayed> {
        let before = kept.taken;
        while let Some(uses) = self.feed.take(kept.taken.0) {
            let mut held = self.held.lock();
            add(&mut held.fresh, &kept.ahead, uses.end, uses.at, uses.tallies);
            kept.taken = (uses.end, uses.commit);
            held.fresh_to = uses.end;
            if held.fresh.len() >= HELD {
                break;
            }
        }
        let next = self.feed.next();
        // What was appended by others after this node's last is seen when this node appends nothing for a while.
        if next.is_none() && kept.taken != before {
            self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
            return Ok(false);
        }
        let commits = match self.log.commits_after(kept.taken.0, kept.taken.1, PAGE).await {
            Err(Error::WentBackwards { .. }) => {
                // The log was restored to an earlier state: the view is made anew from what there is.
                sqlx::query("DELETE FROM chancery_views.usage").execute(self.log.pool()).await?;
                sqlx::query("DELETE FROM chancery_views.usage_days").execute(self.log.pool()).await?;
                *self.held.lock() = Held::default();
                kept.ahead.clear();
                kept.taken = (0, Uuid::nil());
                return Ok(true);
            }
            other => other?,
        };
        let others = commits.iter().take_while(|commit| next.is_none_or(|next| commit.first < next));
        let mut has_read = false;
        for commit in others {
            let mut held = self.held.lock();
            let fresh = &mut held.fresh;
            uses_of(commit, &mut |at, tallies| add(fresh, &kept.ahead, commit.end(), at, tallies))
                .map_err(|(position, error)| Delayed(format!("position {position}: {error}")))?;
            kept.taken = (commit.end(), commit.id);
            held.fresh_to = commit.end();
            has_read = true;
        }
        self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
        Ok(has_read)
    }

    /// Writes what is held; says whether this node still keeps the view.
    async fn write(&self, kept: &mut Keeping, is_last: bool) -> Result<bool, Delayed> {
        let began = self.live.clock().monotonic();
        let rows: Vec<(TokenId, Total)> = {
            let mut held = self.held.lock();
            held.leaving = std::mem::take(&mut held.fresh);
            held.leaving_to = kept.taken.0;
            let mut rows: Vec<_> =
                held.leaving.iter().map(|(token, total)| (*token, total.clone())).collect();
            // In one order everywhere, so that two nodes never wait for each other.
            rows.sort_unstable_by_key(|(token, _)| *token);
            rows
        };
        let begun = sqlx::query(
            "UPDATE chancery_views.progress SET writing = GREATEST(writing, $1) WHERE view = 'usage' AND term = $2",
        )
        .bind(to_db(kept.taken.0))
        .bind(kept.term)
        .execute(self.log.pool())
        .await?;
        if begun.rows_affected() == 0 {
            return Ok(false);
        }
        for rows in rows.chunks(ROWS) {
            write::last_uses(self.log.pool(), kept.term, rows).await?;
            write::days(self.log.pool(), kept.term, rows, to_db(kept.taken.0)).await?;
        }
        let pause = (self.live.clock().monotonic().saturating_sub(began) * SHARE).clamp(PERIOD, LONGEST);
        let keeps_for = if is_last { Duration::ZERO } else { pause * 2 + PERIOD * 2 };
        let stored = sqlx::query(
            "UPDATE chancery_views.progress
             SET size = $1, commit = $2, kept_until = now() + $3 * interval '1 second'
             WHERE view = 'usage' AND term = $4",
        )
        .bind(to_db(kept.taken.0))
        .bind(kept.taken.1)
        .bind(keeps_for.as_secs_f64())
        .bind(kept.term)
        .execute(self.log.pool())
        .await?;
        if stored.rows_affected() == 0 {
            return Ok(false);
        }
        kept.stored = kept.taken;
        kept.write_at = began + pause;
        kept.ahead.retain(|_, to| *to > kept.taken.0);
        self.held.lock().leaving.clear();
        Ok(true)
    }

    /// When tokens were last used, as far as the view has come. One that never was is not in the answer.
    pub(crate) async fn last_used(
        &self,
        tokens: &[TokenId],
    ) -> Result<HashMap<TokenId, Timestamp>, sqlx::Error> {
        let found = self.known(tokens).await?;
        Ok(found.into_iter().filter_map(|(token, known)| Some((token, known.used?.at))).collect())
    }

    /// What is known of the last uses of tokens, and for each day if `with_days`.
    pub(crate) async fn last_uses(
        &self,
        tokens: &[TokenId],
        with_days: bool,
    ) -> Result<HashMap<TokenId, LastUse>, sqlx::Error> {
        let mut found =
            if with_days { self.known_with_days(tokens).await? } else { self.known(tokens).await? };
        view::resolve(self.log.pool(), &mut found).await?;
        Ok(found)
    }

    async fn known(&self, tokens: &[TokenId]) -> Result<HashMap<TokenId, LastUse>, sqlx::Error> {
        // Before the table is read: what leaves memory meanwhile is in it by then.
        let mut found: HashMap<TokenId, LastUse> = HashMap::new();
        {
            let held = self.held.lock();
            for token in tokens {
                for total in [&held.fresh, &held.leaving].into_iter().filter_map(|held| held.get(token)) {
                    found.entry(*token).or_default().merge(view::of_total(total));
                }
            }
        }
        for (token, known) in view::read(self.log.pool(), tokens).await? {
            found.entry(token).or_default().merge(known);
        }
        Ok(found)
    }

    async fn known_with_days(&self, tokens: &[TokenId]) -> Result<HashMap<TokenId, LastUse>, sqlx::Error> {
        let mut held = Vec::new();
        {
            let all = self.held.lock();
            for token in tokens {
                for (totals, to) in [(&all.fresh, all.fresh_to), (&all.leaving, all.leaving_to)] {
                    let days = totals.get(token).into_iter().flat_map(|total| &total.days);
                    held.extend(days.map(|day| (*token, *day, to)));
                }
            }
        }
        let days = view::read_days(self.log.pool(), tokens).await?;
        let through: HashMap<(TokenId, i64), u64> =
            days.iter().map(|(token, day, .., to)| ((*token, *day), *to)).collect();
        let mut found = self.known(tokens).await?;
        for (token, day, used, refused, _) in days {
            found.entry(token).or_default().count((day, used, refused));
        }
        // A row that was written since counts what was held.
        let is_new =
            |token: TokenId, day: i64, to: u64| through.get(&(token, day)).is_none_or(|row| *row < to);
        for (token, day, to) in held {
            if is_new(token, day.0, to) {
                found.entry(token).or_default().count(day);
            }
        }
        found.values_mut().for_each(LastUse::sort);
        Ok(found)
    }
}

/// Takes in the uses of a commit that ends at `end`. What rows that are ahead count already is left out.
fn add(fresh: &mut Totals, ahead: &HashMap<(TokenId, i64), u64>, end: u64, at: Timestamp, tallies: Tallies) {
    for (token, tally) in tallies {
        let is_counted = ahead.get(&(token, at.day())).is_none_or(|to| *to < end);
        fresh.entry(token).or_default().add(at, tally, is_counted);
    }
}

fn to_db(position: u64) -> i64 {
    i64::try_from(position).expect("positions are stored as bigint")
}

fn from_db(position: i64) -> u64 {
    u64::try_from(position).unwrap_or_default()
}

/// Why the view could not go on; it is tried again.
struct Delayed(String);

impl From<sqlx::Error> for Delayed {
    fn from(error: sqlx::Error) -> Self {
        // The details of a database's error may quote a row.
        Self(
            error
                .as_database_error()
                .map_or_else(|| error.to_string(), |database| database.message().to_owned()),
        )
    }
}

impl From<Error> for Delayed {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}
