//! The usage view: when each token was last used.
//!
//! One node at a time keeps it. What that node appends it takes in directly, the rest it reads off the log, and it holds
//! what it has taken in in memory until it is worth writing: a second later when little happens, and under load so
//! seldom that writing takes a fiftieth of the time (and at least every ten seconds). Its own answers count what it still
//! holds; other nodes see what is written. No request waits for any of it.
//!
//! The table holds nothing but maxima, so that writing a part of it twice changes nothing. How far it stands for the log
//! is stored after the rows, on the condition that nobody else has done so meanwhile.

mod feed;

pub(crate) use feed::{Feed, Uses};

use crate::live::Live;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Commit, Error, Log, Random};
use parking_lot::Mutex;
use serde::Deserialize;
use sqlx::Row as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
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

pub(crate) type LastUses = HashMap<TokenId, Timestamp>;

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
    /// Tells this node from others as the keeper.
    id: Uuid,
}

/// What is taken in and not in the table yet.
#[derive(Default)]
struct Held {
    fresh: LastUses,
    /// Is being written.
    leaving: LastUses,
}

/// A size of the log, and the commit that ends there.
pub(crate) type Reach = (u64, Uuid);

/// The node keeps the view.
struct Keeping {
    /// What the table stands for.
    stored: Reach,
    /// What table and memory together stand for.
    taken: Reach,
    /// By the monotonic clock.
    write_at: Duration,
}

