//! The root of the Merkle tree over all lines, without keeping them (RFC 9162, section 2.1).

use sha2::{Digest as _, Sha256};

pub(super) type Hash = [u8; 32];

/// The whole subtrees on the right edge, by their height.
#[derive(Default)]
pub(super) struct Tree(Vec<Option<Hash>>);

/// The hash of a line.
pub(super) fn leaf(line: &str) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

impl Tree {
    pub(super) fn push(&mut self, leaf: Hash) {
        let mut carried = leaf;
        for height in &mut self.0 {
            let Some(left) = height.take() else {
                *height = Some(carried);
                return;
            };
            carried = node(&left, &carried);
        }
        self.0.push(Some(carried));
    }

    pub(super) fn root(&self) -> Hash {
        let subtrees = self.0.iter().flatten().copied();
        subtrees.reduce(|right, left| node(&left, &right)).unwrap_or_else(|| Sha256::digest([]).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, as the text of the RFC gives it.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&defined(&leaves[..split]), &defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_that_is_defined() {
        let leaves: Vec<Hash> = (0..70).map(|number| leaf(&format!("line {number}"))).collect();
        let mut tree = Tree::default();
        for (count, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), defined(&leaves[..count]));
            tree.push(*leaf);
        }
    }
}
