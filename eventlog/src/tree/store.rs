//! The tiles in Postgres: how they grow with the log, and what is read from them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::ranges::{self, Node};
use super::tile::{self, Edge, TileId};
use super::{Hash, leaf_hash};
use crate::pages::to_db;
use crate::{Commit, Error, Log};

/// Commits on a page.
const PAGE: u32 = 1_000;
/// As many bytes on a page tell that there may be another.
const LONG_PAGE: usize = 4 * 1024 * 1024;

/// The stored tree of a log.
#[derive(Clone, Debug)]
pub struct Tree {
    log: Log,
    /// Tells this keeper from others.
    id: Uuid,
}

/// How far a stored tree reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The number of its leaves.
    pub size: u64,
    /// The commit that ends there; nil at the start.
    pub last: Uuid,
    /// Whether whoever asked lets it grow now.
    pub is_kept: bool,
}

/// Commits that follow what the tree stands for.
#[derive(Default)]
struct Page {
    commits: Vec<Commit>,
    bytes: usize,
    /// Those that were not read from the log.
    fed: Vec<Uuid>,
}

impl Page {
    fn add(&mut self, commit: Commit) {
        self.bytes += commit.lines.len();
        self.commits.push(commit);
    }
}

impl Tree {
    /// The tree of a log, to read from or, under an id that no other keeper has, to keep.
    pub fn new(log: Log, id: Uuid) -> Tree {
        Tree { log, id }
    }

    /// The number of leaves.
    pub async fn size(&self) -> Result<u64, Error> {
        let reading = sqlx::query("SELECT size FROM chancery.tree");
        let rows = self.log.run("reading how far the tree reaches", reading).await?;
        let read = rows.first().map(|row| row.try_get::<i64, _>(0)).transpose();
        Ok(read
            .map_err(|error| Error::from_sqlx("reading how far the tree reaches", &error))?
            .map_or(0, from_db))
    }

