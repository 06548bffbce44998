//! The statement that appends, and how its errors are read.

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Executor, Postgres, Row as _, SqlSafeStr};

use crate::draft::{Condition, Draft};
use crate::error::{certainly_undone, describe, violated_unique};
use crate::pages::{head_of, place_of, to_db};
use crate::{Error, Head, Place};

/// What one attempt to append came to.
pub(crate) enum Attempt {
    /// It happened, now.
    Committed(Place),
    /// The head was not as the condition says; this attempt changed nothing.
    ConditionFailed,
    /// The id is in the log already; this attempt changed nothing.
    Exists,
    /// This attempt certainly changed nothing.
    Undone(Error),
    /// It may have happened.
    Unknown(String),
}

/// Updates the head if the condition holds and inserts what follows from it. One statement, so that it is one
/// round trip, one flush, and nothing of it can happen alone.
///
/// Both conditions are parameters that may be null: one text for all three, over a table of one row. The
/// casts fix the parameters' types, which the server would otherwise infer from their neighbours.
macro_rules! append_sql {
    ($here:literal, $($more:expr),+) => {
        concat!(
            "WITH head AS (
                 UPDATE chancery.log_head
                 SET size = size + $2::int8, version = version + $3::int8,
                     last_lifecycle = CASE WHEN $3 > 0 THEN $1::uuid ELSE last_lifecycle END
                 WHERE ",
            $here,
            "($5::uuid IS NULL OR last_lifecycle = $5) AND ($6::int8 IS NULL OR size = $6)
                 RETURNING size - $2::int8 AS first, version - $3::int8 AS version, ctid AS row
             )",
            $($more,)+
            ", added AS (
                 INSERT INTO chancery.commits (first, version, committed_at, count, lifecycle, id, lines)
                 SELECT first, version, clock_timestamp(), $2, $3, $1, $4::text FROM head
                 RETURNING committed_at
             )
             SELECT first, version, (extract(epoch FROM committed_at) * 1000000)::int8, head.row::text
             FROM head, added"
        )
    };
}

/// The commit's own personal rows. A commitment that is there already has the same value, or it would not be the same
/// commitment.
macro_rules! personal_sql {
    () => {
        ", personal AS (
         INSERT INTO chancery.personal (commitment, salt, kind, value, organization, person)
         SELECT value.* FROM head, unnest($7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::uuid[],
                                          $12::uuid[]) AS value
         ON CONFLICT (commitment) DO NOTHING
     )"
    };
}

const APPEND: &str = append_sql!("", "");

/// The same where the head's row is known to have been: found there, it need not be looked for. Every append leaves a
/// version of the row behind, and a snapshot that somebody holds open keeps all of them: looking for the last one would
/// take longer with every append. Changes nothing when the row has moved on.
const APPEND_HERE: &str = append_sql!("ctid = $7::text::tid AND ", "");

/// The same with personal and sealed rows, each inserted only if the head was updated. A sealed key that is there already
/// is from an answer that has run out.
const APPEND_WITH: &str = append_sql!(
    "",
    personal_sql!(),
    ", sealed AS (
         INSERT INTO chancery.sealed (key, box, until)
         SELECT value.key, value.box, timestamptz 'epoch' + value.until * interval '1 microsecond'
         FROM head, unnest($13::bytea[], $14::bytea[], $15::int8[]) AS value (key, box, until)
         ON CONFLICT (key) DO UPDATE SET box = excluded.box, until = excluded.until
     )"
);

/// The same with an erasure, and only its commit's own personal rows. Whoever erases holds the head's lock, or knows
/// that the log has not grown: so every row that came with an earlier commit is in the statement's snapshot. Everybody
/// who writes waits for it, so it takes no more than some of the persons' rows.
const APPEND_ERASING: &str = append_sql!(
    "",
    personal_sql!(),
    ", erased AS (
         DELETE FROM chancery.personal AS gone USING head WHERE gone.commitment = ANY (ARRAY(
             (SELECT commitment FROM chancery.personal WHERE person = ANY ($13::uuid[]) LIMIT 2000)
             UNION ALL SELECT unnest($14::bytea[])))
     )"
);

/// Parses and plans the statements ahead, so that the first append is one round trip like all others.
pub(crate) async fn prepare(connection: &mut PgConnection) -> Result<(), Error> {
    for sql in [APPEND, APPEND_HERE] {
        let prepared = connection.prepare(sql.into_sql_str()).await;
        prepared.map_err(|error| Error::from_sqlx("preparing to append", &error))?;
    }
    Ok(())
}

/// Where the head's row was after this connection's last append.
pub(crate) type Row = String;

