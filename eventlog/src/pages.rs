//! The statements that read the log, on whichever connection. Each is one short statement and one snapshot,
//! which holds the head as well: so a page can be checked against where the log ends, and a missing tail is
//! seen.

use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};
use uuid::Uuid;

use crate::{Commit, Error, Head, Place};

/// A page stops after the commit that takes it past so many bytes of lines.
pub(crate) const PAGE_BYTES: i64 = 8 * 1024 * 1024;

pub(crate) async fn head(connection: &mut PgConnection) -> Result<Head, Error> {
    let row = sqlx::query(
        "SELECT size, version, last_lifecycle, (extract(epoch FROM clock_timestamp()) * 1000000)::int8
         FROM chancery.log_head",
    )
    .fetch_one(connection)
    .await
    .map_err(|error| Error::from_sqlx("reading the head", &error))?;
    head_of(&row, 0).map_err(|error| Error::from_sqlx("reading the head", &error))
}

pub(crate) async fn lifecycle_from(
    connection: &mut PgConnection,
    version: u64,
    last: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Commit>, Error> {
    const DOING: &str = "reading lifecycle commits";
    let rows = sqlx::query(
        "SELECT head.size, head.version, page.first, page.id, page.count, page.version, page.lifecycle,
                (extract(epoch FROM page.committed_at) * 1000000)::int8, page.lines,
                (SELECT id FROM chancery.commits
                 WHERE lifecycle > 0 AND version < $1 ORDER BY version DESC LIMIT 1)
         FROM chancery.log_head AS head
         LEFT JOIN (
             SELECT candidate.*, sum(octet_length(lines)) OVER (ORDER BY version) - octet_length(lines) AS before
             FROM (
                 SELECT * FROM chancery.commits
                 WHERE lifecycle > 0 AND version >= $1 ORDER BY version LIMIT $2
             ) AS candidate
         ) AS page ON page.before < $3
         ORDER BY page.version",
    )
    .bind(to_db(version))
    .bind(i64::from(limit.max(1)))
    .bind(PAGE_BYTES)
    .fetch_all(connection)
    .await
    .map_err(|error| Error::from_sqlx(DOING, &error))?;
    let page = Page::read(&rows).map_err(|error| Error::from_sqlx(DOING, &error))?;
    if version > page.version {
        return Err(Error::WentBackwards {
            remembered: format!("version {version} was reached"),
            found: format!("its head stands at version {}", page.version),
        });
    }
    page.check_last(last, || format!("version {version}"))?;
    let mut next = version;
    for commit in &page.commits {
        check_lines(commit)?;
        if commit.version != next {
            return Err(Error::corrupt(format!(
                "commit {} at position {} says that {} lifecycle lines are before it, but {next} are",
                commit.id, commit.first, commit.version
            )));
        }
        next = commit.version_after();
    }
    page.check_end(next, page.version, limit, "lifecycle lines")?;
    Ok(page.commits)
}

pub(crate) async fn commits_from(
    connection: &mut PgConnection,
    position: u64,
    last: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Commit>, Error> {
    const DOING: &str = "reading commits";
    let rows = sqlx::query(
        "SELECT head.size, head.version, page.first, page.id, page.count, page.version, page.lifecycle,
                (extract(epoch FROM page.committed_at) * 1000000)::int8, page.lines,
                (SELECT id FROM chancery.commits WHERE first < $1 ORDER BY first DESC LIMIT 1)
         FROM chancery.log_head AS head
         LEFT JOIN (
             SELECT candidate.*, sum(octet_length(lines)) OVER (ORDER BY first) - octet_length(lines) AS before
             FROM (
                 SELECT * FROM chancery.commits
                 WHERE first >= coalesce((
                           SELECT first FROM chancery.commits WHERE first <= $1 ORDER BY first DESC LIMIT 1), 0)
                   AND first + count > $1
                 ORDER BY first LIMIT $2
             ) AS candidate
         ) AS page ON page.before < $3
         ORDER BY page.first",
    )
    .bind(to_db(position))
    .bind(i64::from(limit.max(1)))
    .bind(PAGE_BYTES)
    .fetch_all(connection)
    .await
    .map_err(|error| Error::from_sqlx(DOING, &error))?;
    let page = Page::read(&rows).map_err(|error| Error::from_sqlx(DOING, &error))?;
    if position > page.size {
        return Err(Error::WentBackwards {
            remembered: format!("size {position} was reached"),
            found: format!("its head stands at size {}", page.size),
        });
    }
    page.check_last(last, || format!("size {position}"))?;
    // The first commit may begin before the position, as it holds it; it must not begin after it.
    let mut next = page.commits.first().map_or(position, |commit| commit.first.min(position));
    let mut version = page.commits.first().map_or(page.version, |commit| commit.version);
    for commit in &page.commits {
        check_lines(commit)?;
        if commit.first != next {
            return Err(Error::corrupt(format!(
                "position {next} is missing: the next commit, {}, begins at position {}",
                commit.id, commit.first
            )));
        }
        if commit.version != version {
            return Err(Error::corrupt(format!(
                "commit {} at position {} says that {} lifecycle lines are before it, but {version} are",
                commit.id, commit.first, commit.version
            )));
        }
        next = commit.end();
        version = commit.version_after();
    }
    page.check_end(next, page.size, limit, "lines")?;
    if next == page.size && version != page.version {
        return Err(Error::corrupt(format!(
            "the head counts {} lifecycle lines, but the commits hold {version}",
            page.version
        )));
    }
    Ok(page.commits)
}

pub(crate) async fn find_commit(connection: &mut PgConnection, id: Uuid) -> Result<Option<Place>, Error> {
    let row = sqlx::query(
        "SELECT first, version, (extract(epoch FROM committed_at) * 1000000)::int8
         FROM chancery.commits WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
    .map_err(|error| Error::from_sqlx("finding a commit", &error))?;
    row.map(|row| place_of(&row)).transpose().map_err(|error| Error::from_sqlx("finding a commit", &error))
}

pub(crate) async fn commit_before(connection: &mut PgConnection, size: u64) -> Result<Option<Commit>, Error> {
    const DOING: &str = "reading a commit";
    let row = sqlx::query(
        "SELECT head.size, head.version, last.first, last.id, last.count, last.version, last.lifecycle,
                (extract(epoch FROM last.committed_at) * 1000000)::int8, last.lines
         FROM chancery.log_head AS head,
              (SELECT * FROM chancery.commits WHERE first < $1 ORDER BY first DESC LIMIT 1) AS last
         WHERE last.first + last.count = $1",
    )
    .bind(to_db(size))
    .fetch_optional(connection)
    .await
    .map_err(|error| Error::from_sqlx(DOING, &error))?;
    let commit = row
        .map(|row| commit_of(&row))
        .transpose()
        .map_err(|error| Error::from_sqlx(DOING, &error))?
        .flatten();
    commit.iter().try_for_each(check_lines)?;
    Ok(commit)
}

/// Commits, and the head in the same snapshot.
struct Page {
    size: u64,
    version: u64,
    /// The commit before the page; nil at the start.
    before: Uuid,
    commits: Vec<Commit>,
}

impl Page {
    /// The head's row comes alone when there are no commits.
    fn read(rows: &[PgRow]) -> Result<Page, sqlx::Error> {
        let head = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (size, version) = (unsigned(head, 0)?, unsigned(head, 1)?);
        let before = head.try_get::<Option<Uuid>, _>(9)?.unwrap_or_default();
        let commits = rows.iter().filter_map(|row| commit_of(row).transpose()).collect::<Result<_, _>>()?;
        Ok(Page { size, version, before, commits })
    }

    /// The reader's last commit must still be the one before the page: another one in its place would mean
    /// that what the reader holds is not a prefix of this log.
    fn check_last(&self, last: Option<Uuid>, at: impl Fn() -> String) -> Result<(), Error> {
        match last {
            Some(last) if last != self.before => Err(Error::WentBackwards {
                remembered: format!("{} was reached with commit {last}", at()),
                found: format!("commit {} stands there", self.before),
            }),
            _ => Ok(()),
        }
    }

    /// A page that nothing cut short ends where the head says the log ends.
    fn check_end(&self, reached: u64, head: u64, limit: u32, what: &str) -> Result<(), Error> {
        let bytes: usize = self.commits.iter().map(|commit| commit.lines.len()).sum();
        let cut = self.commits.len() >= limit.max(1) as usize || bytes as i64 >= PAGE_BYTES;
        if reached > head || (reached < head && !cut) {
            return Err(Error::corrupt(format!(
                "the head counts {head} {what}, but the commits hold {reached}"
            )));
        }
        Ok(())
    }
}

fn check_lines(commit: &Commit) -> Result<(), Error> {
    let lines = memchr::memchr_iter(b'\n', commit.lines.as_bytes()).count() as u64 + 1;
    if lines == u64::from(commit.count) {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "commit {} at position {} says that it has {} lines, but it has {lines}",
        commit.id, commit.first, commit.count
    )))
}

/// Columns 2 to 8, as every page has them; none when the head came alone.
pub(crate) fn commit_of(row: &PgRow) -> Result<Option<Commit>, sqlx::Error> {
    let Some(first) = row.try_get::<Option<i64>, _>(2)? else { return Ok(None) };
    Ok(Some(Commit {
        first: to_unsigned(first)?,
        id: row.try_get(3)?,
        count: to_unsigned(row.try_get::<i32, _>(4)?.into())? as u32,
        version: unsigned(row, 5)?,
        lifecycle: to_unsigned(row.try_get::<i32, _>(6)?.into())? as u32,
        committed_at: row.try_get(7)?,
        lines: row.try_get(8)?,
    }))
}

/// Size, version, last lifecycle commit and time, from a column on.
pub(crate) fn head_of(row: &PgRow, from: usize) -> Result<Head, sqlx::Error> {
    Ok(Head {
        size: unsigned(row, from)?,
        version: unsigned(row, from + 1)?,
        last_lifecycle: row.try_get(from + 2)?,
        time: row.try_get(from + 3)?,
    })
}

/// First position, version and time in the first three columns.
pub(crate) fn place_of(row: &PgRow) -> Result<Place, sqlx::Error> {
    Ok(Place { first: unsigned(row, 0)?, version: unsigned(row, 1)?, time: row.try_get(2)? })
}

/// Postgres has no unsigned numbers; a log does not reach 2^63 lines.
pub(crate) fn to_db(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(row: &PgRow, column: usize) -> Result<u64, sqlx::Error> {
    to_unsigned(row.try_get(column)?)
}

fn to_unsigned(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|_| sqlx::Error::Decode(format!("{number} is negative").into()))
}
