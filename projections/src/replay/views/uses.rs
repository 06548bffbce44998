//! The rows of single uses. They grow in place, and how a token's uses are cut into rows is up to whoever keeps them: so
//! what a row holds is compared, commit by commit, with what the log says of the stretch that the row begins.
//!
//! In memory are the uses of two hours, about four bytes each, and a number for every row that was looked at.

use super::READING;
use super::found::{Findings, shown, typed};
use super::stretch::{Stretch, Sums, commits_of, sums};
use crate::audit::{UseOutcome, bit};
use domain::id::TokenId;
use domain::replay::UseLine;
use domain::time::Timestamp;
use domain::verify::Code;
use eventlog::{Error, Log};
use foldhash::quality::RandomState;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;
use uuid::Uuid;

const HOUR: i64 = 3_600_000_000;
/// Hours that uses may still be of: times of bounded uses go back a little.
const OPEN_HOURS: usize = 2;
/// Tokens whose rows are read at once.
pub(super) const TOKENS: usize = 500;
/// Keys that are read at once.
const KEYS: i64 = 5_000;

pub(super) struct Uses {
    generation: i32,
    hours: BTreeMap<i32, Hour>,
    /// Uses of hours that were over, in rows that went on all the same: they are looked at in the end.
    late: BTreeMap<i32, Hour>,
    /// The rows that were looked at, as a hash of their keys.
    known: HashSet<u64, RandomState>,
    /// The least size that rows were held against.
    until: u64,
    pub(super) found: Findings,
}

/// The uses of an hour.
#[derive(Default)]
struct Hour {
    /// Where the first commit of it begins, and the last.
    from: u64,
    to: u64,
    tokens: HashMap<TokenId, Stretch, RandomState>,
}

#[derive(FromRow)]
struct Row {
    token: Uuid,
    first: i64,
    last: i64,
    valid: i32,
    refused: i32,
    asked: i32,
    outcomes: i32,
    commits: Vec<u8>,
}

/// Some tokens of one hour.
pub(super) struct Batch {
    hour: i32,
    from: u64,
    tokens: Vec<TokenId>,
}

/// Their rows, as the generation stood at a size of the log.
pub(super) struct Rows {
    pub(super) size: u64,
    rows: Vec<Row>,
}

impl Uses {
    pub(super) fn new(generation: i32) -> Self {
        Self {
            generation,
            hours: BTreeMap::new(),
            late: BTreeMap::new(),
            known: HashSet::default(),
            until: u64::MAX,
            found: Findings::new("chancery_views.audit_uses"),
        }
    }

    /// Takes note of a use in the commit at `first`.
    pub(super) fn take(&mut self, first: u64, used: &UseLine<'_>) {
        let hour = hour_of(used.at);
        let hour = self.hours.entry(hour).or_insert_with(|| Hour { from: first, ..Hour::default() });
        hour.to = first;
        let outcome = UseOutcome::Answered(used.code.unwrap_or(Code::Valid));
        hour.used(used.token, first, outcome, used.count);
        if let Some(asking) = used.actor_token.filter(|actor| *actor != used.token) {
            hour.used(asking, first, UseOutcome::Asked, used.count);
        }
    }

    /// An hour that no further use can be of, when more hours are held than need be.
    pub(super) fn full_hour(&self) -> Option<i32> {
        let (hour, _) = self.hours.first_key_value().filter(|_| self.hours.len() > OPEN_HOURS)?;
        Some(*hour)
    }

    /// All hours that are held: nothing is left for later any more.
    pub(super) fn all_hours(&mut self) -> Vec<i32> {
        for (hour, late) in std::mem::take(&mut self.late) {
            let held = self.hours.entry(hour).or_insert_with(|| Hour { to: late.to, ..Hour::default() });
            held.from = late.from;
            for (token, mut earlier) in late.tokens {
                std::mem::swap(&mut earlier, held.tokens.entry(token).or_default());
                held.absorb(token, &earlier);
            }
        }
        self.hours.keys().copied().collect()
    }

