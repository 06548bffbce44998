//! The rows of the usage view, by stretches of tokens.

use super::READING;
use super::found::{Compared, Findings, shown, typed};
use super::usage::{Moment, PERMISSIONS, Total, Usage};
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Error, Log};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{FromRow, Postgres, Row as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// By how much a permission's last use may be behind.
const LATE: i64 = 3_600_000_000;

/// The rows of a stretch of tokens, as they stood at one moment.
pub(super) struct Rows {
    reach: Reach,
    rows: Kind,
}

enum Kind {
    Last(Vec<LastRow>),
    Days(Vec<DayRow>),
    Permissions(Vec<PermissionRow>),
}

/// The tables of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Last,
    Days,
    Permissions,
}

/// The size that the view stands for, and the one that it is being written up to.
#[derive(Clone, Copy)]
struct Reach {
    size: u64,
    writing: u64,
}

#[derive(FromRow)]
struct LastRow {
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

#[derive(FromRow)]
struct DayRow {
    token: Uuid,
    day: i64,
    used: i64,
    refused: i64,
    through: i64,
}

#[derive(FromRow)]
struct PermissionRow {
    token: Uuid,
    permission: String,
    at: i64,
}

impl Rows {
    /// The size that the log has to be read to before they can be looked at.
    pub(super) fn needs(&self) -> u64 {
        self.reach.size.max(self.reach.writing)
    }

    /// The rows of the tokens from one on, before another.
    pub(super) async fn read(
        log: &Log,
        which: Which,
        from: Uuid,
        before: Option<Uuid>,
    ) -> Result<Self, Error> {
        let reading = match which {
            Which::Last => sqlx::query(
                "SELECT size, writing, token, (extract(epoch FROM last_used_at) * 1000000)::int8 AS used_at,
                        used_permission, used_address, used_agent,
                        (extract(epoch FROM last_refused_at) * 1000000)::int8 AS refused_at,
                        refused_code, refused_permission, refused_address, refused_agent
                 FROM chancery_views.progress
                 LEFT JOIN chancery_views.usage ON token >= $1 AND ($2::uuid IS NULL OR token < $2)
                 WHERE view = 'usage' ORDER BY token",
            ),
            Which::Days => sqlx::query(
                "SELECT size, writing, token, (day - '1970-01-01'::date)::int8 AS day, used, refused, through
                 FROM chancery_views.progress
                 LEFT JOIN chancery_views.usage_days ON token >= $1 AND ($2::uuid IS NULL OR token < $2)
                 WHERE view = 'usage' ORDER BY token, day",
            ),
            Which::Permissions => sqlx::query(
                "SELECT size, writing, token, permission, (extract(epoch FROM last_used_at) * 1000000)::int8 AS at
                 FROM chancery_views.progress
                 LEFT JOIN chancery_views.usage_permissions ON token >= $1 AND ($2::uuid IS NULL OR token < $2)
                 WHERE view = 'usage' ORDER BY token, permission",
            ),
        };
        let (reach, rows) = of_tokens(log, reading.bind(from).bind(before)).await?;
        let rows = match which {
            Which::Last => Kind::Last(typed(&rows)?),
            Which::Days => Kind::Days(typed(&rows)?),
            Which::Permissions => Kind::Permissions(typed(&rows)?),
        };
        Ok(Self { reach, rows })
    }
}

/// How far the view stood, and the rows: without one, that comes alone.
async fn of_tokens(
    log: &Log,
    reading: Query<'static, Postgres, PgArguments>,
) -> Result<(Reach, Vec<PgRow>), Error> {
    let mut rows = log.run(READING, reading).await?;
    let failed = |error: sqlx::Error| Error::from_sqlx(READING, &error);
    let missing = || failed(sqlx::Error::RowNotFound);
    let (size, writing) = rows.first().ok_or_else(missing).and_then(|row| {
        Ok((row.try_get::<i64, _>(0).map_err(failed)?, row.try_get::<i64, _>(1).map_err(failed)?))
    })?;
    rows.retain(|row| row.try_get::<Option<Uuid>, _>(2).is_ok_and(|token| token.is_some()));
    Ok((Reach { size: size.cast_unsigned(), writing: writing.cast_unsigned() }, rows))
}

/// What the tables of the view come to.
pub(super) struct UsageFindings {
    last: Findings,
    days: Findings,
    permissions: Findings,
}

impl UsageFindings {
    pub(super) fn new() -> Self {
        Self {
            last: Findings::new("chancery_views.usage"),
            days: Findings::new("chancery_views.usage_days"),
            permissions: Findings::new("chancery_views.usage_permissions"),
        }
    }

