//! The rows of the view, a statement each: they are written only by the keeper of the present term.

use super::tally::{Seen, Total};
use crate::people::Commitment;
use domain::id::TokenId;
use domain::time::Timestamp;
use eventlog::{Error, Log};
use uuid::Uuid;

/// The columns of moments.
#[derive(Default)]
struct Moments {
    at: Vec<Option<i64>>,
    permission: Vec<Option<String>>,
    address: Vec<Option<String>>,
    agent: Vec<Option<String>>,
}

impl Moments {
    fn push(&mut self, moment: Option<(Timestamp, &Seen)>) {
        let seen = moment.map(|(_, seen)| seen);
        let text = |commitment: Option<&Commitment>| commitment.map(|c| c.as_str().to_owned());
        self.at.push(moment.map(|(at, _)| at.micros()));
        self.permission.push(seen.and_then(|seen| seen.permission.as_deref().map(str::to_owned)));
        self.address.push(text(seen.and_then(|seen| seen.address.as_ref())));
        self.agent.push(text(seen.and_then(|seen| seen.agent.as_ref())));
    }
}

/// Writes last uses and last refusals: those that are later than what stands there.
pub(super) async fn last_uses(log: &Log, term: i64, rows: &[(TokenId, Total)]) -> Result<(), Error> {
    let (mut used, mut refused, mut codes) = (Moments::default(), Moments::default(), Vec::new());
    let mut tokens: Vec<Uuid> = Vec::new();
    for (token, total) in rows {
        tokens.push(token.0);
        used.push(total.last.as_ref().map(|(at, seen)| (*at, seen)));
        refused.push(total.last_refused.as_ref().map(|(at, _, seen)| (*at, seen)));
        codes.push(total.last_refused.as_ref().map(|(_, code, _)| code.as_str().to_owned()));
    }
    let writing = sqlx::query(
        "WITH keeper AS MATERIALIZED (
             SELECT 1 AS one FROM chancery_views.progress WHERE view = 'usage' AND term = $1 FOR SHARE
         )
         INSERT INTO chancery_views.usage AS known (
             token, last_used_at, used_permission, used_address, used_agent,
             last_refused_at, refused_code, refused_permission, refused_address, refused_agent
         )
         SELECT new.token, 'epoch'::timestamptz + new.used_at * interval '1 microsecond',
                new.used_permission, new.used_address, new.used_agent,
                'epoch'::timestamptz + new.refused_at * interval '1 microsecond',
                new.refused_code, new.refused_permission, new.refused_address, new.refused_agent
         FROM keeper, unnest($2::uuid[], $3::int8[], $4::text[], $5::text[], $6::text[],
                             $7::int8[], $8::text[], $9::text[], $10::text[], $11::text[])
              AS new (token, used_at, used_permission, used_address, used_agent,
                      refused_at, refused_code, refused_permission, refused_address, refused_agent)
         ON CONFLICT (token) DO UPDATE SET
             (last_used_at, used_permission, used_address, used_agent) = (
                 SELECT * FROM (VALUES
                     (known.last_used_at, known.used_permission, known.used_address, known.used_agent),
                     (EXCLUDED.last_used_at, EXCLUDED.used_permission, EXCLUDED.used_address, EXCLUDED.used_agent)
                 ) AS one (at, permission, address, agent) ORDER BY at DESC NULLS LAST LIMIT 1
             ),
             (last_refused_at, refused_code, refused_permission, refused_address, refused_agent) = (
                 SELECT * FROM (VALUES
                     (known.last_refused_at, known.refused_code, known.refused_permission,
                      known.refused_address, known.refused_agent),
                     (EXCLUDED.last_refused_at, EXCLUDED.refused_code, EXCLUDED.refused_permission,
                      EXCLUDED.refused_address, EXCLUDED.refused_agent)
                 ) AS one (at, code, permission, address, agent) ORDER BY at DESC NULLS LAST LIMIT 1
             )",
    )
    .bind(term)
    .bind(tokens)
    .bind(used.at)
    .bind(used.permission)
    .bind(used.address)
    .bind(used.agent)
    .bind(refused.at)
    .bind(codes)
    .bind(refused.permission)
    .bind(refused.address)
    .bind(refused.agent);
    log.run("writing the usage view", writing).await.map(drop)
}

/// Writes what tokens were used for. A time is moved on by the hour, so that a token in steady use is not written again.
pub(super) async fn permissions(log: &Log, term: i64, rows: &[(TokenId, Total)]) -> Result<(), Error> {
    let (mut tokens, mut permissions, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (token, total) in rows {
        for (permission, at) in &total.permissions {
            tokens.push(token.0);
            permissions.push(permission.to_string());
            times.push(at.micros());
        }
    }
    if tokens.is_empty() {
        return Ok(());
    }
    let writing = sqlx::query(
        "WITH keeper AS MATERIALIZED (
             SELECT 1 AS one FROM chancery_views.progress WHERE view = 'usage' AND term = $1 FOR SHARE
         )
         INSERT INTO chancery_views.usage_permissions AS known (token, permission, last_used_at)
         SELECT new.token, new.permission, 'epoch'::timestamptz + new.at * interval '1 microsecond'
         FROM keeper, unnest($2::uuid[], $3::text[], $4::int8[]) AS new (token, permission, at)
         ON CONFLICT (token, permission) DO UPDATE SET last_used_at = EXCLUDED.last_used_at
         WHERE known.last_used_at < EXCLUDED.last_used_at - interval '1 hour'",
    )
    .bind(term)
    .bind(tokens)
    .bind(permissions)
    .bind(times);
    log.run("writing the usage view", writing).await.map(drop)
}

/// Adds the uses of days to rows that do not count them yet; from then on they count the log to `through`.
pub(super) async fn days(log: &Log, term: i64, rows: &[(TokenId, Total)], through: i64) -> Result<(), Error> {
    let (mut tokens, mut days, mut used, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (token, total) in rows {
        for (day, uses, refusals) in &total.days {
            tokens.push(token.0);
            days.push(*day);
            used.push(i64::try_from(*uses).unwrap_or(i64::MAX));
            refused.push(i64::try_from(*refusals).unwrap_or(i64::MAX));
        }
    }
    let writing = sqlx::query(
        "WITH keeper AS MATERIALIZED (
             SELECT 1 AS one FROM chancery_views.progress WHERE view = 'usage' AND term = $1 FOR SHARE
         )
         INSERT INTO chancery_views.usage_days AS known (token, day, used, refused, through)
         SELECT new.token, '1970-01-01'::date + new.day::int4, new.used, new.refused, $6
         FROM keeper, unnest($2::uuid[], $3::int8[], $4::int8[], $5::int8[]) AS new (token, day, used, refused)
         ON CONFLICT (token, day) DO UPDATE
         SET used = known.used + EXCLUDED.used, refused = known.refused + EXCLUDED.refused, through = EXCLUDED.through
         WHERE known.through < EXCLUDED.through",
    )
    .bind(term)
    .bind(tokens)
    .bind(days)
    .bind(used)
    .bind(refused)
    .bind(through);
    log.run("writing the usage view", writing).await.map(drop)
}
