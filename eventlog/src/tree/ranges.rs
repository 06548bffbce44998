//! Proofs: of which ranges of leaves they are made (RFC 6962, sections 2.1.1 and 2.1.2), and their check (RFC 9162,
//! section 2.1.3.2).
//!
//! Each hash of a proof is the root over a range of leaves that some tree of the log has as a subtree. So its start is a
//! multiple of a power of two that is at least its length.

use std::ops::Range;

use super::hash::{Hash, node_hash};

/// A complete subtree: `2^level` leaves, from `index * 2^level` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its height.
    pub level: u32,
    /// Which of its height.
    pub index: u64,
}

/// The ranges of the inclusion proof of a leaf in the tree of `size` leaves, from its sibling up to the root's child.
pub fn inclusion(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut subtree, mut proof) = (0..size, Vec::new());
    while subtree.end - subtree.start > 1 {
        let split = subtree.start + split(&subtree);
        if index < split {
            proof.push(split..subtree.end);
            subtree.end = split;
        } else {
            proof.push(subtree.start..split);
            subtree.start = split;
        }
    }
    proof.reverse();
    proof
}

/// The ranges of the consistency proof from the tree of `from` leaves to that of `to`. Empty from the empty tree, and
/// between equal ones.
pub fn consistency(from: u64, to: u64) -> Vec<Range<u64>> {
    let (mut subtree, mut proof) = (0..to, Vec::new());
    if from == 0 {
        return proof;
    }
    while from < subtree.end {
        let split = subtree.start + split(&subtree);
        if from <= split {
            proof.push(split..subtree.end);
            subtree.end = split;
        } else {
            proof.push(subtree.start..split);
            subtree.start = split;
        }
    }
    // Whoever holds the root of a whole tree is not told it again.
    if subtree.start > 0 {
        proof.push(subtree);
    }
    proof.reverse();
    proof
}

/// How many leaves the left side of a tree with more than one leaf has.
fn split(subtree: &Range<u64>) -> u64 {
    1 << (subtree.end - subtree.start - 1).ilog2()
}

/// The complete subtrees that a range of a proof, or a whole tree, is made of, from left to right.
pub fn nodes(range: &Range<u64>) -> Vec<Node> {
    let (mut start, mut nodes) = (range.start, Vec::new());
    while start < range.end {
        let level = (range.end - start).ilog2();
        nodes.push(Node { level, index: start >> level });
        start += 1 << level;
    }
    nodes
}

/// The root over the subtrees of [`nodes`].
pub fn root(nodes: &[Hash]) -> Hash {
    let mut nodes = nodes.iter().rev().copied();
    let last = nodes.next().unwrap_or_else(Hash::empty);
    nodes.fold(last, |right, left| node_hash(left, right))
}