impl Usage {
    pub(crate) fn new(log: Log, live: Arc<Live>, feed: Arc<Feed>) -> Self {
        Self { log, live, feed, held: Mutex::default(), id: Random::system().uuid_v7(0) }
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
                    let stored = kept.stored;
                    // Whether what is stored still stands on the log is seen from there.
                    if kept.taken == stored {
                        self.begin_anew(stored).await?;
                    }
                    *keeping = None;
                    return Ok(());
                }
                Err(Missed::Delayed(delayed)) => return Err(delayed),
            };
            let is_last = stop.is_cancelled();
            let is_full = self.held.lock().fresh.len() >= HELD;
            let is_due = is_full || is_last || self.live.clock().monotonic() >= kept.write_at;
            if is_due && (kept.taken != kept.stored || is_last) && !self.write(kept, is_last).await? {
                self.forget();
                *keeping = None;
                return Ok(());
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
                 UPDATE chancery_views.progress SET keeper = $1, kept_until = now() + interval '4 seconds'
                 WHERE view = 'usage'
                   AND (keeper = $1 OR kept_until <= now() OR kept_until > now() + interval '2 minutes')
                 RETURNING size, commit
             )
             SELECT size, commit, true FROM claimed
             UNION ALL
             SELECT size, commit, false FROM chancery_views.progress
             WHERE view = 'usage' AND NOT EXISTS (SELECT FROM claimed)",
        )
        .bind(self.id);
        let rows = self.log.run("claiming the usage view", claiming).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let stored = (u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default(), row.try_get(1)?);
        self.live.stats.usage_position.fetch_max(stored.0, Relaxed);
        if !row.try_get::<bool, _>(2)? {
            return Ok(None);
        }
        self.feed.want(true);
        Ok(Some(Keeping { stored, taken: stored, write_at: Duration::ZERO }))
    }

    fn forget(&self) {
        self.feed.want(false);
        *self.held.lock() = Held::default();
    }

    /// The log was restored to an earlier state than the table stands for: it is made anew from what there is.
    async fn begin_anew(&self, stored: Reach) -> Result<(), Delayed> {
        let emptying = sqlx::query(
            "WITH reset AS (
                 UPDATE chancery_views.progress
                 SET size = 0, commit = '00000000-0000-0000-0000-000000000000'
                 WHERE view = 'usage' AND keeper = $1 AND size = $2 AND commit = $3
                 RETURNING 1
             )
             DELETE FROM chancery_views.usage WHERE EXISTS (SELECT FROM reset)",
        )
        .bind(self.id)
        .bind(to_db(stored.0))
        .bind(stored.1);
        self.log.run("emptying the usage view", emptying).await?;
        Ok(())
    }

    /// Takes in what this node appended, or else a page of the log; says whether there is more.
    async fn take_in(&self, kept: &mut Keeping) -> Result<bool, Missed> {
        let before = kept.taken;
        while let Some(uses) = self.feed.take(kept.taken.0) {
            let mut held = self.held.lock();
            uses.tokens.into_iter().for_each(|token| used(&mut held.fresh, token, uses.at));
            kept.taken = (uses.end, uses.commit);
            if held.fresh.len() >= HELD {
                return Ok(true);
            }
        }
        self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
        // What was appended by others after this node's last is seen when this node appends nothing for a while.
        if self.feed.next().is_none() && kept.taken != before {
            return Ok(false);
        }
        let commits = match self.log.commits_after(kept.taken.0, kept.taken.1, PAGE).await {
            Err(Error::WentBackwards { .. }) => return Err(Missed::Backwards),
            other => other?,
        };
        let mut bytes = 0;
        for commit in &commits {
            last_uses(commit, &mut self.held.lock().fresh)
                .map_err(|(position, error)| Delayed(format!("position {position}: {error}")))?;
            kept.taken = (commit.end(), commit.id);
            bytes += commit.lines.len();
        }
        self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
        Ok(commits.len() >= PAGE as usize || bytes >= LONG_PAGE)
    }

    /// Writes what is held; says whether this node still keeps the view.
    async fn write(&self, kept: &mut Keeping, is_last: bool) -> Result<bool, Delayed> {
        let began = self.live.clock().monotonic();
        let mut rows: Vec<(Uuid, i64)> = {
            let mut held = self.held.lock();
            let Held { fresh, leaving } = &mut *held;
            for (token, at) in fresh.drain() {
                used(leaving, token, at);
            }
            leaving.iter().map(|(token, at)| (token.0, at.micros())).collect()
        };
        // In one order everywhere, so that two nodes never wait for each other.
        rows.sort_unstable();
        for rows in rows.chunks(ROWS) {
            let (tokens, times): (Vec<Uuid>, Vec<i64>) = rows.iter().copied().unzip();
            let writing = sqlx::query(
                "INSERT INTO chancery_views.usage AS known (token, last_used_at)
                 SELECT token, 'epoch'::timestamptz + at * interval '1 microsecond'
                 FROM unnest($1::uuid[], $2::int8[]) AS used (token, at)
                 ON CONFLICT (token) DO UPDATE
                 SET last_used_at = GREATEST(known.last_used_at, EXCLUDED.last_used_at)",
            )
            .bind(tokens)
            .bind(times);
            self.log.run("writing the usage view", writing).await?;
        }
        let pause = (self.live.clock().monotonic().saturating_sub(began) * SHARE).clamp(PERIOD, LONGEST);
        let keeps_for = if is_last { Duration::ZERO } else { pause * 2 + PERIOD * 2 };
        let storing = sqlx::query(
            "UPDATE chancery_views.progress
             SET size = $1, commit = $2, kept_until = now() + $3 * interval '1 second'
             WHERE view = 'usage' AND size = $4 AND commit = $5 AND keeper = $6
             RETURNING 1",
        )
        .bind(to_db(kept.taken.0))
        .bind(kept.taken.1)
        .bind(keeps_for.as_secs_f64())
        .bind(to_db(kept.stored.0))
        .bind(kept.stored.1)
        .bind(self.id);
        if self.log.run("storing how far the usage view has come", storing).await?.is_empty() {
            return Ok(false);
        }
        kept.stored = kept.taken;
        kept.write_at = began + pause;
        self.held.lock().leaving.clear();
        Ok(true)
    }

    /// What the table stands for at least: read before it, so that no use is missed between the two.
    pub(crate) async fn reach(&self) -> Result<Reach, sqlx::Error> {
        let (size, commit): (i64, Uuid) =
            sqlx::query_as("SELECT size, commit FROM chancery_views.progress WHERE view = 'usage'")
                .fetch_one(self.log.pool())
                .await?;
        Ok((u64::try_from(size).unwrap_or_default(), commit))
    }

    /// When tokens were last used, as far as the view has come. One that never was is not in the answer.
    pub(crate) async fn last_used(&self, tokens: &[TokenId]) -> Result<LastUses, Error> {
        // Before the table is read: what leaves memory meanwhile is in it by then.
        let mut last = LastUses::new();
        {
            let held = self.held.lock();
            for token in tokens {
                for at in [&held.fresh, &held.leaving].into_iter().filter_map(|held| held.get(token)) {
                    used(&mut last, *token, *at);
                }
            }
        }
        let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
        let reading = sqlx::query(
            "SELECT token, (extract(epoch FROM last_used_at) * 1000000)::int8
             FROM chancery_views.usage WHERE token = ANY ($1)",
        )
        .bind(ids);
        for row in self.log.run("reading the usage view", reading).await? {
            // The columns are as the statement says.
            if let (Ok(token), Ok(at)) = (row.try_get(0), row.try_get(1)) {
                used(&mut last, TokenId(token), Timestamp::from_micros(at));
            }
        }
        Ok(last)
    }
}

