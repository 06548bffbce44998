//! Reading server-sent events.

use reqwest::Response;
use serde_json::Value;
use std::collections::VecDeque;

/// A stream of events.
#[derive(Debug)]
pub struct Sse {
    response: Response,
    buffer: String,
    ready: VecDeque<SseEvent>,
}

/// One of them. What has no data only moves the id, and is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The position; none for the last event.
    pub id: Option<u64>,
    /// The type.
    pub event: String,
    /// The data.
    pub data: Value,
}

impl Sse {
    pub(crate) fn new(response: Response) -> Sse {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Sse { response, buffer: String::new(), ready: VecDeque::new() }
    }

    /// The next event; none at the end of the stream, and when the connection is lost.
    pub async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let bytes = self.response.chunk().await.ok()??;
            self.buffer.push_str(&String::from_utf8_lossy(&bytes));
            let Some(end) = self.buffer.rfind("\n\n") else { continue };
            let rest = self.buffer.split_off(end + 2);
            let whole = std::mem::replace(&mut self.buffer, rest);
            self.ready.extend(whole.split("\n\n").filter_map(read));
        }
    }

    /// All events up to the end of the stream.
    pub async fn rest(mut self) -> Vec<SseEvent> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn read(block: &str) -> Option<SseEvent> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).expect("data is JSON");
    Some(SseEvent {
        id: field("id").map(|id| id.parse().expect("an id is a position")),
        event: field("event").expect("an event has a type").to_owned(),
        data,
    })
}

impl SseEvent {
    /// The exact line.
    pub fn line(&self) -> String {
        self.data["line"].to_string()
    }
}
