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
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
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
    /// Of keys that are to be imported.
    pub imports: Option<Rate>,
    /// Of keys that are to be imported, and are those of tokens that their importer may not know.
    pub known_keys: Option<Rate>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limited {
    Mints,
    Invitations,
    Identify,
    Leaks,
    Unknown,
    Imports,
    KnownKeys,
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
    imports: Option<Limit>,
    known_keys: Option<Limit>,
}

struct Limit {
    name: &'static str,
    rate: Rate,
    limiter: RateLimiter<Who, HashMapStateStore<Who>, Ticks, NoOpMiddleware<Duration>>,
    /// Who is turned away unheard, and until when.
    shut: Mutex<HashMap<Who, Duration>>,
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
            imports: limit("imports", rates.imports),
            known_keys: limit("known_keys", rates.known_keys),
        }
    }

    /// Counts a call; a problem with the time to wait when it is one too many.
    pub(crate) fn count(&self, what: Limited, who: Who) -> Result<(), Problem> {
        self.count_all(what, who, NonZeroU32::MIN)
    }

    /// Counts several at once: all of them, or none.
    pub(crate) fn count_all(
        &self,
        what: Limited,
        (caller, address): Who,
        calls: NonZeroU32,
    ) -> Result<(), Problem> {
        self.limit(what).map_or(Ok(()), |limit| limit.count((caller, address.map(network)), calls))
    }

    /// Counts what nobody should do at all. Past its rate whoever does it is shut out for as long as the rate's time: were
    /// only what is too many refused, the refusal would still tell it from what is not counted.
    pub(crate) fn count_or_shut(&self, what: Limited, who: Who, calls: NonZeroU32) -> Result<(), Problem> {
        let counted = self.count_all(what, who, calls);
        if let (Err(_), Some(limit)) = (&counted, self.limit(what)) {
            limit.shut(who);
        }
        counted
    }

    /// Refuses whoever is shut out.
    pub(crate) fn require_open(&self, what: Limited, who: Who) -> Result<(), Problem> {
        self.limit(what).map_or(Ok(()), |limit| limit.require_open(who))
    }

    fn limit(&self, what: Limited) -> Option<&Limit> {
        match what {
            Limited::Mints => self.mints.as_ref(),
            Limited::Invitations => self.invitations.as_ref(),
            Limited::Identify => self.identify.as_ref(),
            Limited::Leaks => self.leaks.as_ref(),
            Limited::Unknown => self.unknown.as_ref(),
            Limited::Imports => self.imports.as_ref(),
            Limited::KnownKeys => self.known_keys.as_ref(),
        }
    }
}

impl Limit {
    fn new(name: &'static str, rate: Rate, clock: &Clock, refused: Counter) -> Self {
        let limiter = RateLimiter::hashmap_with_clock(rate.quota(), Ticks(clock.clone()));
        let (shut, since_tidy) = (Mutex::default(), AtomicU32::new(0));
        Self { name, rate, limiter, shut, since_tidy, refused }
    }

    fn count(&self, who: Who, calls: NonZeroU32) -> Result<(), Problem> {
        if self.since_tidy.fetch_add(1, Relaxed) >= TIDY {
            self.since_tidy.store(0, Relaxed);
            self.limiter.retain_recent();
        }
        match self.limiter.check_key_n(&who, calls) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(early)) => Err(self.too_many(early.wait_time_from(self.limiter.clock().now()))),
            // More at once than there is room for after any time.
            Err(_) => Err(self.too_many(self.rate.time)),
        }
    }

    fn shut(&self, who: Who) {
        let now = self.limiter.clock().now();
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        shut.retain(|_, until| *until > now);
        shut.insert(who, now + self.rate.time);
    }

    fn require_open(&self, who: Who) -> Result<(), Problem> {
        let until = self.shut.lock().unwrap_or_else(PoisonError::into_inner).get(&who).copied();
        let left = until.and_then(|until| until.checked_sub(self.limiter.clock().now()));
        left.filter(|left| !left.is_zero()).map_or(Ok(()), |left| Err(self.too_many(left)))
    }

    fn too_many(&self, wait: Duration) -> Problem {
        self.refused.inc();
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let detail = format!("More than {} of {}; try again in {seconds} s.", self.rate, self.name);
        Problem::new(codes::RATE_LIMITED).detail(detail).retry_after(seconds)
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
    fn whoever_does_what_nobody_should_is_shut_out_for_the_rate_s_time() {
        let clock = Clock::manual(0);
        let limits = limits("3/m", &clock);
        let (who, other) = ((Counted::AdminToken, None), (Counted::Nobody, None));
        let (two, what) = (NonZeroU32::new(2).unwrap(), Limited::Unknown);
        let count = || limits.count_or_shut(what, who, two).is_ok();
        assert!(count() && limits.require_open(what, who).is_ok());
        assert!(
            !count() && limits.require_open(what, who).is_err() && limits.require_open(what, other).is_ok()
        );
        clock.advance(Duration::from_millis(59_999));
        assert!(limits.require_open(what, who).is_err());
        clock.advance(Duration::from_millis(1));
        assert!(limits.require_open(what, who).is_ok() && count());
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
