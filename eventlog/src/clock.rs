//! The authority's one clock: the database's time, carried forward by this process's monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How much later than it was sent a time may have arrived when its sender does not say: what a quick
/// statement takes.
const USUAL_DELAY: i64 = 100_000;

/// Tells the time, in microseconds since the Unix epoch. Cheap to clone; clones are the same clock.
///
/// It never goes backwards. When the database's clock is set back, this one stands still until it is passed.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Live {
        origin: Instant,
        /// Database time minus monotonic time.
        offset: AtomicI64,
        /// The latest time that was told.
        told: AtomicI64,
    },
    Manual {
        start: i64,
        now: AtomicI64,
    },
}

impl Clock {
    /// A running clock, set to a time that the database has just told (of [`Log::head`](crate::Log::head),
    /// say).
    pub fn new(database_time: i64) -> Clock {
        let origin = monotonic();
        let offset = AtomicI64::new(database_time);
        Clock(Arc::new(Kind::Live { origin, offset, told: AtomicI64::new(i64::MIN) }))
    }

    /// A clock that only its owner moves, for tests: it ignores what is observed.
    pub fn manual(start: i64) -> Clock {
        Clock(Arc::new(Kind::Manual { start, now: AtomicI64::new(start) }))
    }

    /// The time now, never less than at any call before.
    pub fn now(&self) -> i64 {
        match &*self.0 {
            Kind::Live { origin, offset, told } => {
                let now = offset.load(Relaxed).saturating_add(micros(origin.elapsed()));
                told.fetch_max(now, Relaxed).max(now)
            }
            Kind::Manual { now, .. } => now.load(Relaxed),
        }
    }

    /// Takes note of a time that the database has just told.
    pub fn observe(&self, database_time: i64) {
        let arrived = micros(self.monotonic());
        self.observe_within(database_time, arrived - USUAL_DELAY, arrived);
    }

    /// The same, when it is known at what [`Clock::monotonic`] the question was sent: the exact form.
    pub fn observe_since(&self, sent: Duration, database_time: i64) {
        self.observe_within(database_time, micros(sent), micros(self.monotonic()));
    }

    /// The time was told at some moment between two: a clock that agrees with that is left alone, so that the
    /// delays of the network do not shake it, and one that does not is moved by no more than it must.
    fn observe_within(&self, database_time: i64, sent: i64, arrived: i64) {
        if let Kind::Live { offset, .. } = &*self.0 {
            let earliest = database_time.saturating_sub(arrived);
            let latest = database_time.saturating_sub(sent).max(earliest);
            // The closure always answers, so the update cannot fail.
            let _ = offset.fetch_update(Relaxed, Relaxed, |offset| Some(offset.clamp(earliest, latest)));
        }
    }

    /// Time since the clock was made, for measuring how long something took or how old it is. Of a manual
    /// clock, what it was advanced by.
    pub fn monotonic(&self) -> Duration {
        match &*self.0 {
            Kind::Live { origin, .. } => origin.elapsed(),
            Kind::Manual { start, now } => {
                Duration::from_micros(now.load(Relaxed).saturating_sub(*start).max(0).unsigned_abs())
            }
        }
    }

    /// Moves a manual clock forward; a running one is left alone.
    pub fn advance(&self, by: Duration) {
        if let Kind::Manual { now, .. } = &*self.0 {
            now.fetch_add(micros(by), Relaxed);
        }
    }

    /// Sets a manual clock, never back; a running one is left alone.
    pub fn set(&self, to: i64) {
        if let Kind::Manual { now, .. } = &*self.0 {
            now.fetch_max(to, Relaxed);
        }
    }
}

/// For time-outs inside this crate that no test needs to own.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(monotonic())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else takes the time from")]
fn monotonic() -> Instant {
    Instant::now()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_795_000_000_000_000;

    #[test]
    fn it_follows_the_database_and_never_goes_backwards() {
        let clock = Clock::new(T);
        let before = clock.now();
        assert!((T..T + 1_000_000).contains(&before));
        clock.observe(T + 60_000_000);
        let after = clock.now();
        assert!(after >= T + 60_000_000, "it follows forward");
        clock.observe(T);
        assert!(clock.now() >= after, "it stands still when the database's clock is set back");
        clock.observe(T + 61_000_000);
        assert!(clock.now() >= T + 61_000_000, "and goes on once it is passed");
    }

    #[test]
    fn a_slow_answer_does_not_move_it() {
        let clock = Clock::new(T);
        let before = match &*clock.0 {
            Kind::Live { offset, .. } => offset.load(Relaxed),
            Kind::Manual { .. } => unreachable!(),
        };
        clock.observe_within(T + 1_000_000, 900_000, 5_000_000);
        let Kind::Live { offset, .. } = &*clock.0 else { unreachable!() };
        assert_eq!(offset.load(Relaxed), before);
    }

    #[test]
    fn many_threads_see_it_grow() {
        let clock = Clock::new(T);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let clock = clock.clone();
                scope.spawn(move || {
                    let mut last = 0;
                    for round in 0..20_000 {
                        if round % 100 == 0 {
                            clock.observe(T + (thread - 2) * 1_000_000);
                        }
                        let now = clock.now();
                        assert!(now >= last);
                        last = now;
                    }
                });
            }
        });
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_never_back() {
        let clock = Clock::manual(T);
        clock.observe(T + 5);
        assert_eq!((clock.now(), clock.monotonic()), (T, Duration::ZERO));
        clock.advance(Duration::from_millis(2));
        assert_eq!((clock.now(), clock.monotonic()), (T + 2_000, Duration::from_millis(2)));
        clock.set(T + 10_000);
        clock.set(T);
        assert_eq!(clock.clone().now(), T + 10_000);
    }
}
