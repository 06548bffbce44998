//! Sending a request until it is answered, within reason.

use crate::failure::Failure;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Request, Response, StatusCode};
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

/// How often a request is sent at most.
const ATTEMPTS: u32 = 5;
/// The pause after the first attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long all attempts may take together.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer, read to its end.
pub(super) struct Received {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    request_id: Option<String>,
    position: Option<String>,
    retry_after: Option<Duration>,
}

impl Received {
    /// In one line, for `--verbose`.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("answered {}", self.status);
        for (name, value) in [("request", &self.request_id), ("position", &self.position)] {
            if let Some(value) = value {
                let _ = write!(text, ", {name} {value}");
            }
        }
        text
    }

    /// Whether the same request may be answered otherwise a moment later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 502..=504)
    }
}

/// Sends a request, again after a lost connection or an answer that says "not now". Whoever sends a change has to put
/// an idempotency key on it.
pub(super) async fn patiently(
    http: &Client,
    request: Request,
    authority: &str,
    key: Option<&str>,
    say: impl Fn(&str),
) -> Result<Received, Failure> {
    let mut last = None;
    let attempts = async {
        for attempt in 1.. {
            let again = request.try_clone().expect("bodies are held in memory");
            let (pause, reason) = match receive(http, again).await {
                Ok(received) if !received.is_passing() || attempt == ATTEMPTS => return Ok(received),
                Ok(received) => (received.retry_after, format!("{authority} answered {}", received.status)),
                Err(error) if is_certificate(&error) => {
                    return Err(Failure::Unavailable(format!(
                        "{authority} showed a certificate that is not trusted: {}; name the right CA with --ca-file",
                        cause(&error)
                    )));
                }
                Err(error) if attempt == ATTEMPTS => return Err(unreachable(authority, &error, key)),
                Err(error) => (None, format!("{authority} cannot be reached ({})", cause(&error))),
            };
            if attempt == 1 {
                say(&format!("{reason}; trying again …"));
            }
            last = Some(reason);
            tokio::time::sleep(pause_after(attempt, pause)).await;
        }
        unreachable!("the last attempt returns")
    };
    let finished = tokio::time::timeout(PATIENCE, attempts).await;
    finished.unwrap_or_else(|_| {
        let last = last.unwrap_or_else(|| format!("{authority} does not answer"));
        Err(Failure::Unavailable(with_hint(&last, key)))
    })
}

async fn receive(http: &Client, request: Request) -> Result<Received, reqwest::Error> {
    read(http.execute(request).await?).await
}

/// An answer whose head is there, to its end.
pub(super) async fn read(response: Response) -> Result<Received, reqwest::Error> {
    let text = |response: &Response, name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    Ok(Received {
        status: response.status(),
        request_id: text(&response, "x-request-id"),
        position: text(&response, "chancery-position"),
        retry_after: text(&response, RETRY_AFTER.as_str()).and_then(|text| read_pause(&text)),
        body: response.bytes().await?.to_vec(),
    })
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3). As a date it is not understood, and the own pause is taken.
fn read_pause(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

fn pause_after(attempt: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1);
    own.max(asked.unwrap_or_default()).min(LONGEST_PAUSE)
}

fn unreachable(authority: &str, error: &reqwest::Error, key: Option<&str>) -> Failure {
    let text = format!("{authority} cannot be reached: {}", cause(error));
    if error.is_connect() {
        // It never left, so there is nothing to be unsure of.
        return Failure::Unavailable(format!(
            "{text}\n  hint: is the server running, and --url or CHANCERY_URL right?"
        ));
    }
    Failure::Unavailable(with_hint(&text, key))
}

fn with_hint(text: &str, key: Option<&str>) -> String {
    key.map_or_else(|| text.to_owned(), |key| format!("{text}\n  hint: {}", repeat_hint(key)))
}

/// What to do about a change of which nobody knows whether it happened.
pub(super) fn repeat_hint(key: &str) -> String {
    format!(
        "the change may or may not have happened; the same command with --idempotency-key {key} has its effect once"
    )
}

/// What is at the bottom of an error, which is what went wrong.
pub(super) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut deepest: &dyn Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn is_certificate(error: &reqwest::Error) -> bool {
    let mut current: Option<&dyn Error> = Some(error);
    while let Some(error) = current {
        // An I/O error hides the error that it wraps from `source`.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = inner
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .or_else(|| error.downcast_ref::<rustls::Error>());
        if matches!(found, Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        current = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_heed_the_server_within_bounds() {
        let seconds = Duration::from_secs;
        assert_eq!(pause_after(1, None), FIRST_PAUSE);
        assert_eq!(pause_after(3, None), FIRST_PAUSE * 4);
        assert_eq!(pause_after(1, Some(seconds(1))), seconds(1));
        assert_eq!(pause_after(1, Some(seconds(3600))), LONGEST_PAUSE);
        assert_eq!((read_pause("7"), read_pause("Wed, 21 Oct 2026 07:28:00 GMT")), (Some(seconds(7)), None));
    }

    #[test]
    fn an_unknown_outcome_names_its_key() {
        assert!(with_hint("lost", Some("k-1")).contains("--idempotency-key k-1"));
        assert_eq!(with_hint("lost", None), "lost");
    }
}
