//! Who descends from whom, told in a number of steps that grows with the logarithm of the depth.
//!
//! Each slot has its parent and one link further up, chosen so that a walk to any depth takes at most about three times
//! the logarithm of its length: the skew-binary jump pointers of E. W. Myers, "An applicative random-access stack", 1983.

/// The tree of slots: a parent comes before its children.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Lineage {
    links: Vec<Link>,
}

#[derive(Clone, Copy, PartialEq)]
struct Link {
    /// A slot of its own for one that nobody minted.
    parent: u32,
    jump: u32,
    depth: u32,
}

impl Lineage {
    /// Adds the next slot.
    pub(super) fn push(&mut self, parent: Option<u32>) {
        let own = u32::try_from(self.links.len()).expect("fewer than four billion tokens fit into memory");
        let link = match parent {
            None => Link { parent: own, jump: own, depth: 0 },
            Some(parent) => {
                let above = self.links[parent as usize];
                let jump = self.links[above.jump as usize];
                let far = self.links[jump.jump as usize];
                let is_even = above.depth - jump.depth == jump.depth - far.depth;
                Link { parent, jump: if is_even { jump.jump } else { parent }, depth: above.depth + 1 }
            }
        };
        self.links.push(link);
    }

    /// Takes the last slot away.
    pub(super) fn pop(&mut self) {
        self.links.pop();
    }

    /// Whether a slot is below another one, however far.
    pub(super) fn descends(&self, slot: u32, from: u32) -> bool {
        let depth = self.links[from as usize].depth;
        let (mut at, mut link) = (slot, self.links[slot as usize]);
        while link.depth > depth {
            at = if self.links[link.jump as usize].depth >= depth { link.jump } else { link.parent };
            link = self.links[at as usize];
        }
        at == from && slot != from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parents: &[Option<u32>]) -> Lineage {
        let mut lineage = Lineage::default();
        for parent in parents {
            lineage.push(*parent);
        }
        lineage
    }

    #[test]
    fn the_short_way_up_finds_what_the_long_one_does() {
        // A tree in which every slot's parent is some slot before it: chains, fans and several roots.
        let parents: Vec<Option<u32>> = (0..600_u32)
            .map(|slot| (slot % 97 != 0).then(|| slot - 1 - (slot * slot) % slot.min(7)))
            .collect();
        let lineage = of(&parents);
        let above = |slot: u32| std::iter::successors(parents[slot as usize], |up| parents[*up as usize]);
        for slot in 0..600 {
            for from in 0..600 {
                assert_eq!(lineage.descends(slot, from), above(slot).any(|up| up == from), "{slot} {from}");
            }
        }
    }

    #[test]
    fn a_long_chain_is_climbed_in_few_steps() {
        let lineage = of(&(0..100_000_u32).map(|slot| slot.checked_sub(1)).collect::<Vec<_>>());
        for target in [0, 1, 77_777, 99_998] {
            let (mut steps, mut at) = (0, 99_999_u32);
            while at != target {
                let link = lineage.links[at as usize];
                at = if lineage.links[link.jump as usize].depth >= target { link.jump } else { link.parent };
                steps += 1;
            }
            assert!(steps <= 50, "{steps} steps to {target}");
            assert!(lineage.descends(99_999, target));
        }
    }
}