/// Sends the draft. A row means that the transaction has committed: `fetch_optional` reads up to the server's
/// ready-for-query, which comes after the commit; the row itself comes before.
///
/// With `here`, the head's row is first tried there, and looked for only if that changed nothing.
pub(crate) async fn send(
    connection: &mut PgConnection,
    draft: &Draft,
    condition: Condition,
    here: Option<&Row>,
) -> Result<Option<(Place, Row)>, sqlx::Error> {
    let plain = draft.personal.is_empty() && draft.sealed.is_empty() && draft.erases.is_none();
    if let Some(here) = here.filter(|_| plain) {
        let row = bind(APPEND_HERE, draft, condition).bind(here).fetch_optional(&mut *connection).await?;
        if row.is_some() {
            return row.map(|row| read(&row)).transpose();
        }
    }
    let query = match &draft.erases {
        _ if plain => bind(APPEND, draft, condition),
        None => bind_sealed(bind_personal(bind(APPEND_WITH, draft, condition), draft), draft),
        Some(erasure) => bind_personal(bind(APPEND_ERASING, draft, condition), draft)
            .bind(&erasure.persons)
            .bind(erasure.values.iter().map(|commitment| &commitment[..]).collect::<Vec<_>>()),
    };
    let row = query.fetch_optional(connection).await?;
    row.map(|row| read(&row)).transpose()
}

/// What all of the statements take.
fn bind<'d>(sql: &'static str, draft: &'d Draft, condition: Condition) -> Query<'d, Postgres, PgArguments> {
    let (last_lifecycle, size) = match condition {
        Condition::LastLifecycle(id) => (Some(id), None),
        Condition::Size(size) => (None, Some(to_db(size))),
        Condition::Always => (None, None),
    };
    sqlx::query(sql)
        .bind(draft.id)
        .bind(i64::from(draft.count))
        .bind(i64::from(draft.lifecycle))
        .bind(&draft.lines)
        .bind(last_lifecycle)
        .bind(size)
}

fn bind_personal<'d>(
    query: Query<'d, Postgres, PgArguments>,
    draft: &'d Draft,
) -> Query<'d, Postgres, PgArguments> {
    let personal = &draft.personal;
    query
        .bind(personal.iter().map(|value| &value.commitment[..]).collect::<Vec<_>>())
        .bind(personal.iter().map(|value| &value.salt[..]).collect::<Vec<_>>())
        .bind(personal.iter().map(|value| value.kind.name()).collect::<Vec<_>>())
        .bind(personal.iter().map(|value| value.value.as_str()).collect::<Vec<_>>())
        .bind(personal.iter().map(|value| value.organization).collect::<Vec<_>>())
        .bind(personal.iter().map(|value| value.person).collect::<Vec<_>>())
}

fn bind_sealed<'d>(
    query: Query<'d, Postgres, PgArguments>,
    draft: &'d Draft,
) -> Query<'d, Postgres, PgArguments> {
    query
        .bind(draft.sealed.iter().map(|sealed| &sealed.key[..]).collect::<Vec<_>>())
        .bind(draft.sealed.iter().map(|sealed| &sealed.contents[..]).collect::<Vec<_>>())
        .bind(draft.sealed.iter().map(|sealed| sealed.until).collect::<Vec<_>>())
}

fn read(row: &PgRow) -> Result<(Place, Row), sqlx::Error> {
    Ok((place_of(row)?, row.try_get(3)?))
}

/// What an error says about the attempt that met it.
pub(crate) fn judge(error: &sqlx::Error) -> Attempt {
    match violated_unique(error) {
        Some("commits_id_key") => return Attempt::Exists,
        Some(constraint @ ("commits_pkey" | "commits_lifecycle_key")) => {
            return Attempt::Undone(Error::corrupt(format!(
                "the head gives out positions that are taken ({constraint})"
            )));
        }
        _ => {}
    }
    if certainly_undone(error) {
        Attempt::Undone(Error::from_sqlx("appending", error))
    } else {
        Attempt::Unknown(describe(error))
    }
}

/// A commit that has a draft's id.
pub(crate) struct Found {
    place: Place,
    same_lines: bool,
}

impl Found {
    /// An id is one commit's for ever: other lines under it are a mistake of the caller.
    pub(crate) fn same_as(self, draft: &Draft) -> Result<Place, Error> {
        if self.same_lines {
            return Ok(self.place);
        }
        Err(Error::Invalid {
            what: format!(
                "draft {}: the log holds other lines under this id, at {}",
                draft.id, self.place.first
            ),
        })
    }
}

/// The commit with the draft's id, if it is there, and the head, in one snapshot.
pub(crate) async fn look_for(
    connection: &mut PgConnection,
    draft: &Draft,
) -> Result<(Option<Found>, Head), Error> {
    const DOING: &str = "looking for a commit";
    let row = sqlx::query(
        "SELECT found.first, found.version, (extract(epoch FROM found.committed_at) * 1000000)::int8,
                found.lines = $2,
                head.size, head.version, head.last_lifecycle,
                (extract(epoch FROM clock_timestamp()) * 1000000)::int8
         FROM chancery.log_head AS head LEFT JOIN chancery.commits AS found ON found.id = $1",
    )
    .bind(draft.id)
    .bind(&draft.lines)
    .fetch_one(connection)
    .await
    .map_err(|error| Error::from_sqlx(DOING, &error))?;
    let read = || {
        let found = match row.try_get::<Option<bool>, _>(3)? {
            Some(same_lines) => Some(Found { place: place_of(&row)?, same_lines }),
            None => None,
        };
        Ok::<_, sqlx::Error>((found, head_of(&row, 4)?))
    };
    read().map_err(|error| Error::from_sqlx(DOING, &error))
}