pub(crate) fn used(last: &mut LastUses, token: TokenId, at: Timestamp) {
    last.entry(token).and_modify(|known| *known = at.max(*known)).or_insert(at);
}

fn to_db(position: u64) -> i64 {
    i64::try_from(position).expect("positions are stored as bigint")
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

/// What the view needs of a line.
#[derive(Deserialize)]
struct UseOf<'a> {
    #[serde(rename = "type", borrow)]
    kind: &'a str,
    at: Timestamp,
    actor: ActorOf,
    token: Option<TokenId>,
}

#[derive(Deserialize)]
struct ActorOf {
    token: Option<TokenId>,
}

/// Takes in the uses of a commit that is read off the log.
pub(crate) fn last_uses(commit: &Commit, last: &mut LastUses) -> Result<(), (u64, serde_json::Error)> {
    for (position, line) in commit.numbered() {
        let line: UseOf<'_> = serde_json::from_str(line).map_err(|error| (position, error))?;
        let (subject, actor) = (line.token, line.actor.token);
        match line.kind {
            "TokenUsed" => subject.into_iter().chain(actor).for_each(|token| used(last, token, line.at)),
            // Whoever was refused itself did not use anything; whoever asked about another did.
            "TokenRefused" => actor
                .into_iter()
                .filter(|actor| Some(*actor) != subject)
                .for_each(|actor| used(last, actor, line.at)),
            _ => actor.into_iter().for_each(|actor| used(last, actor, line.at)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(lines: &[String]) -> Commit {
        Commit {
            id: Uuid::from_u128(1),
            first: 0,
            count: u32::try_from(lines.len()).unwrap(),
            version: 0,
            lifecycle: 0,
            committed_at: 0,
            lines: lines.join("\n"),
        }
    }

    fn line(kind: &str, second: u8, token: Option<u128>, actor: Option<u128>) -> String {
        let id = |id: u128| format!("\"{}\"", Uuid::from_u128(id));
        let token = token.map(|token| format!(",\"token\":{}", id(token))).unwrap_or_default();
        let actor = actor.map(|actor| format!(",\"token\":{}", id(actor))).unwrap_or_default();
        format!(
            "{{\"v\":1,\"type\":\"{kind}\",\"at\":\"2026-11-22T10:00:0{second}.000000Z\",\
             \"actor\":{{\"by\":\"x\"{actor}}}{token}}}"
        )
    }

    #[test]
    fn the_last_use_counts_and_a_refusal_is_none() {
        let lines = [
            line("TokenUsed", 3, Some(1), Some(2)),
            line("TokenUsed", 1, Some(1), Some(1)),
            line("TokenRefused", 4, Some(3), Some(2)),
            line("TokenRefused", 5, Some(2), Some(2)),
            line("TokenMinted", 6, Some(9), Some(4)),
            line("AdminTokenUsed", 7, None, None),
        ];
        let mut last = LastUses::new();
        last_uses(&commit(&lines), &mut last).ok().unwrap();
        let mut seconds: Vec<(u128, i64)> =
            last.iter().map(|(id, at)| (id.0.as_u128(), at.micros() / 1_000_000 % 60)).collect();
        seconds.sort_unstable();
        assert_eq!(seconds, [(1, 3), (2, 4), (4, 6)]);
    }
}
