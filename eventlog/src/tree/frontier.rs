//! A tree that only grows, in as much memory as it is deep.

use super::hash::{Hash, node_hash};

/// The complete subtrees that the leaves so far come to, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one of the size is a complete subtree that the new one completes to the next larger.
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("the size counts the peaks");
            hash = node_hash(left, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the leaves so far.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        let last = peaks.next().unwrap_or_else(Hash::empty);
        peaks.fold(last, |right, left| node_hash(left, right))
    }
}

impl FromIterator<Hash> for Frontier {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.into_iter().for_each(|leaf| frontier.push(leaf));
        frontier
    }
}

#[cfg(test)]
mod tests {
    use super::super::leaf_hash;
    use super::*;

    /// The definition of RFC 6962, section 2.1, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::empty(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(defined(&leaves[..split]), defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_that_is_defined() {
        let leaves: Vec<Hash> = (0..300_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut grown = Frontier::default();
        for (count, leaf) in leaves.iter().enumerate() {
            assert_eq!(grown.root(), defined(&leaves[..count]), "{count} leaves");
            grown.push(*leaf);
        }
        assert_eq!((grown.size(), grown), (300, leaves.iter().copied().collect()));
    }
}