    pub(super) fn into(self, compared: &mut Compared) {
        for found in [self.last, self.days, self.permissions] {
            compared.take(found);
        }
    }

    /// Holds rows of some tokens, which may have others between them, against what the log says.
    pub(super) fn compare(&mut self, usage: &Usage, tokens: &[TokenId], rows: &Rows) {
        let reach = rows.reach;
        let mut totals: BTreeMap<TokenId, Total> =
            tokens.iter().map(|token| (*token, usage.at(*token, reach.size))).collect();
        match &rows.rows {
            Kind::Last(rows) => {
                begin(&mut self.last, reach, rows.len());
                for row in rows {
                    self.last(usage, reach, row, totals.remove(&TokenId(row.token)));
                }
                for (token, total) in totals {
                    let at = total.used.at.max(total.refused.at);
                    if let Some(at) = at {
                        self.last.missing(|| of(token.0), || format!("used or refused at {at}"));
                    }
                }
            }
            Kind::Days(rows) => {
                begin(&mut self.days, reach, rows.len());
                for row in rows {
                    self.day(usage, reach, row, totals.get_mut(&TokenId(row.token)));
                }
                for (token, total) in totals {
                    for (day, (used, refused, _)) in total.days {
                        let expected = || format!("used {used}, refused {refused}");
                        self.days.missing(|| of_day(token.0, day), expected);
                    }
                }
            }
            Kind::Permissions(rows) => {
                begin(&mut self.permissions, reach, rows.len());
                for row in rows {
                    self.permission(usage, reach, row, totals.get_mut(&TokenId(row.token)));
                }
                let few = totals.into_iter().filter(|(_, total)| total.permissions.len() <= PERMISSIONS);
                for (token, total) in few {
                    for (permission, at) in total.permissions {
                        self.permissions.missing(|| of_permission(token.0, &permission), || at.to_string());
                    }
                }
            }
        }
    }

    fn last(&mut self, usage: &Usage, reach: Reach, row: &LastRow, total: Option<Total>) {
        let total = total.unwrap_or_else(|| usage.at(TokenId(row.token), reach.size));
        let used =
            [None, row.used_permission.as_deref(), row.used_address.as_deref(), row.used_agent.as_deref()];
        let refused = [
            row.refused_code.as_deref(),
            row.refused_permission.as_deref(),
            row.refused_address.as_deref(),
            row.refused_agent.as_deref(),
        ];
        let hold = |expected: &Moment, is_refusal: bool, at: Option<i64>, kept: [Option<&str>; 4]| {
            let at = at.map(Timestamp::from_micros);
            let [code, permission, address, agent] = kept;
            let print = usage.print(code, permission, address, agent);
            let is_written = usage
                .later_of(TokenId(row.token), reach.size, reach.writing)
                .any(|used| used.is_refusal == is_refusal && Some(used.at) == at && used.print == print);
            let is_so = at == expected.at && (at.is_none() || expected.prints.contains(&print));
            let kept = kept.map(|value| value.unwrap_or("null")).join(" ");
            match (is_so || is_written && at >= expected.at, expected.at, at) {
                (true, ..) => (None, None),
                (false, Some(wanted), Some(at)) if wanted == at => {
                    (shown(format!("as in the line at position {}", expected.position)), Some(kept))
                }
                (false, wanted, at) => (
                    shown(wanted.map_or_else(|| "null".to_owned(), |wanted| wanted.to_string())),
                    shown(at.map_or_else(|| "null".to_owned(), |at| at.to_string())),
                ),
            }
        };
        let (expected_use, found_use) = hold(&total.used, false, row.used_at, used);
        let (expected_refusal, found_refusal) = hold(&total.refused, true, row.refused_at, refused);
        let columns = [("used", expected_use, found_use), ("refused", expected_refusal, found_refusal)];
        self.last.hold(|| of(row.token), columns);
    }

