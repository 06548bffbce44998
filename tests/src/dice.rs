//! Random choices that can be made again.

/// A seeded generator (SplitMix64). A test that fails while it holds one says how to repeat it.
#[derive(Debug)]
pub struct Dice {
    suite: &'static str,
    seed: u64,
    state: u64,
}

impl Dice {
    /// The dice of a suite: from the seed in `CHANCERY_SEED`, or from `usual`.
    pub fn new(suite: &'static str, usual: u64) -> Dice {
        let asked =
            std::env::var("CHANCERY_SEED").ok().map(|text| text.parse().expect("CHANCERY_SEED is a number"));
        let seed = asked.unwrap_or(usual);
        Dice { suite, seed, state: seed }
    }

    /// Dice of their own for one part, so that parts that run side by side do not take each other's throws.
    #[must_use]
    pub fn part(&self, number: u64) -> Dice {
        let mut part =
            Dice { suite: self.suite, seed: self.seed, state: self.seed ^ (number + 1).rotate_left(32) };
        part.throw();
        part
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`, which is not zero.
    pub fn below(&mut self, most: usize) -> usize {
        (self.throw() % most as u64) as usize
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub fn one<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }
}

impl Drop for Dice {
    #[expect(clippy::print_stderr, reason = "a failed test says how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: repeat with CHANCERY_SEED={}", self.suite, self.seed);
        }
    }
}
