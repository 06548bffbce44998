//! What the view says of tokens: the table, and what its keeper still holds.

use super::tally::{Seen, Total};
use crate::people;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::personal::Opened;
use eventlog::{Error, Log};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use std::collections::HashMap;
use uuid::Uuid;

/// The days that are shown of a token.
const DAYS: i64 = 90;

/// What is known of the uses of a token, about a second behind the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastUse {
    /// The last time it was answered valid, or acted itself.
    pub used: Option<Moment>,
    /// The last time it was refused.
    pub refused: Option<Moment>,
    /// How often on which day (counted from the Unix epoch, UTC), the latest first: used, refused. Only where days are
    /// asked for.
    pub days: Vec<(i64, u64, u64)>,
}

/// One time that a token was presented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Why it was refused.
    pub code: Option<String>,
    /// For what.
    pub permission: Option<String>,
    /// From where, while that is kept.
    pub address: Option<String>,
    /// By what, while that is kept.
    pub agent: Option<String>,
    /// Which of the two is absent because it was erased.
    pub erased: Vec<&'static str>,
    /// Which of the two is absent because another value is kept than there was.
    pub altered: Vec<&'static str>,
}

/// Commitments take the place of addresses and agents until they are resolved.
pub(super) fn of_total(total: &Total) -> LastUse {
    let moment = |at: Timestamp, code: Option<String>, seen: &Seen| Moment {
        at,
        code,
        permission: seen.permission.as_deref().map(str::to_owned),
        address: seen.address.as_ref().map(|address| address.as_str().to_owned()),
        agent: seen.agent.as_ref().map(|agent| agent.as_str().to_owned()),
        erased: Vec::new(),
        altered: Vec::new(),
    };
    LastUse {
        used: total.last.as_ref().map(|(at, seen)| moment(*at, None, seen)),
        refused: total
            .last_refused
            .as_ref()
            .map(|(at, code, seen)| moment(*at, Some(code.as_str().to_owned()), seen)),
        days: total.days.clone(),
    }
}

impl LastUse {
    /// Takes in the last uses that another part of the view knows.
    pub(super) fn merge(&mut self, other: LastUse) {
        let later = |known: &mut Option<Moment>, new: Option<Moment>| {
            if new.as_ref().map(|new| new.at) > known.as_ref().map(|known| known.at) {
                *known = new;
            }
        };
        later(&mut self.used, other.used);
        later(&mut self.refused, other.refused);
    }

    /// Takes in the uses of a day.
    pub(super) fn count(&mut self, (day, used, refused): (i64, u64, u64)) {
        match self.days.iter_mut().find(|(known, ..)| *known == day) {
            Some((_, all_used, all_refused)) => {
                *all_used += used;
                *all_refused += refused;
            }
            None => self.days.push((day, used, refused)),
        }
    }

    /// Brings the days into their order, and leaves out what is too long ago.
    pub(super) fn sort(&mut self) {
        self.days.sort_unstable_by(|a, b| b.cmp(a));
        if let Some((latest, ..)) = self.days.first().copied() {
            self.days.retain(|(day, ..)| *day > latest - DAYS);
        }
    }
}

type MomentRow = (Option<i64>, Option<String>, Option<String>, Option<String>, Option<String>);

#[derive(sqlx::FromRow)]
struct Row {
    token: Uuid,
    used_at: Option<i64>,
    used_permission: Option<String>,
    used_address: Option<String>,
    used_agent: Option<String>,
    refused_at: Option<i64>,
    refused_code: Option<String>,
    refused_permission: Option<String>,
    refused_address: Option<String>,
    refused_agent: Option<String>,
}

fn of_row((at, code, permission, address, agent): MomentRow) -> Option<Moment> {
    let (erased, altered) = (Vec::new(), Vec::new());
    at.map(|at| Moment { at: Timestamp::from_micros(at), code, permission, address, agent, erased, altered })
}

