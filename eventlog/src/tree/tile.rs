//! Tiles: the tree in pieces of 256 hashes (C2SP tlog-tiles).

use std::collections::HashMap;
use std::fmt;

use super::Frontier;
use super::hash::Hash;
use super::ranges::Node;

/// Hashes of a full tile.
pub const WIDTH: usize = 256;
/// Levels of the tree that a tile spans.
const HEIGHT: u32 = 8;
/// Levels of tiles in the largest tree whose size can be written.
const LEVELS: u8 = 8;

/// Which tile. Level 0 holds leaf hashes; above, each hash is the root of a full tile below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// Its level, from 0 to 63.
    pub level: u8,
    /// Which of its level.
    pub index: u64,
}

/// A tile, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which.
    pub id: TileId,
    /// At most [`WIDTH`] hashes.
    pub hashes: Vec<Hash>,
}

/// Tiles that were read.
pub type Tiles = HashMap<TileId, Vec<Hash>>;

/// A tile as a path asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which of its level.
    pub index: u64,
    /// How many hashes of it.
    pub width: usize,
}

impl TileId {
    /// How many hashes of the tile there are in a tree of `size` leaves.
    pub fn width_at(self, size: u64) -> usize {
        let hashes = size.checked_shr(HEIGHT * u32::from(self.level)).unwrap_or(0);
        hashes.saturating_sub(self.index.saturating_mul(WIDTH as u64)).min(WIDTH as u64) as usize
    }

    /// The partial tiles on the right edge of a tree of `size` leaves, from below.
    pub fn edge(size: u64) -> impl Iterator<Item = TileId> {
        let tile = move |level: u8| TileId { level, index: full_tiles(size, u32::from(level)) };
        (0..LEVELS).map(tile).filter(move |tile| tile.width_at(size) > 0)
    }
}

/// How many tiles of a level are full in a tree of `size` leaves.
fn full_tiles(size: u64, level: u32) -> u64 {
    size.checked_shr(HEIGHT * (level + 1)).unwrap_or(0)
}

/// Where a node's hash comes from: a tile, the first of its hashes there, and how many.
fn place(node: Node) -> (TileId, usize, usize) {
    let (level, above) = (node.level / HEIGHT, node.level % HEIGHT);
    let first = node.index << above;
    let id = TileId { level: level as u8, index: first / WIDTH as u64 };
    (id, (first % WIDTH as u64) as usize, 1 << above)
}

/// The tile that a node's hash comes from.
pub fn tile_of(node: Node) -> TileId {
    place(node).0
}

/// A node's hash, from the tiles; none if they do not hold it.
pub fn hash_of(node: Node, tiles: &Tiles) -> Option<Hash> {
    let (id, first, count) = place(node);
    let hashes = tiles.get(&id)?.get(first..first + count)?;
    Some(hashes.iter().copied().collect::<Frontier>().root())
}

impl Wanted {
    /// Reads `<N>[.p/<W>]`: groups of three digits, all but the last after an `x`, in the shortest form.
    pub fn parse(path: &str) -> Option<Wanted> {
        let (index, width) = match path.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
            None => (path, WIDTH),
        };
        let mut number = 0_u64;
        let mut groups = index.split('/').peekable();
        while let Some(group) = groups.next() {
            let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
            let is_group = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
            number = number.checked_mul(1_000)?.checked_add(digits.parse().ok().filter(|_| is_group)?)?;
        }
        let wanted = Wanted { index: number, width };
        (wanted.to_string() == path).then_some(wanted)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut groups) = (self.index / 1_000, Vec::new());
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        groups.iter().rev().try_for_each(|group| write!(f, "x{group:03}/"))?;
        write!(f, "{:03}", self.index % 1_000)?;
        if self.width < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// The right edge of a stored tree, as it grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// By level, the beginning of the tile that is not full.
    partial: Vec<Vec<Hash>>,
    /// The lowest level that has not changed since tiles were last taken.
    changed: usize,
    full: Vec<Tile>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, from the partial tiles of [`TileId::edge`]; none if they do not hold it.
    pub fn of(size: u64, tiles: &Tiles) -> Option<Edge> {
        let mut edge = Edge { size, ..Edge::default() };
        for id in TileId::edge(size) {
            edge.partial.resize(usize::from(id.level) + 1, Vec::new());
            edge.partial[usize::from(id.level)] = tiles.get(&id)?.get(..id.width_at(size))?.to_vec();
        }
        Some(edge)
    }

    /// The leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.size += 1;
        let (mut hash, mut level) = (leaf, 0);
        loop {
            if self.partial.len() == level {
                self.partial.push(Vec::with_capacity(WIDTH));
            }
            self.changed = self.changed.max(level + 1);
            self.partial[level].push(hash);
            if self.partial[level].len() < WIDTH {
                return;
            }
            let hashes = std::mem::take(&mut self.partial[level]);
            hash = hashes.iter().copied().collect::<Frontier>().root();
            let index = full_tiles(self.size, level as u32) - 1;
            self.full.push(Tile { id: TileId { level: level as u8, index }, hashes });
            level += 1;
        }
    }

    /// The tiles that have changed since this was last asked: each as it is now.
    pub fn take(&mut self) -> Vec<Tile> {
        let mut tiles = std::mem::take(&mut self.full);
        for id in TileId::edge(self.size).filter(|id| usize::from(id.level) < self.changed) {
            tiles.push(Tile { id, hashes: self.partial[usize::from(id.level)].clone() });
        }
        self.changed = 0;
        tiles
    }
}

