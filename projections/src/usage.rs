//! The usage view: when each token was last used, read off the log.
//!
//! One runner a node follows the log a page at a time. A page and how far it brings the view are one transaction, and
//! a row lock on the progress makes one node at a time do it, so each line counts once, whoever runs and dies. The
//! view lags behind the log by about a second; no request waits for it.

use crate::live::Live;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Commit, Error, Log};
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
];
/// How often the view follows the log when it has caught up.
const PERIOD: Duration = Duration::from_secs(1);
/// Commits on a page.
const PAGE: u32 = 1_000;

pub(crate) async fn migrate(log: &Log) -> Result<(), Error> {
    log.migrate_more(sqlx::migrate!("./migrations"), "chancery_views", RIGHTS).await
}

/// Follows the log until it is told to stop.
pub(crate) async fn follow(log: Log, live: Arc<Live>, stop: CancellationToken) {
    loop {
        let moved = match advance(&log, &live).await {
            Ok(moved) => moved,
            Err(error) => {
                tracing::debug!(error = %error.0, "the usage view waits");
                false
            }
        };
        if stop.is_cancelled() {
            return;
        }
        if !moved {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }
}

/// Why a page could not be taken in; it is tried again.
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

/// Takes in one page; says whether there may be more.
async fn advance(log: &Log, live: &Live) -> Result<bool, Delayed> {
    let mut transaction = log.pool().begin().await?;
    let progress: Option<(i64, Uuid)> = sqlx::query_as(
        "SELECT size, commit FROM chancery_views.progress WHERE view = 'usage' FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(&mut *transaction)
    .await?;
    // Another node is at it.
    let Some((size, commit)) = progress else { return Ok(false) };
    let size = u64::try_from(size).unwrap_or_default();
    live.stats.usage_position.fetch_max(size, Relaxed);
    let commits = match log.commits_after(size, commit, PAGE).await {
        Err(Error::WentBackwards { .. }) => {
            // The log was restored to an earlier state: the view is made anew from what there is.
            sqlx::query("DELETE FROM chancery_views.usage").execute(&mut *transaction).await?;
            store_progress(&mut transaction, 0, Uuid::nil()).await?;
            transaction.commit().await?;
            return Ok(true);
        }
        other => other?,
    };
    let Some(last) = commits.last() else { return Ok(false) };
    let (tokens, times): (Vec<Uuid>, Vec<i64>) =
        last_uses(&commits)?.into_iter().map(|(token, at)| (token.0, at.micros())).unzip();
    sqlx::query(
        "INSERT INTO chancery_views.usage AS known (token, last_used_at)
         SELECT token, 'epoch'::timestamptz + at * interval '1 microsecond'
         FROM unnest($1::uuid[], $2::int8[]) AS used (token, at)
         ORDER BY token
         ON CONFLICT (token) DO UPDATE SET last_used_at = GREATEST(known.last_used_at, EXCLUDED.last_used_at)",
    )
    .bind(&tokens)
    .bind(&times)
    .execute(&mut *transaction)
    .await?;
    store_progress(&mut transaction, last.end(), last.id).await?;
    transaction.commit().await?;
    live.stats.usage_position.fetch_max(last.end(), Relaxed);
    Ok(true)
}

async fn store_progress(
    transaction: &mut sqlx::Transaction<'_, sqlx::Postgres>,
    size: u64,
    commit: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE chancery_views.progress SET size = $1, commit = $2 WHERE view = 'usage'")
        .bind(i64::try_from(size).expect("positions are stored as bigint"))
        .bind(commit)
        .execute(&mut **transaction)
        .await
        .map(drop)
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

/// The last use of each token within some commits.
fn last_uses(commits: &[Commit]) -> Result<HashMap<TokenId, Timestamp>, Delayed> {
    let mut last: HashMap<TokenId, Timestamp> = HashMap::new();
    for (position, line) in commits.iter().flat_map(Commit::numbered) {
        let used: UseOf<'_> =
            serde_json::from_str(line).map_err(|error| Delayed(format!("position {position}: {error}")))?;
        let mut count = |token: TokenId| {
            last.entry(token).and_modify(|at| *at = used.at.max(*at)).or_insert(used.at);
        };
        let (subject, actor) = (used.token, used.actor.token);
        match used.kind {
            "TokenUsed" => subject.into_iter().chain(actor).for_each(&mut count),
            // Whoever was refused itself did not use anything; whoever asked about another did.
            "TokenRefused" => actor.into_iter().filter(|actor| Some(*actor) != subject).for_each(&mut count),
            _ => actor.into_iter().for_each(&mut count),
        }
    }
    Ok(last)
}

/// When tokens were last used, as far as the view has come. One that never was is not in the answer.
pub async fn last_used(log: &Log, tokens: &[TokenId]) -> Result<HashMap<TokenId, Timestamp>, sqlx::Error> {
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
    let rows: Vec<(Uuid, i64)> = sqlx::query_as(
        "SELECT token, (extract(epoch FROM last_used_at) * 1000000)::int8
         FROM chancery_views.usage WHERE token = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(log.pool())
    .await?;
    Ok(rows.into_iter().map(|(token, at)| (TokenId(token), Timestamp::from_micros(at))).collect())
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
        let last = last_uses(&[commit(&lines)]).ok().unwrap();
        let mut seconds: Vec<(u128, i64)> =
            last.iter().map(|(id, at)| (id.0.as_u128(), at.micros() / 1_000_000 % 60)).collect();
        seconds.sort_unstable();
        assert_eq!(seconds, [(1, 3), (2, 4), (4, 6)]);
    }
}