    /// Claims the tree for some seconds, unless another node keeps it. A time too far ahead is of a clock that was set
    /// back.
    pub async fn claim(&self) -> Result<Reach, Error> {
        const DOING: &str = "claiming the tree";
        let claiming = sqlx::query(
            "WITH claimed AS (
                 UPDATE chancery.tree SET keeper = $1, kept_until = now() + interval '4 seconds'
                 WHERE keeper = $1 OR kept_until <= now() OR kept_until > now() + interval '2 minutes'
                 RETURNING size, last_commit
             )
             SELECT size, last_commit, true FROM claimed
             UNION ALL
             SELECT size, last_commit, false FROM chancery.tree WHERE NOT EXISTS (SELECT FROM claimed)",
        )
        .bind(self.id);
        let rows = self.log.run(DOING, claiming).await?;
        let row = rows.first().ok_or_else(|| Error::corrupt("chancery.tree has no row"))?;
        let read =
            || Ok(Reach { size: from_db(row.try_get(0)?), last: row.try_get(1)?, is_kept: row.try_get(2)? });
        read().map_err(|error| Error::from_sqlx(DOING, &error))
    }

    /// Lets the tree grow from where it stands to the end of the log. Whoever else does the same changes nothing:
    /// the first to store a page has stored it.
    pub async fn follow(&self, from: Reach) -> Result<Reach, Error> {
        self.follow_with(from, 0, |_| None).await
    }

    /// The same by whoever has appended to the log: `fed` gives the commit that begins at a position, if it is at hand.
    /// What it does not give is read. It goes as far as `goal` lines and the page that they end in: a log that never
    /// stands still would hold it for ever.
    pub async fn follow_with(
        &self,
        mut from: Reach,
        goal: u64,
        mut fed: impl FnMut(u64) -> Option<Commit>,
    ) -> Result<Reach, Error> {
        let mut edge = self.edge(from.size).await?;
        loop {
            let mut page = Page::default();
            let mut next = from.size;
            while page.bytes < LONG_PAGE
                && let Some(commit) = fed(next)
            {
                next = commit.end();
                page.fed.push(commit.id);
                page.add(commit);
            }
            if page.commits.is_empty() {
                let commits = self.log.commits_after(from.size, from.last, PAGE).await?;
                for commit in commits {
                    page.add(commit);
                }
            }
            let Some(last) = page.commits.last() else { return Ok(from) };
            let to = Reach { size: last.end(), last: last.id, is_kept: true };
            let is_cut =
                page.fed.is_empty() && (page.commits.len() >= PAGE as usize || page.bytes >= LONG_PAGE);
            let has_more = is_cut || to.size < goal;
            let commits = std::mem::take(&mut page.commits);
            edge = spawn_blocking(move || grown(edge, &commits)).await.map_err(|_| panicked())?;
            if !self.store(&from, &to, &mut edge, &page.fed).await? {
                // Somebody else has stored it: the edge is theirs from here on.
                return self.claim().await;
            }
            from = to;
            if !has_more {
                return Ok(from);
            }
        }
    }

    /// Stores what a page has come to, if the tree still stands where it began, and the log holds what was not read from
    /// it: a database that was restored meanwhile may not.
    async fn store(&self, from: &Reach, to: &Reach, edge: &mut Edge, fed: &[Uuid]) -> Result<bool, Error> {
        let (mut levels, mut indices, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for tile in edge.take() {
            levels.push(i16::from(tile.id.level));
            indices.push(to_db(tile.id.index));
            hashes.push(tile.hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
        }
        let storing = sqlx::query(
            "WITH moved AS (
                 UPDATE chancery.tree
                 SET size = $1, last_commit = $2, keeper = $3, kept_until = now() + interval '4 seconds'
                 WHERE size = $4 AND last_commit = $5
                   AND (SELECT count(*) FROM chancery.commits WHERE id = ANY($9)) = cardinality($9::uuid[])
                 RETURNING 1
             )
             INSERT INTO chancery.tiles (level, index, hashes)
             SELECT level, index, hashes FROM unnest($6::int2[], $7::int8[], $8::bytea[]) AS tile (level, index, hashes)
             WHERE EXISTS (SELECT FROM moved)
             ON CONFLICT (level, index) DO UPDATE SET hashes = EXCLUDED.hashes
             RETURNING 1",
        )
        .bind(to_db(to.size))
        .bind(to.last)
        .bind(self.id)
        .bind(to_db(from.size))
        .bind(from.last)
        .bind(levels)
        .bind(indices)
        .bind(hashes)
        .bind(fed);
        Ok(!self.log.run("storing tiles", storing).await?.is_empty())
    }

    /// Throws the tree away, where it still stands for a log that is no longer there. It grows again from the start.
    pub async fn begin_anew(&self, from: &Reach) -> Result<(), Error> {
        let emptying = sqlx::query(
            "WITH reset AS (
                 UPDATE chancery.tree SET size = 0, last_commit = '00000000-0000-0000-0000-000000000000'
                 WHERE size = $1 AND last_commit = $2
                 RETURNING 1
             )
             DELETE FROM chancery.tiles WHERE EXISTS (SELECT FROM reset)",
        )
        .bind(to_db(from.size))
        .bind(from.last);
        self.log.run("emptying the tree", emptying).await.map(drop)
    }

    /// The hashes of a tile as far as it is stored; none if nothing of it is.
    pub async fn tile(&self, id: TileId) -> Result<Option<Vec<Hash>>, Error> {
        Ok(self.tiles(&BTreeSet::from([id])).await?.remove(&id))
    }

    /// The roots over ranges of a proof, or over a whole tree (`0..size`), in one read.
    pub async fn roots(&self, ranges: &[Range<u64>]) -> Result<Vec<Hash>, Error> {
        let nodes: Vec<Vec<Node>> = ranges.iter().map(ranges::nodes).collect();
        let tiles = self.tiles(&nodes.iter().flatten().map(|node| tile::tile_of(*node)).collect()).await?;
        let hash = |node: &Node| {
            tile::hash_of(*node, &tiles).ok_or_else(|| {
                let id = tile::tile_of(*node);
                Error::corrupt(format!(
                    "tile {} of level {} is not as full as the tree says",
                    id.index, id.level
                ))
            })
        };
        let root =
            |nodes: &Vec<Node>| Ok(ranges::root(&nodes.iter().map(hash).collect::<Result<Vec<_>, Error>>()?));
        nodes.iter().map(root).collect()
    }

    async fn edge(&self, size: u64) -> Result<Edge, Error> {
        let tiles = self.tiles(&TileId::edge(size).collect()).await?;
        Edge::of(size, &tiles).ok_or_else(|| {
            Error::corrupt(format!("the tree's right edge at size {size} is not stored whole"))
        })
    }

    async fn tiles(&self, ids: &BTreeSet<TileId>) -> Result<HashMap<TileId, Vec<Hash>>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let levels: Vec<i16> = ids.iter().map(|id| i16::from(id.level)).collect();
        let indices: Vec<i64> = ids.iter().map(|id| to_db(id.index)).collect();
        let reading = sqlx::query(
            "SELECT tile.level, tile.index, tile.hashes
             FROM unnest($1::int2[], $2::int8[]) AS wanted (level, index)
             JOIN chancery.tiles AS tile USING (level, index)",
        )
        .bind(levels)
        .bind(indices);
        let rows = self.log.run("reading tiles", reading).await?;
        rows.iter()
            .map(|row| tile_of(row).map_err(|error| Error::from_sqlx("reading tiles", &error)))
            .collect()
    }
}

/// Hashing takes a thread as long as it lasts, so it is not one that answers.
fn grown(mut edge: Edge, commits: &[Commit]) -> Edge {
    for (_, line) in commits.iter().flat_map(Commit::numbered) {
        edge.push(leaf_hash(line.as_bytes()));
    }
    edge
}

fn panicked() -> Error {
    Error::Unavailable { doing: "hashing lines", reason: "it ended by a panic".into() }
}

fn tile_of(row: &PgRow) -> Result<(TileId, Vec<Hash>), sqlx::Error> {
    let level: i16 = row.try_get(0)?;
    let id = TileId { level: level as u8, index: from_db(row.try_get(1)?) };
    let bytes: &[u8] = row.try_get(2)?;
    Ok((id, bytes.chunks_exact(Hash::BYTES).filter_map(Hash::of).collect()))
}

/// The tables hold no negative numbers.
fn from_db(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