/// The root that an inclusion proof leads to from a leaf's hash; none when the proof has not the length that it must
/// have for that place in a tree of that size.
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for hash in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(*hash, root);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            root = node_hash(root, *hash);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// The roots of both trees, as a consistency proof and the earlier root lead to them; none when the proof has not the
/// length that it must have between trees of these sizes (RFC 9162, section 2.1.4.2).
pub fn roots_of_consistency(from: u64, to: u64, earlier: Hash, proof: &[Hash]) -> Option<(Hash, Hash)> {
    if from == 0 || from >= to {
        return None;
    }
    let (mut node, mut last) = (from - 1, to - 1);
    let whole = node.trailing_ones();
    (node, last) = (node >> whole, last >> whole);
    // The proof leaves the earlier root out where that is a whole subtree.
    let (start, rest) =
        if from.is_power_of_two() { (earlier, proof) } else { (*proof.first()?, &proof[1..]) };
    let (mut before, mut after) = (start, start);
    for hash in rest {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            (before, after) = (node_hash(*hash, before), node_hash(*hash, after));
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            after = node_hash(after, *hash);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some((before, after))
}

/// The root of the tree of `to` leaves that a consistency proof leads to from the root of its first `from`; none where it
/// does not begin with that root, or has not the length that it must have.
pub fn root_of_consistency(from: u64, to: u64, root: Hash, proof: &[Hash]) -> Option<Hash> {
    if from == to {
        return proof.is_empty().then_some(root);
    }
    roots_of_consistency(from, to, root, proof).filter(|(before, _)| *before == root).map(|(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::super::{Frontier, leaf_hash};
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn over(leaves: &[Hash], range: &Range<u64>) -> Hash {
        let nodes = nodes(range);
        let of = |node: &Node| {
            let start = (node.index << node.level) as usize;
            leaves[start..start + (1 << node.level)].iter().copied().collect::<Frontier>().root()
        };
        root(&nodes.iter().map(of).collect::<Vec<_>>())
    }

    #[test]
    fn every_leaf_of_every_tree_is_proved() {
        let leaves = leaves(70);
        for size in 1..=70 {
            let root = leaves[..size as usize].iter().copied().collect::<Frontier>().root();
            assert_eq!(over(&leaves, &(0..size)), root);
            for index in 0..size {
                let proof: Vec<Hash> =
                    inclusion(index, size).iter().map(|range| over(&leaves, range)).collect();
                let leaf = leaves[index as usize];
                assert_eq!(root_of_inclusion(leaf, index, size, &proof), Some(root), "{index} of {size}");
                assert_ne!(
                    root_of_inclusion(leaves[69], index, size, &proof),
                    Some(root).filter(|_| index != 69)
                );
                if let Some((_, shorter)) = proof.split_last() {
                    assert_eq!(root_of_inclusion(leaf, index, size, shorter), None);
                }
                let longer = [&proof[..], &[leaf]].concat();
                assert_eq!(root_of_inclusion(leaf, index, size, &longer), None);
            }
        }
        assert_eq!(root_of_inclusion(leaves[0], 1, 1, &[]), None);
    }

    #[test]
    fn every_tree_is_proved_to_be_the_beginning_of_every_later_one() {
        let leaves = leaves(40);
        let root = |size: u64| over(&leaves, &(0..size));
        for to in 2..=40 {
            for from in 1..to {
                let proof: Vec<Hash> =
                    consistency(from, to).iter().map(|range| over(&leaves, range)).collect();
                let found = |earlier, proof: &[Hash]| roots_of_consistency(from, to, earlier, proof);
                assert_eq!(found(root(from), &proof), Some((root(from), root(to))), "{from} of {to}");
                for place in 0..proof.len() {
                    let mut other = proof.clone();
                    other[place] = leaf_hash(b"another");
                    assert_ne!(found(root(from), &other), Some((root(from), root(to))), "{from} of {to}");
                }
                assert_ne!(found(leaves[39], &proof), Some((leaves[39], root(to))), "{from} of {to}");
                assert_eq!(found(root(from), &proof[..proof.len() - 1]), None, "{from} of {to}");
                assert_eq!(found(root(from), &[&proof[..], &[leaves[0]]].concat()), None, "{from} of {to}");
            }
        }
        assert_eq!(roots_of_consistency(0, 1, root(1), &[]), None);
        assert_eq!(roots_of_consistency(2, 2, root(2), &[]), None);
        assert_eq!(root_of_consistency(2, 2, root(2), &[]), Some(root(2)));
        assert_eq!(root_of_consistency(2, 2, root(2), &leaves[..1]), None);
        assert_eq!(root_of_consistency(4, 3, root(4), &[]), None);
        assert_eq!(root_of_consistency(3, 4, leaves[0], &[leaves[2], leaves[3], root(2)]), None);
        assert_eq!(root_of_consistency(3, 4, root(3), &[leaves[2], leaves[3], root(2)]), Some(root(4)));
        assert_eq!(root_of_consistency(2, 4, root(2), &[over(&leaves, &(2..4))]), Some(root(4)));
    }

    /// The example of RFC 6962, section 2.1.3: a tree of seven leaves.
    #[test]
    fn proofs_are_made_as_the_example_has_them() {
        assert_eq!(inclusion(0, 7), [1..2, 2..4, 4..7]);
        assert_eq!(inclusion(3, 7), [2..3, 0..2, 4..7]);
        assert_eq!(inclusion(4, 7), [5..6, 6..7, 0..4]);
        assert_eq!(inclusion(6, 7), [4..6, 0..4]);
        assert_eq!(consistency(3, 7), [2..3, 3..4, 0..2, 4..7]);
        assert_eq!(consistency(4, 7), std::slice::from_ref(&(4..7)));
        assert_eq!(consistency(6, 7), [4..6, 6..7, 0..4]);
        assert!(consistency(0, 7).is_empty() && consistency(7, 7).is_empty());
    }
}
