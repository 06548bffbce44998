//! Looking up what stands at known places: lines, commits, personal values. Whoever asks has the places from an index
//! of its own.

use crate::personal::Kind;
use crate::{Commit, Error, Log, pages};
use sqlx::Row as _;
use std::collections::HashMap;

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

    /// The values that commitments stand for. One that was erased is not in the answer.
    pub async fn personal_values(
        &self,
        commitments: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], String>, Error> {
        const DOING: &str = "reading personal values";
        let keys: Vec<Vec<u8>> = commitments.iter().map(|commitment| commitment.to_vec()).collect();
        let reading =
            sqlx::query("SELECT commitment, value FROM chancery.personal WHERE commitment = ANY ($1)")
                .bind(keys);
        let mut values = HashMap::new();
        for row in self.run(DOING, reading).await? {
            let failed = |error: sqlx::Error| Error::from_sqlx(DOING, &error);
            let key: Vec<u8> = row.try_get(0).map_err(failed)?;
            if let Ok(key) = key.try_into() {
                values.insert(key, row.try_get(1).map_err(failed)?);
            }
        }
        Ok(values)
    }

    /// All commitments to a value of a kind: of other days, organizations and writers.
    pub async fn commitments_to(&self, kind: Kind, value: String) -> Result<Vec<Vec<u8>>, Error> {
        const DOING: &str = "looking for a personal value";
        let reading = sqlx::query("SELECT commitment FROM chancery.personal WHERE value = $1 AND kind = $2")
            .bind(value)
            .bind(kind.name())
            // With the kind known when it is planned, the index of that kind is used.
            .persistent(false);
        let rows = self.run(DOING, reading).await?;
        let found = rows.iter().map(|row| row.try_get(0));
        found.collect::<Result<_, _>>().map_err(|error| Error::from_sqlx(DOING, &error))
    }
}
