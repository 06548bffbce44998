//! How much a suite does, what it drew, and what it says of itself.

use eventlog::{Clock, Random};
use std::io::Write;
use std::sync::OnceLock;

/// Whether the long form was asked for: `CHANCERY_TESTS=long`.
pub fn is_long() -> bool {
    std::env::var("CHANCERY_TESTS").is_ok_and(|form| form == "long")
}

/// What the quick form takes, or the long one.
pub fn pick<T>(quick: T, long: T) -> T {
    if is_long() { long } else { quick }
}

/// Says in one line what a suite has done, past the harness, which keeps what a passing test prints.
pub fn figures(suite: &str, done: &str) {
    let form = pick("quick", "long");
    // Nobody reads them where they cannot be written.
    let _ = writeln!(std::io::stderr(), "figures: {suite} ({form}): {done}");
}

/// The random choices of one test, and how long it has taken. Says on a failure how to repeat it: `CHANCERY_SEED`.
#[derive(Debug)]
pub struct Seed {
    seed: u64,
    random: Random,
    began: Clock,
}

/// A share of a test's random choices, for a task of its own.
#[derive(Debug, Clone)]
pub struct Choices(Random);

impl Seed {
    /// From the environment, or a new one.
    pub fn new() -> Seed {
        Seed::or(|| u64::from(u32::from_le_bytes(Random::system().bytes())))
    }

    /// From the environment, or always the same one.
    pub fn usual() -> Seed {
        Seed::or(|| 1)
    }

    fn or(usual: impl FnOnce() -> u64) -> Seed {
        static GIVEN: OnceLock<Option<u64>> = OnceLock::new();
        let given = GIVEN.get_or_init(|| {
            let seed = std::env::var("CHANCERY_SEED").ok()?;
            Some(seed.parse().expect("CHANCERY_SEED is a number"))
        });
        let seed = given.unwrap_or_else(usual);
        Seed { seed, random: Random::seeded(seed), began: Clock::new(0) }
    }

    /// What `CHANCERY_SEED` takes to repeat it.
    pub fn number(&self) -> u64 {
        self.seed
    }

    /// The seconds since then.
    pub fn seconds(&self) -> u64 {
        self.began.monotonic().as_secs()
    }

    /// Whether to begin another of the rounds that are wanted: until there are enough of them, or the time is over that
    /// `CHANCERY_SECONDS` allows each suite. What was begun is finished.
    pub fn goes_on(&self, done: u64, wanted: u64) -> bool {
        let limit = std::env::var("CHANCERY_SECONDS").ok();
        let limit = limit.map(|seconds| seconds.parse().expect("CHANCERY_SECONDS is a number"));
        done < wanted && (done == 0 || limit.is_none_or(|limit: u64| self.seconds() < limit))
    }

    /// Choices that do not depend on how other tasks draw theirs.
    pub fn choices(&self) -> Choices {
        Choices(Random::seeded(u64::from_le_bytes(self.random.bytes())))
    }
}

impl Default for Seed {
    fn default() -> Seed {
        Seed::new()
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "to repeat it: CHANCERY_SEED={}", self.seed);
        }
    }
}

impl Choices {
    /// A number that is less than a bound.
    pub fn below(&self, bound: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes()) % bound.max(1)
    }

    /// An index that is less than a bound.
    pub fn index(&self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("it is less than the bound")
    }

    /// Once in so many times.
    pub fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn of<'a, T>(&self, several: &'a [T]) -> &'a T {
        &several[self.index(several.len())]
    }
}
