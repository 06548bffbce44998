//! The record as auditors ask for it: events, histories, single uses, the stream, and the views behind them.

mod command_line;
mod crowd;
mod events;
mod kept;
mod strangers;
mod stream;
mod uses;
mod views;
mod walls;

use chancery_tests::{Actor, Answer, Entry};
use serde_json::Value;

/// The positions on a page.
fn positions(answer: &Answer) -> Vec<u64> {
    let items = answer.expect(200)["items"].as_array().unwrap();
    items.iter().map(|item| item["position"].as_u64().unwrap()).collect()
}

/// All pages of a list.
async fn pages(actor: &Actor, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let answer = actor.get(&format!("{path}{joint}{cursor}")).await;
        all.extend(answer.expect(200)["items"].as_array().unwrap().iter().cloned());
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("cursor={next}"),
            None => return all,
        }
    }
}

/// The types on a page.
fn types(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["line"]["type"].as_str().unwrap()).collect()
}

/// Whether a line is listed with the events.
fn is_event(entry: &Entry) -> bool {
    !matches!(entry.kind.as_str(), "TokenUsed" | "TokenRefused")
}
