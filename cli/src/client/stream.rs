//! Reading server-sent events (WHATWG HTML, section 9.2), as far as the authority writes them.

use super::{Client, address, send};
use crate::failure::Failure;
use reqwest::Response;
use reqwest::header::HeaderName;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::timeout;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The server sends something every 15 seconds: a connection that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// As good as none: a stream takes as long as it takes.
const UNLIMITED: Duration = Duration::from_hours(24 * 365);

/// A stream that is open.
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
    ready: VecDeque<Event>,
}

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where to go on after it.
    pub(crate) id: Option<u64>,
    pub(crate) kind: String,
    /// Empty where it only says how far the stream has come.
    pub(crate) data: String,
}

impl Client {
    /// Opens a stream, after the last event that was seen.
    pub(crate) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        last: Option<u64>,
    ) -> Result<Events, Failure> {
        let mut url = address::endpoint(&self.base, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.get(url).timeout(UNLIMITED);
        if let Some(last) = last {
            request = request.header(LAST_EVENT_ID, last);
        }
        let failed = |error: &reqwest::Error| {
            Failure::Unavailable(format!("{} cannot be reached: {}", self.authority(), send::cause(error)))
        };
        let response = request.send().await.map_err(|error| failed(&error))?;
        if !response.status().is_success() {
            let received = send::read(response).await.map_err(|error| failed(&error))?;
            return Err(self.refusal(&received, None));
        }
        Ok(Events { response, buffer: Vec::new(), ready: VecDeque::new() })
    }
}

impl Events {
    /// The next event; none at the end of the stream, whoever ended it.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let bytes = timeout(SILENCE, self.response.chunk()).await.ok()?.ok()??;
            self.buffer.extend_from_slice(&bytes);
            let Some(end) = self.buffer.windows(2).rposition(|pair| pair == b"\n\n") else { continue };
            let rest = self.buffer.split_off(end + 2);
            let whole = std::mem::replace(&mut self.buffer, rest);
            self.ready.extend(String::from_utf8_lossy(&whole).split("\n\n").filter_map(read));
        }
    }
}

/// What stands between two empty lines; nothing where it is only a comment.
fn read(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let event = Event {
        id: field("id").and_then(|id| id.parse().ok()),
        kind: field("event").unwrap_or_default().to_owned(),
        data: field("data").unwrap_or_default().to_owned(),
    };
    (event != Event::default()).then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_and_comments_are_not() {
        let event = read("id: 7\nevent: TokenMinted\ndata: {\"a\": \": b\"}").unwrap();
        assert_eq!(
            (event.id, event.kind.as_str(), event.data.as_str()),
            (Some(7), "TokenMinted", "{\"a\": \": b\"}")
        );
        assert_eq!(read(": at position 9\nid: 9").unwrap().id, Some(9));
        assert_eq!(read(": from position 0"), None);
        assert_eq!(read("event: end\ndata: {}").unwrap().kind, "end");
    }
}
