//! Times as people say them.

use super::escape::escape;
use domain::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// A year, and a twelfth of it: nobody reads "13 months ago" as exact.
const YEAR: u64 = 365 * DAY + DAY / 4;
const MONTH: u64 = YEAR / 12;

/// The time on this machine, only to say how long ago something was. Nothing is decided by it.
#[expect(
    clippy::disallowed_methods,
    reason = "a client has no log to take the time from, and only words depend on it"
)]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// `3 days ago`, `in 2 hours`. A text that is no time is given back as it is.
pub(crate) fn relative(time: &str, now: Timestamp) -> String {
    let Some(at) = Timestamp::parse(time) else { return escape(time).into_owned() };
    let (ahead, behind) = (at.since(now).as_secs(), now.since(at).as_secs());
    match (ahead, behind) {
        (0, 0) => "just now".to_owned(),
        (0, _) => format!("{} ago", amount(behind)),
        _ => format!("in {}", amount(ahead)),
    }
}

/// As [`relative`], of something that has happened: what this machine's clock puts ahead has just done so.
pub(crate) fn ago(time: &str, now: Timestamp) -> String {
    relative(time, Timestamp::parse(time).map_or(now, |at| at.max(now)))
}

/// `2026-11-22T10:15:00.123456Z (3 days ago)`.
pub(crate) fn exact(time: &str, now: Timestamp) -> String {
    format!("{} ({})", escape(time), relative(time, now))
}

fn amount(seconds: u64) -> String {
    // From two of a unit on, so that what is said is at most a quarter off.
    let units =
        [(YEAR, "year"), (MONTH, "month"), (DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")];
    let fits = |(size, _): &&(u64, &str)| seconds >= 2 * size;
    let &(size, unit) = units.iter().find(fits).unwrap_or(&(1, "second"));
    let count = (seconds + size / 2) / size;
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        for (time, said) in [
            ("2026-11-22T12:00:00.4Z", "just now"),
            ("2026-11-22T11:59:59Z", "1 second ago"),
            ("2026-11-22T11:58:30Z", "90 seconds ago"),
            ("2026-11-22T10:15:00Z", "105 minutes ago"),
            ("2026-11-20T13:00:00Z", "47 hours ago"),
            ("2026-11-19T10:00:00Z", "3 days ago"),
            ("2026-08-01T00:00:00Z", "4 months ago"),
            ("2020-01-01T00:00:00Z", "7 years ago"),
            ("2026-12-22T11:59:58Z", "in 30 days"),
            ("soon\u{1b}", "soon\\u{1b}"),
        ] {
            assert_eq!(relative(time, now), said, "{time}");
        }
        assert_eq!(ago("2026-11-22T12:00:03Z", now), "just now");
        assert_eq!(ago("2026-11-22T11:59:00Z", now), "60 seconds ago");
        assert_eq!(exact("2026-11-19T10:00:00.000000Z", now), "2026-11-19T10:00:00.000000Z (3 days ago)");
    }
}
