//! Rate limits, by caller and address together.
//!
//! A limit is asked before a call is handed on, except that of `unknown` answers: a presented text is always decided
//! first, and only the answer that nobody has it can be withheld. So no sender of garbage slows a known token down.

use crate::edge::{Problem, codes};
use domain::id::{TokenId, UserId};
use eventlog::Clock;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Calls between two looks for callers that can be forgotten.
const TIDY: u32 = 1_024;

/// How many calls in how much time; all of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    calls: NonZeroU32,
    time: Duration,
}

/// The rates; none is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Of minting and narrowing.
    pub mints: Option<Rate>,
    /// Of invitations that one caller, from wherever, has sent by mail.
    pub invitations: Option<Rate>,
    /// Of looking for whose a text is.
    pub identify: Option<Rate>,
    /// Of reports of leaks.
    pub leaks: Option<Rate>,
    /// Of answers that nobody has a presented text.
    pub unknown: Option<Rate>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    Mints,
    Invitations,
    Identify,
    Leaks,
    Unknown,
}

/// Who is counted together: a caller and where it calls from, as far as they are known.
pub(crate) type Who = (Counted, Option<IpAddr>);

/// A caller as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// Nobody, as far as is known: all of an address are one.
    Nobody,
    AdminToken,
    Token(TokenId),
    /// In all sessions.
    Person(UserId),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    limit: &'static str,
}

/// The limits of a node. Each node counts for itself.
pub(crate) struct Limits {
    mints: Option<Limit>,
    invitations: Option<Limit>,
    identify: Option<Limit>,
    leaks: Option<Limit>,
    unknown: Option<Limit>,
}

struct Limit {
    name: &'static str,
    rate: Rate,
    limiter: RateLimiter<Who, HashMapStateStore<Who>, Ticks, NoOpMiddleware<Duration>>,
    since_tidy: AtomicU32,
    refused: Counter,
}

/// The authority's clock as the limiter reads it.
#[derive(Clone, Debug)]
struct Ticks(Clock);

impl governor::clock::Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

impl Limits {
    pub(crate) fn new(rates: Rates, clock: &Clock, registry: &mut Registry) -> Self {
        let refused = Family::<Label, Counter>::default();
        registry.register("limited", "Calls that a rate limit turned away", refused.clone());
        let limit = |name, rate: Option<Rate>| {
            let counter = refused.get_or_create_owned(&Label { limit: name });
            rate.map(|rate| Limit::new(name, rate, clock, counter))
        };
        Self {
            mints: limit("mints", rates.mints),
            invitations: limit("invitations", rates.invitations),
            identify: limit("identify", rates.identify),
            leaks: limit("leaks", rates.leaks),
            unknown: limit("unknown", rates.unknown),
        }
    }

    /// Counts a call; a problem with the time to wait when it is one too many.
    pub(crate) fn count(&self, what: Limited, (caller, address): Who) -> Result<(), Problem> {
        let limit = match what {
            Limited::Mints => &self.mints,
            Limited::Invitations => &self.invitations,
            Limited::Identify => &self.identify,
            Limited::Leaks => &self.leaks,
            Limited::Unknown => &self.unknown,
        };
        limit.as_ref().map_or(Ok(()), |limit| limit.count((caller, address.map(network))))
    }
}

impl Limit {
    fn new(name: &'static str, rate: Rate, clock: &Clock, refused: Counter) -> Self {
        let limiter = RateLimiter::hashmap_with_clock(rate.quota(), Ticks(clock.clone()));
        Self { name, rate, limiter, since_tidy: AtomicU32::new(0), refused }
    }

    fn count(&self, who: Who) -> Result<(), Problem> {
        if self.since_tidy.fetch_add(1, Relaxed) >= TIDY {
            self.since_tidy.store(0, Relaxed);
            self.limiter.retain_recent();
        }
        let Err(early) = self.limiter.check_key(&who) else { return Ok(()) };
        self.refused.inc();
        let wait = early.wait_time_from(self.limiter.clock().now());
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let detail = format!("More than {} of {}; try again in {seconds} s.", self.rate, self.name);
        Err(Problem::new(codes::RATE_LIMITED).detail(detail).retry_after(seconds))
    }
}

/// Whoever has one address of IPv6 usually has its whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let high = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(high))
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Rate {
    fn quota(self) -> Quota {
        let each = (self.time / self.calls.get()).max(Duration::from_nanos(1));
        Quota::with_period(each).expect("a period longer than nothing").allow_burst(self.calls)
    }

    /// So many calls a minute.
    pub fn per_minute(calls: NonZeroU32) -> Self {
        Self { calls, time: Duration::from_mins(1) }
    }

    /// So many calls an hour.
    pub fn per_hour(calls: NonZeroU32) -> Self {
        Self { calls, time: Duration::from_hours(1) }
    }
}

const UNITS: [(&str, Duration); 3] =
    [("s", Duration::from_secs(1)), ("m", Duration::from_mins(1)), ("h", Duration::from_hours(1))];

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, time)| *time == self.time).map_or("?", |(unit, _)| unit);
        write!(f, "{}/{unit}", self.calls)
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `100/s`, `600/m` or `36000/h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a rate such as 100/s, 600/m or 36000/h");
        let (calls, unit) = text.split_once('/').ok_or_else(expected)?;
        let calls = calls.parse().map_err(|_| expected())?;
        let time = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, time)| *time);
        Ok(Self { calls, time: time.ok_or_else(expected)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate: &str, clock: &Clock) -> Limits {
        let rate: Rate = rate.parse().unwrap();
        let rates = Rates { unknown: Some(rate), ..Rates::default() };
        Limits::new(rates, clock, &mut Registry::default())
    }

    fn ask(limits: &Limits, address: &str) -> bool {
        limits.count(Limited::Unknown, (Counted::Nobody, Some(address.parse().unwrap()))).is_ok()
    }

    #[test]
    fn so_many_may_come_at_once_and_then_one_after_the_other() {
        let clock = Clock::manual(0);
        let limits = limits("2/s", &clock);
        assert!(ask(&limits, "192.0.2.1") && ask(&limits, "192.0.2.1") && !ask(&limits, "192.0.2.1"));
        assert!(ask(&limits, "192.0.2.2"), "another address is another sender");
        clock.advance(Duration::from_millis(500));
        assert!(ask(&limits, "192.0.2.1") && !ask(&limits, "192.0.2.1"));
        assert!(limits.count(Limited::Mints, (Counted::Nobody, None)).is_ok(), "no rate is no limit");
    }

    #[test]
    fn a_network_of_ipv6_is_one_sender() {
        let limits = limits("1/h", &Clock::manual(0));
        assert!(
            ask(&limits, "2001:db8::1") && !ask(&limits, "2001:db8::2") && ask(&limits, "2001:db8:0:1::1")
        );
        assert!(ask(&limits, "192.0.2.1") && !ask(&limits, "::ffff:192.0.2.1"));
    }

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["100/s", "600/m", "1/h"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        for bad in ["", "0/s", "-1/s", "1", "1/d", "1.5/s", "/s", "1/s/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
