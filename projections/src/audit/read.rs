//! Reading the audit views. Each question is one statement, and so one snapshot: of one generation and how far it has
//! come.

use super::rows::{UseOutcome, bit, commits_of};
use super::{Audit, Summary, missing, to_db};
use domain::id::{OrganizationId, ProjectId, TokenId};
use domain::scope::Scope;
use domain::time::Timestamp;
use eventlog::{Commit, Error, LinePlace};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

const READING: &str = "reading the audit views";
const HOUR: i64 = 3_600_000_000;
/// Rows of uses that are looked at in one step.
const STEP: i64 = 32;
/// Commits that are read at once.
const COMMITS: usize = 8;
/// Commits that are read for one page at most: a filter that lets little through ends its page there.
const MOST_COMMITS: usize = 256;

/// Which events are listed. What is absent leaves none out.
#[derive(Clone, Debug)]
pub struct EventFilter {
    /// What the reader may see, or wants to: of this scope or inside it.
    pub place: Scope,
    /// About this token.
    pub token: Option<TokenId>,
    /// By this actor, as lines write it.
    pub actor: Option<String>,
    /// By the token with this id.
    pub actor_token: Option<TokenId>,
    /// Of these types.
    pub types: Option<Vec<String>>,
    /// Decided then or later.
    pub from: Option<Timestamp>,
    /// Decided before then.
    pub to: Option<Timestamp>,
    /// By somebody at an address with one of these commitments.
    pub addresses: Option<Vec<Vec<u8>>>,
}

/// In which order events are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// Events, with the lines.
#[derive(Debug)]
pub struct EventPage {
    /// Each with its position.
    pub lines: Vec<(u64, String)>,
    /// The position after which, in the order asked for, the next page begins.
    pub next: Option<u64>,
    /// The size of the log that the page stands for.
    pub position: u64,
}

/// What belongs to the history of a token beside the events about it.
#[derive(Clone, Copy, Debug)]
pub struct TokenHistory {
    /// The token.
    pub token: TokenId,
    /// The token whose revocation ended it.
    pub cause: Option<TokenId>,
    /// Its organization.
    pub organization: Option<OrganizationId>,
    /// Its project.
    pub project: Option<ProjectId>,
    /// When a revocation by filter ended it, of the tokens of which organization, or of the instance's.
    pub ended: Option<(Option<OrganizationId>, Timestamp)>,
}

/// Which uses are listed. What is absent leaves none out.
#[derive(Clone, Debug, Default)]
pub struct UseFilter {
    /// With this outcome.
    pub outcome: Option<UseOutcome>,
    /// For this permission.
    pub permission: Option<String>,
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Before then.
    pub to: Option<Timestamp>,
}

/// Single uses, the newest first.
#[derive(Debug)]
pub struct UsePage {
    /// Each with its position.
    pub lines: Vec<(u64, String)>,
    /// The position before which the next page begins.
    pub next: Option<u64>,
    /// The size of the log that the page stands for.
    pub position: u64,
}

/// Places of events that fit `$fits`, with the size that the generation which is read stands for.
macro_rules! events {
    ($fits:literal, $order:literal) => {
        concat!(
            "WITH live AS (
                 SELECT of.generation, of.size FROM chancery_views.audit AS view
                 JOIN chancery_views.audit_generations AS of ON of.generation = view.live
             )
             SELECT live.size, found.position, found.first FROM live LEFT JOIN LATERAL (
                 SELECT position, first FROM chancery_views.audit_events AS event
                 WHERE event.generation = live.generation AND position > $1 AND position < $2 AND ",
            $fits,
            " ORDER BY position ",
            $order,
            " LIMIT $3) AS found ON true ORDER BY found.position ",
            $order
        )
    };
}

/// Those that a filter lets through.
macro_rules! filtered {
    ($order:literal) => {
        events!(
            "($4::uuid IS NULL OR organization = $4) AND ($5::uuid IS NULL OR project = $5)
             AND ($6::uuid IS NULL OR token = $6) AND ($7::uuid IS NULL OR actor_token = $7)
             AND ($8::text IS NULL OR actor = $8) AND ($9::text[] IS NULL OR type = ANY ($9))
             AND ($10::int8 IS NULL OR at >= 'epoch'::timestamptz + $10 * interval '1 microsecond')
             AND ($11::int8 IS NULL OR at < 'epoch'::timestamptz + $11 * interval '1 microsecond')
             AND ($12::bytea[] IS NULL OR address = ANY ($12))",
            $order
        )
    };
}

