//! The uses of a token in a stretch of the log, in few bytes.

use crate::audit::{UseOutcome, bit};
use domain::verify::Code;

/// The uses of a token in an hour.
#[derive(Clone, Default)]
pub(super) struct Stretch {
    last: u64,
    /// For each use: how far its commit is from the one before, the place of its outcome's bit, how many it stands for.
    bytes: Vec<u8>,
}

/// What some uses come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) valid: i64,
    pub(super) refused: i64,
    pub(super) asked: i64,
    pub(super) outcomes: i32,
}

impl Stretch {
    pub(super) fn push(&mut self, commit: u64, outcome: i32, count: u64) {
        write_leb128(&mut self.bytes, commit - self.last);
        // No outcome, of which there is no bit, is the place after all.
        self.bytes.extend(u8::try_from(outcome.trailing_zeros()));
        write_leb128(&mut self.bytes, count);
        self.last = commit;
    }

    /// Its uses in commits before a position: the commit, the outcome's bit, how many.
    pub(super) fn uses(&self, before: u64) -> impl Iterator<Item = (u64, i32, i64)> {
        let (mut rest, mut commit) = (&self.bytes[..], 0);
        let all = std::iter::from_fn(move || {
            commit += read_leb128(&mut rest)?;
            let (place, others) = rest.split_first()?;
            rest = others;
            Some((
                commit,
                1_i32.checked_shl((*place).into()).unwrap_or(0),
                read_leb128(&mut rest)?.cast_signed(),
            ))
        });
        all.take_while(move |(commit, ..)| *commit < before)
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "valid {}, refused {}, asked {}", self.valid, self.refused, self.asked)
    }
}

/// What uses come to, as [`Stretch::uses`] gives them.
pub(super) fn sums(uses: &[(u64, i32, i64)]) -> Sums {
    let mut sums = Sums::default();
    for (_, outcome, count) in uses {
        sums.outcomes |= outcome;
        *match () {
            () if *outcome == bit(UseOutcome::Asked) => &mut sums.asked,
            () if *outcome == bit(UseOutcome::Answered(Code::Valid)) => &mut sums.valid,
            () => &mut sums.refused,
        } += count;
    }
    sums
}

fn write_leb128(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front; none where there is no whole one that fits.
fn read_leb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The commits of a stored row; none where the bytes do not say any.
pub(super) fn commits_of(first: u64, mut bytes: &[u8]) -> Option<Vec<u64>> {
    let mut commits = vec![first];
    while !bytes.is_empty() {
        let step = read_leb128(&mut bytes)?;
        commits.push(commits[commits.len() - 1].checked_add(step)?);
    }
    Some(commits)
}
