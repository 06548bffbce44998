//! The one generator of random bytes and ids.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Makes random bytes: the operating system's, or, for tests, a sequence that a seed fixes. Cheap to clone;
/// clones of a seeded one go on with the same sequence.
#[derive(Clone)]
pub struct Random(Kind);

#[derive(Clone)]
enum Kind {
    System,
    Seeded(Arc<Mutex<Sequence>>),
}

impl Random {
    /// The operating system's generator, asked anew each time: nothing is kept that a core dump or a fork
    /// could give away.
    pub fn system() -> Random {
        Random(Kind::System)
    }

    /// A sequence that depends on the seed alone, in every version of this program: for tests, never for
    /// secrets.
    pub fn seeded(seed: u64) -> Random {
        Random(Kind::Seeded(Arc::new(Mutex::new(Sequence { seed, block: 0, left: Vec::new() }))))
    }

    /// Fills `bytes`. Panics if the operating system has no randomness to give, as no secret may be made
    /// then.
    pub fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Kind::System => SysRng
                .try_fill_bytes(bytes)
                .expect("the operating system's generator works, or the process must not go on"),
            Kind::Seeded(sequence) => {
                sequence.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
            }
        }
    }

    /// So many random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A version 7 UUID (RFC 9562, section 5.7) of a time in microseconds since the Unix epoch: its 48 bits
    /// of milliseconds, and all 74 other bits random, so that none can be guessed from another.
    pub fn uuid_v7(&self, at_micros: i64) -> Uuid {
        let millis = at_micros.max(0).unsigned_abs() / 1_000;
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }
}

/// A seeded generator's state would tell what comes next.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::System => "Random::system",
            Kind::Seeded(_) => "Random::seeded",
        })
    }
}

/// SHA-256 over seed and counter. Written out rather than taken from a library whose sequence may change with
/// its version, because snapshots of tests hold what comes of it.
struct Sequence {
    seed: u64,
    block: u64,
    left: Vec<u8>,
}

impl Sequence {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left.is_empty() {
                let hash = Sha256::new()
                    .chain_update(self.seed.to_be_bytes())
                    .chain_update(self.block.to_be_bytes())
                    .finalize();
                self.left = hash.iter().rev().copied().collect();
                self.block += 1;
            }
            *byte = self.left.pop().expect("a block was just made");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_time_its_marks_and_74_random_bits() {
        let at = 1_795_000_000_123_456;
        let (mut ever_set, mut ever_clear) = (0_u128, 0_u128);
        for random in [Random::system(), Random::seeded(1)] {
            for _ in 0..200 {
                let id = random.uuid_v7(at);
                assert_eq!(id.get_version_num(), 7);
                assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
                assert_eq!(id.as_u128() >> 80, 1_795_000_000_123);
                ever_set |= id.as_u128();
                ever_clear |= !id.as_u128();
            }
        }
        let varying = ever_set & ever_clear;
        let marks = (0xf_u128 << 76) | (0x3 << 62);
        assert_eq!(varying, (u128::MAX >> 48) & !marks, "all 74 bits vary, and no other");
    }

    #[test]
    fn a_seed_fixes_the_sequence() {
        let (one, same, other) = (Random::seeded(7), Random::seeded(7), Random::seeded(8));
        let first: [u8; 40] = one.bytes();
        assert_eq!(first, same.bytes());
        assert_ne!(first, other.bytes());
        assert_ne!(first, one.clone().bytes(), "a clone goes on");
        assert_eq!(Random::seeded(0).bytes::<4>(), [0x37, 0x47, 0x08, 0xff]);
    }
}
