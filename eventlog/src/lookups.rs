//! Looking up what stands at known places: lines, commits, personal values. Whoever asks has the places from an index
//! of its own.

use crate::draft::Erasure;
use crate::personal::{Opened, PersonalRow, encode_commitment};
use crate::{Commit, Error, Log, pages};
use sqlx::Row as _;
use std::collections::HashMap;
use uuid::Uuid;

/// So many of a person's values are counted: of more it is only said that they are more.
pub const COUNTED: i64 = 10_000;
/// How many of a person's values one statement deletes.
const STEP: i64 = 5_000;

/// What came of one step of an erasure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// How many values it deleted.
    pub deleted: u64,
    /// Whether there may be more of them.
    pub more: bool,
}

/// Where a line stands: its position, and the position at which its commit begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePlace {
    /// Of the line.
    pub position: u64,
    /// Of the first line of its commit.
    pub first: u64,
}

impl Log {
    /// The exact lines at these places, by their positions.
    pub async fn lines_at(&self, places: &[LinePlace]) -> Result<HashMap<u64, String>, Error> {
        const DOING: &str = "reading lines";
        let (positions, firsts): (Vec<i64>, Vec<i64>) =
            places.iter().map(|place| (pages::to_db(place.position), pages::to_db(place.first))).unzip();
        let reading = sqlx::query(
            "SELECT place.position, split_part(entry.lines, E'\\n', (place.position - place.first + 1)::int)
             FROM unnest($1::int8[], $2::int8[]) AS place (position, first)
             JOIN chancery.commits AS entry ON entry.first = place.first",
        )
        .bind(positions)
        .bind(firsts);
        let read =
            |row: &sqlx::postgres::PgRow| Ok((row.try_get::<i64, _>(0)?.unsigned_abs(), row.try_get(1)?));
        let rows = self.run(DOING, reading).await?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| Error::from_sqlx(DOING, &error))
    }

    /// The commits that begin at these positions, in the order of the log.
    pub async fn commits_at(&self, firsts: &[u64]) -> Result<Vec<Commit>, Error> {
        const DOING: &str = "reading commits";
        let firsts: Vec<i64> = firsts.iter().copied().map(pages::to_db).collect();
        let reading = sqlx::query(
            "SELECT head.size, head.version, entry.first, entry.id, entry.count, entry.version, entry.lifecycle,
                    (extract(epoch FROM entry.committed_at) * 1000000)::int8, entry.lines
             FROM chancery.log_head AS head, chancery.commits AS entry
             WHERE entry.first = ANY ($1) ORDER BY entry.first",
        )
        .bind(firsts);
        let rows = self.run(DOING, reading).await?;
        let commits = rows.iter().filter_map(|row| pages::commit_of(row).transpose());
        commits.collect::<Result<_, _>>().map_err(|error| Error::from_sqlx(DOING, &error))
    }

    /// What stands behind commitments. One that was erased is not in the answer. Each value is held against its
    /// commitment: another one than the line was written with is never given out.
    pub async fn personal_values(
        &self,
        commitments: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Opened>, Error> {
        let rows = self.personal_rows(commitments).await?;
        Ok(rows.into_iter().map(|(commitment, row)| (commitment, self.open(&commitment, row))).collect())
    }

    /// The rows behind commitments as they are, for whoever checks them elsewhere.
    pub async fn personal_rows(
        &self,
        commitments: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], PersonalRow>, Error> {
        const DOING: &str = "reading personal values";
        let keys: Vec<Vec<u8>> = commitments.iter().map(|commitment| commitment.to_vec()).collect();
        let reading = sqlx::query(
            "SELECT commitment, salt, kind, value FROM chancery.personal WHERE commitment = ANY ($1)",
        )
        .bind(keys);
        let read = |row: &sqlx::postgres::PgRow| {
            let key: Vec<u8> = row.try_get(0)?;
            Ok((key, PersonalRow { salt: row.try_get(1)?, kind: row.try_get(2)?, value: row.try_get(3)? }))
        };
        let mut found = HashMap::new();
        for row in self.run(DOING, reading).await? {
            let (key, row) = read(&row).map_err(|error| Error::from_sqlx(DOING, &error))?;
            if let Ok(key) = key.try_into() {
                found.insert(key, row);
            }
        }
        Ok(found)
    }

    fn open(&self, commitment: &[u8; 32], row: PersonalRow) -> Opened {
        if row.fits(commitment) {
            return Opened::Value(row.value);
        }
        self.met_altered();
        tracing::error!(
            commitment = encode_commitment(commitment),
            "a personal value is not the one that its line was written with: somebody has changed its row"
        );
        Opened::Altered
    }

    /// Commitments to a network address, of all days and writers, at most so many: those of an organization's lines or,
    /// without one, of all lines.
    pub async fn commitments_to_address(
        &self,
        address: String,
        organization: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let reading = sqlx::query(
            "SELECT commitment FROM chancery.personal
             WHERE kind = 'address' AND value = $1 AND ($2::uuid IS NULL OR organization = $2) LIMIT $3",
        )
        .bind(address)
        .bind(organization)
        .bind(i64::from(limit))
        // With the organization known when it is planned, or known to be any, the index is read no further than needed.
        .persistent(false);
        self.commitments(reading).await
    }

    /// Commitments to a mail address, in upper and lower case, of all organizations and invitations, and where it was
    /// said as a name: at most so many.
    pub async fn commitments_to_mail(&self, address: String, limit: u32) -> Result<Vec<Vec<u8>>, Error> {
        let reading = sqlx::query(
            "SELECT commitment FROM chancery.personal
             WHERE kind IN ('email', 'name') AND lower(value) = lower($1) LIMIT $2",
        )
        .bind(address)
        .bind(i64::from(limit));
        self.commitments(reading).await
    }

    /// The same for the mail address that a commitment is to, without that one; none once it was erased.
    pub async fn commitments_to_same_mail(
        &self,
        as_this: &[u8; 32],
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let reading = sqlx::query(
            "SELECT commitment FROM chancery.personal
             WHERE kind IN ('email', 'name') AND commitment <> $1 AND lower(value) = (
                 SELECT lower(value) FROM chancery.personal WHERE kind = 'email' AND commitment = $1) LIMIT $2",
        )
        .bind(as_this.to_vec())
        .bind(i64::from(limit));
        self.commitments(reading).await
    }

    async fn commitments(
        &self,
        reading: sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<Vec<u8>>, Error> {
        const DOING: &str = "looking for a personal value";
        let rows = self.run(DOING, reading).await?;
        let found = rows.iter().map(|row| row.try_get(0));
        found.collect::<Result<_, _>>().map_err(|error| Error::from_sqlx(DOING, &error))
    }

    /// How many values of each kind an erasure would delete now. No more than [`COUNTED`] and one of the persons' are
    /// counted.
    pub async fn erasable(&self, erasure: &Erasure) -> Result<Vec<(String, u64)>, Error> {
        const DOING: &str = "counting personal values";
        let values: Vec<Vec<u8>> = erasure.values.iter().map(|commitment| commitment.to_vec()).collect();
        let reading = sqlx::query(
            "SELECT kind, count(*) FROM (
                 SELECT commitment, kind FROM chancery.personal WHERE commitment = ANY ($2)
                 UNION (SELECT commitment, kind FROM chancery.personal WHERE person = ANY ($1) LIMIT $3)
             ) AS kept GROUP BY kind ORDER BY kind",
        )
        .bind(erasure.persons.clone())
        .bind(values)
        .bind(COUNTED + 1);
        let rows = self.run(DOING, reading).await?;
        let read =
            |row: &sqlx::postgres::PgRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.unsigned_abs()));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| Error::from_sqlx(DOING, &error))
    }

    /// Deletes some of what is kept about persons who were erased.
    pub async fn erase_some(&self, persons: &[Uuid]) -> Result<Erased, Error> {
        const DOING: &str = "erasing personal values";
        let deleting = sqlx::query(
            "WITH picked AS (
                 SELECT commitment FROM chancery.personal WHERE person = ANY ($1) LIMIT $2
             ), gone AS (
                 DELETE FROM chancery.personal WHERE commitment = ANY (ARRAY(SELECT commitment FROM picked))
                 RETURNING 1
             )
             SELECT (SELECT count(*) FROM picked), (SELECT count(*) FROM gone)",
        )
        .bind(persons.to_vec())
        .bind(STEP);
        let rows = self.run(DOING, deleting).await?;
        let read = |row: &sqlx::postgres::PgRow| {
            let (found, deleted): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            // What another node has deleted meanwhile was found and not deleted here.
            Ok(Erased { deleted: deleted.unsigned_abs(), more: found >= STEP })
        };
        rows.first().map_or(Ok(Erased::default()), read).map_err(|error| Error::from_sqlx(DOING, &error))
    }
}