    /// The tokens of an hour, in parts.
    pub(super) fn batches(&self, hour: i32) -> Vec<Batch> {
        let Some(held) = self.hours.get(&hour) else { return Vec::new() };
        let mut tokens: Vec<TokenId> = held.tokens.keys().copied().collect();
        tokens.sort_unstable();
        tokens.chunks(TOKENS).map(|part| Batch { hour, from: held.from, tokens: part.to_vec() }).collect()
    }

    /// The rows of some tokens in an hour.
    pub(super) async fn read(&self, log: &Log, batch: &Batch) -> Result<Rows, Error> {
        let to = self.hours.get(&batch.hour).map_or(batch.from, |hour| hour.to);
        let ids: Vec<Uuid> = batch.tokens.iter().map(|token| token.0).collect();
        let reading = sqlx::query(
            "SELECT of.size, used.token, used.first, used.last, used.valid, used.refused, used.asked, used.outcomes,
                    used.commits
             FROM chancery_views.audit_generations AS of
             LEFT JOIN chancery_views.audit_uses AS used
               ON used.generation = of.generation AND used.token = ANY ($2)
              AND used.first >= $3 AND used.first <= $4 AND used.hour = $5
             WHERE of.generation = $1 ORDER BY used.token, used.first",
        )
        .bind(self.generation)
        .bind(ids)
        .bind(batch.from.cast_signed())
        .bind(to.cast_signed())
        .bind(batch.hour);
        let rows = log.run(READING, reading).await?;
        let size = rows.first().map_or(Ok(0), |row| <(i64,)>::from_row(row).map(|(size,)| size));
        let size = size.map_err(|error| Error::from_sqlx(READING, &error))?.cast_unsigned();
        // Without a row that fits, the size comes alone.
        let is_row = |row: &&PgRow| row.try_get::<Option<Uuid>, _>(1).is_ok_and(|token| token.is_some());
        let rows = typed(rows.iter().filter(is_row))?;
        Ok(Rows { size, rows })
    }

    /// Holds the rows of some tokens in an hour against the log, which was taken note of up to `reached`.
    pub(super) fn compare(&mut self, batch: &Batch, rows: &Rows, reached: u64) {
        self.until = self.until.min(rows.size);
        let mut rest = &rows.rows[..];
        for token in &batch.tokens {
            let of_token = rest.iter().take_while(|row| row.token == token.0).count();
            let (own, others) = rest.split_at(of_token);
            rest = others;
            let Some(hour) = self.hours.get_mut(&batch.hour) else { return };
            // What goes on behind what was read of the log so far is looked at in the end.
            if own.iter().any(|row| (reached.cast_signed()..rows.size.cast_signed()).contains(&row.last)) {
                let stretch = hour.tokens.remove(token).unwrap_or_default();
                let late = self
                    .late
                    .entry(batch.hour)
                    .or_insert_with(|| Hour { from: hour.from, ..Hour::default() });
                late.to = hour.to;
                late.absorb(*token, &stretch);
                continue;
            }
            let Some(stretch) = hour.tokens.remove(token) else { continue };
            let uses: Vec<(u64, i32, i64)> = stretch.uses(rows.size).collect();
            self.token(*token, batch.hour, &uses, own);
        }
        self.hours.retain(|_, hour| !hour.tokens.is_empty());
    }

    fn token(&mut self, token: TokenId, hour: i32, uses: &[(u64, i32, i64)], rows: &[Row]) {
        let mut rest = uses;
        let begin = rows.first().map_or(u64::MAX, |row| row.first.cast_unsigned());
        let before = rest.partition_point(|(commit, ..)| *commit < begin);
        if before > 0 {
            let (first, uses) = (rest[0].0, sums(&rest[..before]));
            self.found.missing(|| key(token, first), || format!("hour {}, {uses}", shown_hour(hour)));
            rest = &rest[before..];
        }
        for (index, row) in rows.iter().enumerate() {
            self.found.table.rows += 1;
            self.known.insert(self.known.hasher().hash_one((row.token, row.first)));
            let end = rows.get(index + 1).map_or(u64::MAX, |next| next.first.cast_unsigned());
            let (own, others) = rest.split_at(rest.partition_point(|(commit, ..)| *commit < end));
            rest = others;
            self.row(token, own, row);
        }
    }