/// Those about a token, and since its beginning those that ended or suspended it from outside.
macro_rules! history {
    ($order:literal) => {
        events!(
            "(token = $4 OR token = $5 AND type = 'TokenRevoked'
              OR project = $6 AND type = 'ProjectDeleted'
              OR organization = $7
                  AND type IN ('OrganizationSuspended', 'OrganizationRestored', 'OrganizationDeleted')
              OR type = 'TokensRevoked' AND organization IS NOT DISTINCT FROM $8
                  AND at = 'epoch'::timestamptz + $9 * interval '1 microsecond')
             AND position >= (
                 SELECT coalesce(min(position), 0) FROM chancery_views.audit_events AS own
                 WHERE own.generation = live.generation AND own.token = $4)",
            $order
        )
    };
}

impl Audit {
    /// Events after a position in the order asked for.
    pub async fn events(
        &self,
        filter: &EventFilter,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<EventPage, Error> {
        let statement = match order {
            Order::NewestFirst => filtered!("DESC"),
            Order::OldestFirst => filtered!("ASC"),
        };
        let (above, below) = order.bounds(after);
        let reading = sqlx::query(statement)
            .bind(above)
            .bind(below)
            .bind(one_more(limit))
            .bind(filter.place.organization().map(|id| id.0))
            .bind(filter.place.project().map(|id| id.0))
            .bind(filter.token.map(|id| id.0))
            .bind(filter.actor_token.map(|id| id.0))
            .bind(filter.actor.clone())
            .bind(filter.types.clone())
            .bind(filter.from.map(Timestamp::micros))
            .bind(filter.to.map(Timestamp::micros))
            .bind(filter.addresses.clone())
            // Planned for the filters that there are.
            .persistent(false);
        self.page(self.reads.run(READING, reading).await?, limit).await
    }

    /// What happened to a token, after a position in the order asked for.
    pub async fn history(
        &self,
        of: &TokenHistory,
        order: Order,
        after: Option<u64>,
        limit: usize,
    ) -> Result<EventPage, Error> {
        let statement = match order {
            Order::NewestFirst => history!("DESC"),
            Order::OldestFirst => history!("ASC"),
        };
        let (above, below) = order.bounds(after);
        let reading = sqlx::query(statement)
            .bind(above)
            .bind(below)
            .bind(one_more(limit))
            .bind(of.token.0)
            .bind(of.cause.map(|id| id.0))
            .bind(of.project.map(|id| id.0))
            .bind(of.organization.map(|id| id.0))
            .bind(of.ended.and_then(|(organization, _)| organization).map(|id| id.0))
            .bind(of.ended.map(|(_, at)| at.micros()))
            .persistent(false);
        self.page(self.reads.run(READING, reading).await?, limit).await
    }

    /// The lines of events that were found, in their order.
    async fn page(&self, rows: Vec<PgRow>, limit: usize) -> Result<EventPage, Error> {
        let position = size_of(&rows)?;
        let places = rows.iter().filter_map(|row| place_of(row).transpose());
        let mut places = places.collect::<Result<Vec<LinePlace>, _>>().map_err(failed)?;
        let has_more = places.len() > limit;
        places.truncate(limit);
        let next = places.last().map(|place| place.position).filter(|_| has_more);
        let mut texts = self.reads.lines_at(&places).await?;
        let lines = places.iter().filter_map(|place| Some((place.position, texts.remove(&place.position)?)));
        Ok(EventPage { lines: lines.collect(), next, position })
    }

    /// A token's single uses before a position, the newest first, of those that `may_show` lets through.
    pub async fn uses(
        &self,
        token: TokenId,
        filter: &UseFilter,
        before: Option<u64>,
        limit: usize,
        may_show: impl Fn(&Summary<'_>) -> bool,
    ) -> Result<UsePage, Error> {
        let mut found = Vec::new();
        let mut below = before.unwrap_or(u64::MAX);
        let (mut position, mut looked_at) = (None, 0);
        loop {
            let (size, commits) = self.commits_of_uses(token, filter, below).await?;
            let position = *position.get_or_insert(size);
            for firsts in commits.chunks(COMMITS) {
                let mut read = self.reads.commits_at(firsts).await?;
                read.reverse();
                for commit in &read {
                    uses_in(commit, token, filter, before, &may_show, &mut found)?;
                    if found.len() > limit {
                        break;
                    }
                }
                looked_at += firsts.len();
                below = firsts.last().copied().unwrap_or(below);
                if found.len() > limit {
                    found.truncate(limit);
                    let next = found.last().map(|(position, _)| *position);
                    return Ok(UsePage { lines: found, next, position });
                }
                if looked_at >= MOST_COMMITS {
                    return Ok(UsePage { lines: found, next: Some(below), position });
                }
            }
            if commits.is_empty() {
                return Ok(UsePage { lines: found, next: None, position });
            }
        }
    }

    /// Some commits with uses of a token that begin before a position, the newest first; none when there are no more.
    async fn commits_of_uses(
        &self,
        token: TokenId,
        filter: &UseFilter,
        below: u64,
    ) -> Result<(u64, Vec<u64>), Error> {
        let hour = |time: Timestamp| i32::try_from(time.micros().div_euclid(HOUR)).unwrap_or(i32::MAX);
        let reading = sqlx::query(
            "WITH live AS (
                 SELECT of.generation, of.size FROM chancery_views.audit AS view
                 JOIN chancery_views.audit_generations AS of ON of.generation = view.live
             )
             SELECT live.size, found.first, found.commits FROM live LEFT JOIN LATERAL (
                 SELECT first, commits FROM chancery_views.audit_uses AS used
                 WHERE used.generation = live.generation AND token = $1 AND first < $2
                   AND hour >= $3 AND hour <= $4 AND outcomes & $5 <> 0
                 ORDER BY first DESC LIMIT $6
             ) AS found ON true ORDER BY found.first DESC",
        )
        .bind(token.0)
        .bind(to_db(below))
        .bind(filter.from.map_or(i32::MIN, hour))
        .bind(filter.to.map_or(i32::MAX, hour))
        .bind(filter.outcome.map_or(-1, bit))
        .bind(STEP);
        let rows = self.reads.run(READING, reading).await?;
        let mut commits = Vec::new();
        for row in &rows {
            let Some(first) = row.try_get::<Option<i64>, _>(1).map_err(failed)? else { continue };
            let steps: Vec<u8> = row.try_get(2).map_err(failed)?;
            let all = commits_of(first.unsigned_abs(), &steps);
            commits.extend(all.into_iter().rev().filter(|commit| *commit < below));
        }
        Ok((size_of(&rows)?, commits))
    }
}

/// The uses in a commit that are asked for, the newest first.
fn uses_in(
    commit: &Commit,
    token: TokenId,
    filter: &UseFilter,
    before: Option<u64>,
    may_show: impl Fn(&Summary<'_>) -> bool,
    found: &mut Vec<(u64, String)>,
) -> Result<(), Error> {
    let id = token.to_string();
    let begin = found.len();
    let named = commit.numbered().filter(|(_, line)| line.contains(&id));
    for (position, text) in named.filter(|(position, _)| before.is_none_or(|before| *position < before)) {
        let line = Summary::read(text).map_err(|error| Error::Refused {
            doing: READING,
            reason: format!("position {position}: {error}"),
        })?;
        if filter.lets_through(&line, token) && may_show(&line) {
            found.push((position, text.to_owned()));
        }
    }
    found[begin..].reverse();
    Ok(())
}

impl UseFilter {
    fn lets_through(&self, line: &Summary<'_>, token: TokenId) -> bool {
        let asked = line.asked.as_ref().and_then(|asked| asked.permission.as_deref());
        line.outcome_for(token).is_some_and(|found| self.outcome.is_none_or(|wanted| wanted == found))
            && self.permission.as_deref().is_none_or(|wanted| asked == Some(wanted))
            && self.from.is_none_or(|from| line.at >= from)
            && self.to.is_none_or(|to| line.at < to)
    }
}

impl EventFilter {
    /// Whether a line is let through, of a token that stands at `scope` if it is about one. Addresses are compared by
    /// who has the values: they have other commitments tomorrow.
    pub fn lets_through(&self, line: &Summary<'_>, scope: Option<Scope>) -> bool {
        let project = line.project.or_else(|| scope.and_then(Scope::project));
        self.place.organization().is_none_or(|place| line.org == Some(place))
            && self.place.project().is_none_or(|place| project == Some(place))
            && self.token.is_none_or(|wanted| line.token == Some(wanted))
            && self.actor.as_ref().is_none_or(|wanted| line.actor.by == *wanted)
            && self.actor_token.is_none_or(|wanted| line.actor.token == Some(wanted))
            && self.types.as_ref().is_none_or(|wanted| wanted.iter().any(|kind| line.kind == *kind))
            && self.from.is_none_or(|from| line.at >= from)
            && self.to.is_none_or(|to| line.at < to)
    }
}

impl Order {
    /// Positions that lie between come after this one.
    fn bounds(self, after: Option<u64>) -> (i64, i64) {
        match self {
            Self::NewestFirst => (-1, after.map_or(i64::MAX, to_db)),
            Self::OldestFirst => (after.map_or(-1, to_db), i64::MAX),
        }
    }
}

/// One more than is shown tells whether there are more.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// The first column of every row is how far the generation has come.
fn size_of(rows: &[PgRow]) -> Result<u64, Error> {
    let row = rows.first().ok_or_else(|| missing(READING))?;
    row.try_get::<i64, _>(0).map(i64::unsigned_abs).map_err(failed)
}

/// Nothing was found where the other columns are empty.
fn place_of(row: &PgRow) -> Result<Option<LinePlace>, sqlx::Error> {
    let (position, first): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(2)?);
    Ok(position.zip(first).map(|(position, first)| LinePlace {
        position: position.unsigned_abs(),
        first: first.unsigned_abs(),
    }))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn failed(error: sqlx::Error) -> Error {
    Error::from_sqlx(READING, &error)
}
