//! The usage view: when each token was last used.
//!
//! One node at a time keeps it. What that node appends it takes in directly, the rest it reads off the log, and it holds
//! what it has taken in in memory until it is worth writing: a second later when little happens, and under load so
//! seldom that writing takes a fiftieth of the time at most. Its own answers count what it still holds; other nodes see
//! what is written. No request waits for any of it.
//!
//! The table holds nothing but maxima, so that writing a part of it twice changes nothing. How far it stands for the log
//! is stored after the rows, on the condition that nobody else has done so meanwhile.

mod feed;

pub(crate) use feed::{Feed, Uses};

use crate::live::Live;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Commit, Error, Log};
use parking_lot::Mutex;
use serde::Deserialize;
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
        Self { log, live, feed, held: Mutex::default() }
    }

    /// Follows the log until it is told to stop.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut keeping = None;
        loop {
            if let Err(error) = self.step(&mut keeping, stop.is_cancelled()).await {
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

    async fn step(&self, keeping: &mut Option<Keeping>, is_last: bool) -> Result<(), Delayed> {
        if keeping.is_none() {
            *keeping = self.begin().await?;
        }
        let Some(kept) = keeping else { return Ok(()) };
        loop {
            let has_more = self.take_in(kept).await?;
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

    /// Takes over, unless another node keeps the view.
    async fn begin(&self) -> Result<Option<Keeping>, Delayed> {
        let (size, commit, is_kept): (i64, Uuid, bool) = sqlx::query_as(
            "SELECT size, commit, kept_until > now() FROM chancery_views.progress WHERE view = 'usage'",
        )
        .fetch_one(self.log.pool())
        .await?;
        let stored = (u64::try_from(size).unwrap_or_default(), commit);
        self.live.stats.usage_position.fetch_max(stored.0, Relaxed);
        if is_kept {
            return Ok(None);
        }
        self.feed.want(true);
        Ok(Some(Keeping { stored, taken: stored, write_at: Duration::ZERO }))
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
            uses.tokens.into_iter().for_each(|token| used(&mut held.fresh, token, uses.at));
            kept.taken = (uses.end, uses.commit);
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
                *self.held.lock() = Held::default();
                kept.taken = (0, Uuid::nil());
                return Ok(true);
            }
            other => other?,
        };
        let others = commits.iter().take_while(|commit| next.is_none_or(|next| commit.first < next));
        let mut has_read = false;
        for commit in others {
            last_uses(commit, &mut self.held.lock().fresh)
                .map_err(|(position, error)| Delayed(format!("position {position}: {error}")))?;
            kept.taken = (commit.end(), commit.id);
            has_read = true;
        }
        self.live.stats.usage_position.fetch_max(kept.taken.0, Relaxed);
        Ok(has_read)
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
            sqlx::query(
                "INSERT INTO chancery_views.usage AS known (token, last_used_at)
                 SELECT token, 'epoch'::timestamptz + at * interval '1 microsecond'
                 FROM unnest($1::uuid[], $2::int8[]) AS used (token, at)
                 ON CONFLICT (token) DO UPDATE
                 SET last_used_at = GREATEST(known.last_used_at, EXCLUDED.last_used_at)",
            )
            .bind(tokens)
            .bind(times)
            .execute(self.log.pool())
            .await?;
        }
        let pause = (self.live.clock().monotonic().saturating_sub(began) * SHARE).clamp(PERIOD, LONGEST);
        let keeps_for = if is_last { Duration::ZERO } else { pause * 2 + PERIOD * 2 };
        let stored = sqlx::query(
            "UPDATE chancery_views.progress
             SET size = $1, commit = $2, kept_until = now() + $3 * interval '1 second'
             WHERE view = 'usage' AND size = $4 AND commit = $5",
        )
        .bind(to_db(kept.taken.0))
        .bind(kept.taken.1)
        .bind(keeps_for.as_secs_f64())
        .bind(to_db(kept.stored.0))
        .bind(kept.stored.1)
        .execute(self.log.pool())
        .await?;
        if stored.rows_affected() == 0 {
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
    pub(crate) async fn last_used(
        &self,
        tokens: &[TokenId],
    ) -> Result<HashMap<TokenId, Timestamp>, sqlx::Error> {
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
        let rows: Vec<(Uuid, i64)> = sqlx::query_as(
            "SELECT token, (extract(epoch FROM last_used_at) * 1000000)::int8
             FROM chancery_views.usage WHERE token = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(self.log.pool())
        .await?;
        for (token, at) in rows {
            used(&mut last, TokenId(token), Timestamp::from_micros(at));
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