/// What the table has of tokens.
pub(super) async fn read(log: &Log, tokens: &[TokenId]) -> Result<HashMap<TokenId, LastUse>, Error> {
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
    let reading = sqlx::query(
        "SELECT token, (extract(epoch FROM last_used_at) * 1000000)::int8 AS used_at,
                used_permission, used_address, used_agent,
                (extract(epoch FROM last_refused_at) * 1000000)::int8 AS refused_at,
                refused_code, refused_permission, refused_address, refused_agent
         FROM chancery_views.usage WHERE token = ANY ($1)",
    )
    .bind(ids);
    let mut found: HashMap<TokenId, LastUse> = HashMap::new();
    for row in rows::<Row>(log, reading).await? {
        let used = (row.used_at, None, row.used_permission, row.used_address, row.used_agent);
        let refused = (
            row.refused_at,
            row.refused_code,
            row.refused_permission,
            row.refused_address,
            row.refused_agent,
        );
        let known = LastUse { used: of_row(used), refused: of_row(refused), days: Vec::new() };
        found.insert(TokenId(row.token), known);
    }
    Ok(found)
}

/// Of a token and a day: used, refused, and the size of the log that they count.
pub(super) type Day = (TokenId, i64, u64, u64, u64);

/// What the table has of days.
pub(super) async fn read_days(log: &Log, tokens: &[TokenId]) -> Result<Vec<Day>, Error> {
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
    let reading = sqlx::query(
        "SELECT token, (day - '1970-01-01'::date)::int8, used, refused, through
         FROM chancery_views.usage_days WHERE token = ANY ($1)",
    )
    .bind(ids);
    let days = rows::<(Uuid, i64, i64, i64, i64)>(log, reading).await?;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    let days = days.into_iter();
    Ok(days
        .map(|(id, day, used, refused, to)| (TokenId(id), day, count(used), count(refused), count(to)))
        .collect())
}

/// What the table has of what tokens were used for.
pub(super) async fn read_permissions(
    log: &Log,
    tokens: &[TokenId],
) -> Result<Vec<(TokenId, String, Timestamp)>, Error> {
    let ids: Vec<Uuid> = tokens.iter().map(|token| token.0).collect();
    let reading = sqlx::query(
        "SELECT token, permission, (extract(epoch FROM last_used_at) * 1000000)::int8
         FROM chancery_views.usage_permissions WHERE token = ANY ($1)",
    )
    .bind(ids);
    let found = rows::<(Uuid, String, i64)>(log, reading).await?.into_iter();
    Ok(found.map(|(id, text, at)| (TokenId(id), text, Timestamp::from_micros(at))).collect())
}

/// Puts addresses and agents in the place of their commitments. What has been erased is left out.
pub(super) async fn resolve(log: &Log, found: &mut HashMap<TokenId, LastUse>) -> Result<(), Error> {
    let moments = found.values().flat_map(|known| [&known.used, &known.refused]).flatten();
    let commitments: Vec<String> =
        moments.flat_map(|moment| [&moment.address, &moment.agent]).flatten().cloned().collect();
    let values = people::open(log, commitments.iter().map(String::as_str)).await?;
    for moment in found.values_mut().flat_map(|known| [&mut known.used, &mut known.refused]).flatten() {
        let Moment { address, agent, erased, altered, .. } = moment;
        for (name, field) in [("address", address), ("agent", agent)] {
            let Some(commitment) = field.take() else { continue };
            match values.get(&commitment) {
                Some(Opened::Value(value)) => *field = Some(value.clone()),
                Some(Opened::Altered) => altered.push(name),
                None => erased.push(name),
            }
        }
    }
    Ok(())
}

/// The rows of a statement. One whose columns are not as the statement says is left out.
async fn rows<T: for<'r> sqlx::FromRow<'r, PgRow>>(
    log: &Log,
    reading: Query<'static, Postgres, PgArguments>,
) -> Result<Vec<T>, Error> {
    let rows = log.run("reading the usage view", reading).await?;
    Ok(rows.iter().filter_map(|row| T::from_row(row).ok()).collect())
}
