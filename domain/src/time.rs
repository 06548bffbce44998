//! Points in time, as the log writes them: UTC with microseconds.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Microseconds since the Unix epoch, UTC. Written as RFC 3339 with six digits of a second and `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment that can be written: 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);
    /// The first moment that is accepted: the Unix epoch.
    pub const MIN: Self = Self(0);

    /// From microseconds since the Unix epoch; a value outside `MIN..=MAX` becomes the nearer end.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This moment and `duration` more, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// How long ago `earlier` was, zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The number of the day in UTC, counted from the Unix epoch.
    pub fn day(self) -> i64 {
        self.0.div_euclid(86_400_000_000)
    }

    /// Reads any RFC 3339 time within `MIN..=MAX`; digits past the microsecond are cut off.
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let micros = i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000)).ok()?;
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Self(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000_000))
            .expect("a timestamp lies within the years 1970 to 9999");
        let micros = self.0.rem_euclid(1_000_000) as u32;
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        // Every answer and every line has one or two of these: digits put where they belong are several times faster
        // than a format that is interpreted.
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |end: usize, mut number: u32| {
            for place in text[..end].iter_mut().rev().take_while(|place| place.is_ascii_digit()) {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(4, year.unsigned_abs());
        put(7, u8::from(month).into());
        put(10, day.into());
        put(13, hour.into());
        put(16, minute.into());
        put(19, second.into());
        put(26, micros);
        f.write_str(std::str::from_utf8(&text).expect("made of ASCII"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not an RFC 3339 time")))
    }
}

/// Reads a duration as people write it: `30d`, `12h`, `1h30m`, `90s`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    // A bare number would be ambiguous between seconds and days, so a unit is always asked for.
    humantime::parse_duration(text.trim())
        .ok()
        .filter(|_| text.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        for text in
            ["2026-11-22T10:15:00.123456Z", "1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"]
        {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Timestamp::parse("2026-11-22T11:15:00.1234567+01:00").unwrap().to_string(),
            "2026-11-22T10:15:00.123456Z"
        );
        for micros in (0..Timestamp::MAX.micros()).step_by(99_999_999_999_977) {
            let library = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap();
            assert_eq!(OffsetDateTime::parse(&Timestamp(micros).to_string(), &Rfc3339).unwrap(), library);
        }
        for bad in ["", "yesterday", "1969-12-31T23:59:59Z", "2026-11-22", "2026-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("30d"), Some(Duration::from_hours(720)));
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_mins(90)));
        for bad in ["", "30", "d", "-1d", "1 fortnight", "99999999999999999999d", "0"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn addition_saturates() {
        assert_eq!(Timestamp::MAX.after(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(5).since(Timestamp::from_micros(9)), Duration::ZERO);
    }
}
