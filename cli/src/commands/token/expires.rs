use domain::time::{Timestamp, parse_duration};
use std::str::FromStr;

/// When a token ends, as it was typed. The server reads the same forms; they are checked here to name the flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expires {
    /// So long from now.
    In(String),
    /// Then (RFC 3339).
    At(String),
    Never,
}

impl FromStr for Expires {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("never") {
            Ok(Self::Never)
        } else if parse_duration(text).is_some() {
            Ok(Self::In(text.to_owned()))
        } else if Timestamp::parse(text).is_some() {
            Ok(Self::At(text.to_owned()))
        } else {
            Err("a duration such as 30d or 12h, a time such as 2027-01-31T12:00:00Z, or never is needed"
                .to_owned())
        }
    }
}

impl Expires {
    /// As `expires_in` and `expires_at` of a request; the latter tells never from not said.
    #[expect(clippy::option_option, reason = "the request tells null from absent in the same way")]
    pub(super) fn fields(expires: Option<Self>) -> (Option<String>, Option<Option<String>>) {
        match expires {
            None => (None, None),
            Some(Self::In(duration)) => (Some(duration), None),
            Some(Self::At(time)) => (None, Some(Some(time))),
            Some(Self::Never) => (None, Some(None)),
        }
    }
}

/// A duration as a flag.
pub(super) fn duration(text: &str) -> Result<String, String> {
    parse_duration(text)
        .map(|_| text.trim().to_owned())
        .ok_or_else(|| "a duration such as 1h, 30m or 2d is needed".to_owned())
}

/// A time as a flag.
pub(in crate::commands) fn time(text: &str) -> Result<String, String> {
    Timestamp::parse(text.trim())
        .map(|_| text.trim().to_owned())
        .ok_or_else(|| "a time such as 2027-01-31T12:00:00Z (RFC 3339) is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_as_people_write_them() {
        assert_eq!("30d".parse(), Ok(Expires::In("30d".to_owned())));
        assert_eq!(" 1h30m ".parse(), Ok(Expires::In("1h30m".to_owned())));
        assert_eq!("Never".parse(), Ok(Expires::Never));
        let time = "2027-01-31T12:00:00+01:00";
        assert_eq!(time.parse(), Ok(Expires::At(time.to_owned())));
        for bad in ["", "30", "tomorrow", "2027-01-31", "-1d", "0"] {
            assert!(bad.parse::<Expires>().is_err(), "{bad}");
        }
    }

    #[test]
    fn never_is_told_from_not_said() {
        assert_eq!(Expires::fields(None), (None, None));
        assert_eq!(Expires::fields(Some(Expires::Never)), (None, Some(None)));
        let body = api::wire::NewToken { expires_at: Some(None), ..Default::default() };
        assert!(serde_json::to_string(&body).unwrap().contains("\"expires_at\":null"));
    }
}
