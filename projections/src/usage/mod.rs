//! The usage view: when, for what and from where each token was last used and last refused, and how often on which day.
//!
//! One node at a time keeps it. What that node appends it takes in directly, the rest it reads off the log, and it holds
//! what it has taken in in memory until it is worth writing: a second later when little happens, and under load so
//! seldom that writing takes a fiftieth of the time (and at least every ten seconds). Its own answers count what it still
//! holds; other nodes see what is written. No request waits for any of it.
//!
//! Last uses are maxima, so that writing one twice changes nothing. Counts are sums, and each line counts once whoever
//! writes: every row says the size of the log that it counts (`through`), and a node that takes over finds the rows that
//! were written past the stored size, and leaves out of them what they count already. The node before it writes no more
//! from then on, because each of its statements holds that the view's `term` is still its own. How far the table stands
//! for the log is stored after the rows.

mod tally;
mod view;
mod write;

pub(crate) use tally::{LastUses, Seen, Tallies, Uses, count_line, count_use, last_uses, used, uses_of};
pub use view::{LastUse, Moment};

use crate::feed::{Fed, Feeds};
use crate::live::Live;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Error, Log, Random};
use parking_lot::Mutex;
use sqlx::FromRow as _;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tally::Total;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What nodes do with the tables.
const RIGHTS: &[(&str, &str)] = &[
    ("chancery_views.migrations", "SELECT"),
    ("chancery_views.progress", "SELECT, UPDATE"),
    ("chancery_views.usage", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery_views.sweeps", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery_views.audit", "SELECT, UPDATE"),
    ("chancery_views.audit_generations", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery_views.audit_events", "SELECT, INSERT, DELETE"),
    ("chancery_views.audit_uses", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery_views.usage_days", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery_views.usage_permissions", "SELECT, INSERT, UPDATE, DELETE"),
];
/// How often the log is looked at, and how soon after that the table is written when there is little to write.
const PERIOD: Duration = Duration::from_secs(1);
/// The longest time between two writes.
const LONGEST: Duration = Duration::from_secs(10);
/// The writes' share of the time is one in so many.
const SHARE: u32 = 50;
/// Commits on a page.
const PAGE: u32 = 1_000;
/// As many bytes on a page, or commits, tell that there may be another.
const LONG_PAGE: usize = 4 * 1024 * 1024;
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
    feeds: Arc<Feeds>,
    held: Mutex<Held>,
    /// Tells this node from others as the keeper.
    id: Uuid,
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

/// What tokens were used for, and when last.
pub type UsedPermissions = HashMap<TokenId, BTreeMap<String, Timestamp>>;

/// A size of the log, and the commit that ends there.
pub(crate) type Reach = (u64, Uuid);

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
    pub(crate) fn new(log: Log, live: Arc<Live>, feeds: Arc<Feeds>) -> Self {
        Self { log, live, feeds, held: Mutex::default(), id: Random::system().uuid_v7(0) }
    }

    /// Follows the log until it is told to stop.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut keeping = None;
        loop {
            if let Err(error) = self.step(&mut keeping, &stop).await {
                tracing::debug!(error = %error.0, "the usage view waits");
            }
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
                () = self.feeds.usage.filling() => {}
            }
        }
    }

    async fn step(&self, keeping: &mut Option<Keeping>, stop: &CancellationToken) -> Result<(), Delayed> {
        if keeping.is_none() {
            *keeping = self.claim().await?;
        }
        loop {
            let Some(kept) = keeping else { return Ok(()) };
            let has_more = match self.take_in(kept).await {
                Ok(has_more) => has_more,
                Err(Missed::Backwards) => {
                    self.forget();
                    // Whether what is stored still stands on the log is seen from there.
                    if kept.taken == kept.stored {
                        self.begin_anew(kept).await?;
                    }
                    *keeping = None;
                    return Ok(());
                }
                Err(Missed::Delayed(delayed)) => return Err(delayed),
            };
            let is_last = stop.is_cancelled();
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

    /// Claims the view, unless another node keeps it. A time too far ahead is of a clock that was set back.
    async fn claim(&self) -> Result<Option<Keeping>, Delayed> {
        let claiming = sqlx::query(
            "WITH claimed AS (
                 UPDATE chancery_views.progress
                 SET keeper = $1, term = term + 1, kept_until = now() + interval '4 seconds'
                 WHERE view = 'usage'
                   AND (keeper = $1 OR kept_until <= now() OR kept_until > now() + interval '2 minutes')
                 RETURNING size, commit, writing, term
             )
             SELECT size, commit, writing, term, true FROM claimed
             UNION ALL
             SELECT size, commit, writing, term, false FROM chancery_views.progress
             WHERE view = 'usage' AND NOT EXISTS (SELECT FROM claimed)",
        )
        .bind(self.id);
        let rows = self.log.run("claiming the usage view", claiming).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (size, commit, writing, term, is_claimed) = <(i64, Uuid, i64, i64, bool)>::from_row(row)?;
        self.live.stats.usage_position.fetch_max(from_db(size), Relaxed);
        if !is_claimed {
            return Ok(None);
        }
        let stored = (from_db(size), commit);
        let ahead = if writing > size { self.rows_after(size).await? } else { HashMap::new() };
        self.held.lock().fresh_to = stored.0;
        self.feeds.usage.want(true);
        Ok(Some(Keeping { term, stored, taken: stored, ahead, write_at: Duration::ZERO }))
    }

    /// The rows that a write left that did not come to its end.
    async fn rows_after(&self, size: i64) -> Result<HashMap<(TokenId, i64), u64>, Delayed> {
        let reading = sqlx::query(
            "SELECT token, (day - '1970-01-01'::date)::int8, through
             FROM chancery_views.usage_days WHERE through > $1",
        )
        .bind(size);
        let rows = self.log.run("reading the usage view", reading).await?;
        let ahead = rows.iter().map(|row| {
            let (token, day, to) = <(Uuid, i64, i64)>::from_row(row)?;
            Ok(((TokenId(token), day), from_db(to)))
        });
        ahead.collect()
    }

    fn forget(&self) {
        self.feeds.usage.want(false);
        *self.held.lock() = Held::default();
    }

    /// The log was restored to an earlier state than the table stands for: it is made anew from what there is.
    async fn begin_anew(&self, kept: &Keeping) -> Result<(), Delayed> {
        let emptying = sqlx::query(
            "WITH reset AS (
                 UPDATE chancery_views.progress
                 SET size = 0, commit = '00000000-0000-0000-0000-000000000000', writing = 0
                 WHERE view = 'usage' AND term = $1
                 RETURNING 1
             ), days AS (
                 DELETE FROM chancery_views.usage_days WHERE EXISTS (SELECT FROM reset)
             ), permissions AS (
                 DELETE FROM chancery_views.usage_permissions WHERE EXISTS (SELECT FROM reset)
             )
             DELETE FROM chancery_views.usage WHERE EXISTS (SELECT FROM reset)",
        )
        .bind(kept.term);
        self.log.run("emptying the usage view", emptying).await?;
        Ok(())
    }

    /// Takes in what this node appended, or else a page of the log; says whether there is more.
    async fn take_in(&self, kept: &mut Keeping) -> Result<bool, Missed> {
        let before = kept.taken;
        while let Some(Fed { end, commit, what: Uses { at, tallies }, .. }) =
            self.feeds.usage.take(kept.taken.0)
        {
            let mut held = self.held.lock();
            add(&mut held.fresh, &kept.ahead, end, at, tallies);
            kept.taken = (end, commit);
            held.fresh_to = end;
            if held.fresh.len() >= HELD {
                return Ok(true);
            }
        }
        self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
        // What was appended by others after this node's last is seen when this node appends nothing for a while.
        if self.feeds.usage.next().is_none() && kept.taken != before {
            return Ok(false);
        }
        let commits = match self.log.commits_after(kept.taken.0, kept.taken.1, PAGE).await {
            Err(Error::WentBackwards { .. }) => return Err(Missed::Backwards),
            other => other?,
        };
        let mut bytes = 0;
        for commit in &commits {
            let mut held = self.held.lock();
            let fresh = &mut held.fresh;
            uses_of(commit, &mut |at, tallies| add(fresh, &kept.ahead, commit.end(), at, tallies))
                .map_err(|(position, error)| Delayed(format!("position {position}: {error}")))?;
            kept.taken = (commit.end(), commit.id);
            held.fresh_to = commit.end();
            bytes += commit.lines.len();
        }
        self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
        Ok(commits.len() >= PAGE as usize || bytes >= LONG_PAGE)
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
        let beginning = sqlx::query(
            "UPDATE chancery_views.progress SET writing = GREATEST(writing, $1)
             WHERE view = 'usage' AND term = $2 RETURNING 1",
        )
        .bind(to_db(kept.taken.0))
        .bind(kept.term);
        if self.log.run("beginning to write the usage view", beginning).await?.is_empty() {
            return Ok(false);
        }
        for rows in rows.chunks(ROWS) {
            write::last_uses(&self.log, kept.term, rows).await?;
            write::permissions(&self.log, kept.term, rows).await?;
            write::days(&self.log, kept.term, rows, to_db(kept.taken.0)).await?;
        }
        let pause = (self.live.clock().monotonic().saturating_sub(began) * SHARE).clamp(PERIOD, LONGEST);
        let keeps_for = if is_last { Duration::ZERO } else { pause * 2 + PERIOD * 2 };
        let storing = sqlx::query(
            "UPDATE chancery_views.progress
             SET size = $1, commit = $2, kept_until = now() + $3 * interval '1 second'
             WHERE view = 'usage' AND term = $4
             RETURNING 1",
        )
        .bind(to_db(kept.taken.0))
        .bind(kept.taken.1)
        .bind(keeps_for.as_secs_f64())
        .bind(kept.term);
        if self.log.run("storing how far the usage view has come", storing).await?.is_empty() {
            return Ok(false);
        }
        kept.stored = kept.taken;
        kept.write_at = began + pause;
        kept.ahead.retain(|_, to| *to > kept.taken.0);
        self.held.lock().leaving.clear();
        Ok(true)
    }

    /// What the table stands for at least: read before it, so that no use is missed between the two.
    pub(crate) async fn reach(&self) -> Result<Reach, Error> {
        let reading = sqlx::query("SELECT size, commit FROM chancery_views.progress WHERE view = 'usage'");
        let rows = self.log.run("reading how far the usage view has come", reading).await?;
        let found = rows.first().and_then(|row| <(i64, Uuid)>::from_row(row).ok());
        Ok(found.map_or((0, Uuid::nil()), |(size, commit)| (from_db(size), commit)))
    }

    /// When tokens were last used, as far as the view has come. One that never was is not in the answer.
    pub(crate) async fn last_used(&self, tokens: &[TokenId]) -> Result<LastUses, Error> {
        let found = self.known(tokens).await?;
        Ok(found.into_iter().filter_map(|(token, known)| Some((token, known.used?.at))).collect())
    }

    /// What is known of the last uses of tokens, and for each day if `with_days`.
    pub(crate) async fn last_uses(
        &self,
        tokens: &[TokenId],
        with_days: bool,
    ) -> Result<HashMap<TokenId, LastUse>, Error> {
        let mut found =
            if with_days { self.known_with_days(tokens).await? } else { self.known(tokens).await? };
        view::resolve(&self.log, &mut found).await?;
        Ok(found)
    }

    /// What tokens were ever used for, and when last, to within an hour.
    pub(crate) async fn permissions(&self, tokens: &[TokenId]) -> Result<UsedPermissions, Error> {
        let mut found = UsedPermissions::new();
        let mut used = |token, permission: String, at: Timestamp| {
            let all: &mut BTreeMap<String, Timestamp> = found.entry(token).or_default();
            all.entry(permission).and_modify(|known| *known = at.max(*known)).or_insert(at);
        };
        // Before the table is read: what leaves memory meanwhile is in it by then.
        {
            let held = self.held.lock();
            for token in tokens {
                for total in [&held.fresh, &held.leaving].into_iter().filter_map(|held| held.get(token)) {
                    total.permissions.iter().for_each(|(text, at)| used(*token, text.to_string(), *at));
                }
            }
        }
        for (token, permission, at) in view::read_permissions(&self.log, tokens).await? {
            used(token, permission, at);
        }
        Ok(found)
    }

    async fn known(&self, tokens: &[TokenId]) -> Result<HashMap<TokenId, LastUse>, Error> {
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
        for (token, known) in view::read(&self.log, tokens).await? {
            found.entry(token).or_default().merge(known);
        }
        Ok(found)
    }

    async fn known_with_days(&self, tokens: &[TokenId]) -> Result<HashMap<TokenId, LastUse>, Error> {
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
        let days = view::read_days(&self.log, tokens).await?;
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

/// Why a page was not taken in.
enum Missed {
    /// The log does not hold what was taken in.
    Backwards,
    Delayed(Delayed),
}

impl<E: Into<Delayed>> From<E> for Missed {
    fn from(error: E) -> Self {
        Self::Delayed(error.into())
    }
}

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