#[cfg(test)]
mod tests {
    use super::super::{leaf_hash, ranges};
    use super::*;

    #[test]
    fn paths_are_written_in_one_way() {
        for (path, index, width) in [
            ("000", 0, 256),
            ("067", 67, 256),
            ("x001/x234/067", 1_234_067, 256),
            ("x001/000.p/255", 1_000, 255),
            ("x018/x446/x744/x073/x709/x551/615.p/1", u64::MAX, 1),
        ] {
            assert_eq!(Wanted::parse(path), Some(Wanted { index, width }), "{path}");
            assert_eq!(Wanted { index, width }.to_string(), path);
        }
        for bad in [
            "",
            "0",
            "67",
            "0067",
            "x067",
            "001/067",
            "x000/067",
            "x001/67",
            "067.p/0",
            "067.p/256",
            "067.p/01",
            "067.p/",
            "067/",
            "/067",
            "+67",
            "x1/000",
            "x018/x446/x744/x073/x709/x551/616",
            "067.p/5/6",
        ] {
            assert_eq!(Wanted::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_tree_of_the_text_has_the_tiles_that_it_says() {
        let edge: Vec<_> = TileId::edge(70_000).map(|id| (id.level, id.index, id.width_at(70_000))).collect();
        assert_eq!(edge, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(TileId { level: 0, index: 272 }.width_at(70_000), 256);
        assert_eq!(TileId { level: 0, index: 274 }.width_at(70_000), 0);
        let edge: Vec<_> = TileId::edge(256).map(|id| (id.level, id.index, id.width_at(256))).collect();
        assert_eq!(edge, [(1, 0, 1)]);
        assert_eq!(TileId::edge(0).count(), 0);
        assert_eq!(TileId { level: 63, index: u64::MAX }.width_at(u64::MAX), 0);
    }

    #[test]
    fn tiles_hold_every_hash_of_the_tree_wherever_its_growth_is_cut() {
        let leaves: Vec<Hash> = (0..70_000_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let (mut edge, mut tiles) = (Edge::default(), HashMap::new());
        let mut whole = Frontier::default();
        for (count, leaf) in leaves.iter().enumerate() {
            edge.push(*leaf);
            whole.push(*leaf);
            let size = count as u64 + 1;
            if !size.is_power_of_two() && !size.is_multiple_of(7_001) && size != 70_000 {
                continue;
            }
            tiles.extend(edge.take().into_iter().map(|tile| (tile.id, tile.hashes)));
            let nodes: Vec<Hash> =
                ranges::nodes(&(0..size)).into_iter().map(|node| hash_of(node, &tiles).unwrap()).collect();
            assert_eq!(ranges::root(&nodes), whole.root(), "{size} leaves");
            let read = Edge::of(size, &tiles).unwrap();
            assert_eq!((read.size, &read.partial), (edge.size, &trimmed(&edge.partial)));
            edge = read;
        }
        assert_eq!(tiles.len(), 274 + 2 + 1);
    }

    fn trimmed(partial: &[Vec<Hash>]) -> Vec<Vec<Hash>> {
        let full = partial.iter().rposition(|hashes| !hashes.is_empty()).map_or(0, |last| last + 1);
        partial[..full].to_vec()
    }
}