    fn day(&mut self, usage: &Usage, reach: Reach, row: &DayRow, total: Option<&mut Total>) {
        let through = row.through.cast_unsigned();
        let key = || of_day(row.token, row.day);
        let of_row = total.and_then(|total| total.days.remove(&row.day));
        // A row that is ahead of the view counts what it says that it counts.
        let is_ahead = through > reach.size && through <= reach.writing;
        let expected = match (is_ahead, of_row) {
            (false, Some(expected)) => Some(expected),
            (ahead, _) => {
                let size = if ahead { through } else { reach.size };
                usage.at(TokenId(row.token), size).days.get(&row.day).copied()
            }
        };
        let Some((used, refused, end)) = expected else {
            return self.days.too_many(key, || format!("used {}, refused {}", row.used, row.refused));
        };
        let is_counted = (end..=reach.size.max(reach.writing)).contains(&through);
        let wanted = if is_counted { through } else { end };
        let columns = [
            ("used", shown(used), shown(row.used)),
            ("refused", shown(refused), shown(row.refused)),
            ("through", shown(wanted), shown(row.through)),
        ];
        self.days.hold(key, columns);
    }

    fn permission(&mut self, usage: &Usage, reach: Reach, row: &PermissionRow, total: Option<&mut Total>) {
        let token = TokenId(row.token);
        let mut unknown = None;
        let total = total.unwrap_or_else(|| unknown.insert(usage.at(token, reach.size)));
        let is_of_many = total.permissions.len() > PERMISSIONS;
        let place = total.permissions.iter().position(|(known, _)| **known == *row.permission);
        // The list tells whether a token is of many: it is not made shorter for one.
        let known = match place {
            Some(place) if is_of_many => Some(total.permissions[place].1),
            Some(place) => Some(total.permissions.swap_remove(place).1),
            None => None,
        };
        let being_written = usage
            .later_of(token, reach.size, reach.writing)
            .filter(|used| !used.is_refusal && used.permission.as_deref() == Some(&*row.permission))
            .map(|used| used.at)
            .max();
        if is_of_many {
            return;
        }
        let (key, at) = (|| of_permission(row.token, &row.permission), Timestamp::from_micros(row.at));
        let Some(latest) = known.max(being_written) else {
            return self.permissions.too_many(key, || at.to_string());
        };
        let earliest = known.map_or(i64::MIN, |known| known.micros().saturating_sub(LATE));
        if row.at < earliest || at > latest {
            self.permissions.hold(key, [("last_used_at", shown(latest), shown(at))]);
        }
    }
}

fn begin(found: &mut Findings, reach: Reach, rows: usize) {
    let before = found.table.position;
    found.table.position = if before == 0 { reach.size } else { before.min(reach.size) };
    found.table.rows += rows as u64;
}

fn of(token: Uuid) -> String {
    format!("token {token}")
}

fn of_day(token: Uuid, day: i64) -> String {
    let date = Timestamp::from_micros(day.saturating_mul(86_400_000_000)).to_string();
    format!("token {token}, day {}", date.get(..10).unwrap_or(&date))
}

fn of_permission(token: Uuid, permission: &str) -> String {
    format!("token {token}, permission {permission}")
}