    fn row(&mut self, token: TokenId, uses: &[(u64, i32, i64)], row: &Row) {
        let key = || key(token, row.first.cast_unsigned());
        let stands = Sums {
            valid: row.valid.into(),
            refused: row.refused.into(),
            asked: row.asked.into(),
            outcomes: row.outcomes,
        };
        if uses.is_empty() {
            return self.found.too_many(key, || stands.to_string());
        }
        let mut commits: Vec<u64> = uses.iter().map(|(commit, ..)| *commit).collect();
        commits.dedup();
        let found = commits_of(row.first.cast_unsigned(), &row.commits);
        let (commits, found) = differing(&commits, found.as_deref());
        let wanted = sums(uses);
        self.found.hold(
            key,
            [
                ("last", shown(uses[uses.len() - 1].0), shown(row.last)),
                ("commits", commits, found),
                ("valid", shown(wanted.valid), shown(stands.valid)),
                ("refused", shown(wanted.refused), shown(stands.refused)),
                ("asked", shown(wanted.asked), shown(stands.asked)),
                ("outcomes", shown(wanted.outcomes), shown(stands.outcomes)),
            ],
        );
    }

    /// Finds rows of which the log says nothing: all keys are gone through once.
    pub(super) async fn finish(&mut self, log: &Log, began_at: u64) -> Result<(), Error> {
        let until = self.until.min(began_at);
        self.found.table.position = until;
        let (mut token, mut first) = (Uuid::nil(), i64::MIN);
        loop {
            let reading = sqlx::query(
                "SELECT of.size, used.token, used.first, used.last
                 FROM chancery_views.audit_generations AS of
                 JOIN chancery_views.audit_uses AS used ON used.generation = of.generation
                 WHERE of.generation = $1 AND (used.token, used.first) > ($2, $3)
                 ORDER BY used.token, used.first LIMIT $4",
            )
            .bind(self.generation)
            .bind(token)
            .bind(first)
            .bind(KEYS);
            let keys: Vec<(i64, Uuid, i64, i64)> = typed(log.run(READING, reading).await?.iter())?;
            for (size, token, first, last) in &keys {
                let is_known = self.known.contains(&self.known.hasher().hash_one((token, first)));
                if *last >= *size {
                    self.found.too_many(
                        || key(TokenId(*token), first.cast_unsigned()),
                        || format!("last {last}, past where the view stands"),
                    );
                } else if !is_known && *first < until.cast_signed() {
                    self.found.table.rows += 1;
                    self.found
                        .too_many(|| key(TokenId(*token), first.cast_unsigned()), || format!("last {last}"));
                }
            }
            match keys.last() {
                Some((_, last_token, last_first, _)) => (token, first) = (*last_token, *last_first),
                None => return Ok(()),
            }
        }
    }
}

impl Hour {
    fn used(&mut self, token: TokenId, commit: u64, outcome: UseOutcome, count: u32) {
        self.tokens.entry(token).or_default().push(commit, bit(outcome), count.into());
    }

    /// Takes in what came later.
    fn absorb(&mut self, token: TokenId, later: &Stretch) {
        let stretch = self.tokens.entry(token).or_default();
        for (commit, outcome, count) in later.uses(u64::MAX) {
            stretch.push(commit, outcome, count.cast_unsigned());
        }
    }
}

/// Where commits begin to differ; the same twice where they do not.
fn differing(wanted: &[u64], found: Option<&[u64]>) -> (Option<String>, Option<String>) {
    let Some(found) = found else {
        return (shown(format!("{} of them", wanted.len())), shown("bytes that are no commits"));
    };
    let same = wanted.iter().zip(found).take_while(|(wanted, found)| wanted == found).count();
    let at = |commits: &[u64]| match commits.get(same) {
        Some(commit) => Some(format!("{} of them, the {}th at {commit}", commits.len(), same + 1)),
        None => Some(format!("{} of them", commits.len())),
    };
    (at(wanted), at(found))
}

fn hour_of(at: Timestamp) -> i32 {
    i32::try_from(at.micros().div_euclid(HOUR)).unwrap_or(i32::MAX)
}

fn shown_hour(hour: i32) -> Timestamp {
    Timestamp::from_micros(i64::from(hour) * HOUR)
}

fn key(token: TokenId, first: u64) -> String {
    format!("token {token}, first {}", first.cast_signed())
}
