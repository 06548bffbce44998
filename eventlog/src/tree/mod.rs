//! The Merkle tree over the lines of the log: RFC 6962, section 2.1, with SHA-256. The leaf at an index is the line at
//! that position, its exact bytes without the newline.
//!
//! - [`struct@Hash`], [`leaf_hash`] and [`Frontier`] hash; a root of any size comes of one pass over the leaves.
//! - [`ranges`] says of which parts of the tree a proof is made, and checks proofs.
//! - [`tile`] is the C2SP tlog-tiles layout: which hashes a tile holds, and how its path is written.
//! - [`Tree`] keeps the tiles in Postgres, and answers from them.
//!
//! Invariant: the stored tiles are what the log's lines come to up to the stored size, whoever is killed at which point,
//! and however many nodes do it at once: the size moves in the statement that stores the tiles, on a condition.

mod frontier;
mod hash;
pub mod ranges;
mod store;
pub mod tile;

pub use frontier::Frontier;
pub use hash::{Hash, leaf_hash, node_hash};
pub use store::{Reach, Tree};
