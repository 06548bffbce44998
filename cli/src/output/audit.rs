//! How lines of the log are shown to people.

use super::escape::escape;
use super::people::kept;
use super::rows::Row;
use super::table::{NOTHING, Tone};
use super::times::ago;
use super::{Format, Output, print};
use crate::client::Answer;
use crate::failure::Failure;
use api::wire::{AuditEvent, AuditViews};
use domain::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A line that records a use.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Use(AuditEvent);

/// What is shown of a line.
struct Line<'e> {
    json: Value,
    event: &'e AuditEvent,
}

impl<'e> Line<'e> {
    fn of(event: &'e AuditEvent) -> Self {
        Self { json: serde_json::from_str(event.line.get()).unwrap_or_default(), event }
    }

    fn text(&self, pointer: &str) -> String {
        match self.json.pointer(pointer) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    /// The value that stands beside the log for a commitment; `erased` where there is none any more, and `altered` where
    /// it is another one.
    fn personal(&self, pointer: &str) -> String {
        let commitment = self.text(pointer);
        let AuditEvent { personal, erased, altered, .. } = self.event;
        kept(&commitment, personal.get(&commitment).map(String::as_str), erased, altered)
    }

    /// What the thing is called, or why it happened; of people, what is kept of their address or name.
    fn name_or_reason(&self) -> String {
        let of_person = match self.text("/type").as_str() {
            "MemberInvited" => self.personal("/email"),
            "InvitationAccepted" => self.personal("/name"),
            _ => return self.first(&["/name", "/code", "/reason", "/after/name", "/note"]),
        };
        if of_person.is_empty() { self.text("/role") } else { of_person }
    }

    /// The first of some keys that the line has.
    fn first(&self, pointers: &[&str]) -> String {
        pointers.iter().map(|pointer| self.text(pointer)).find(|text| !text.is_empty()).unwrap_or_default()
    }
}

fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

/// What an event is about: a person goes before the session or the invitation that it came by.
const ABOUT: [&str; 7] = ["/user", "/users/0", "/token", "/invitation", "/project", "/role", "/org"];

impl Row for AuditEvent {
    const COLUMNS: &'static [&'static str] =
        &["POSITION", "AT", "TYPE", "ABOUT", "NAME OR REASON", "ACTOR", "ADDRESS"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        let line = Line::of(self);
        vec![
            plain(self.position.to_string()),
            plain(ago(&line.text("/at"), now)),
            plain(line.text("/type")),
            plain(line.first(&ABOUT)),
            plain(line.name_or_reason()),
            plain(line.text("/actor/by")),
            plain(line.personal("/actor/address")),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn id(&self) -> String {
        self.position.to_string()
    }
}

impl Row for Use {
    const COLUMNS: &'static [&'static str] =
        &["POSITION", "AT", "TOKEN", "OUTCOME", "ASKED", "RESOURCE", "ASKED BY", "FROM"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        let line = Line::of(&self.0);
        let code = line.text("/code");
        let outcome = if code.is_empty() { plain("valid") } else { (code, Tone::Ended) };
        let client = line.personal("/client/address");
        vec![
            plain(self.0.position.to_string()),
            plain(ago(&line.text("/at"), now)),
            plain(line.text("/token")),
            outcome,
            plain(line.first(&["/asked/permission", "/asked/operation"])),
            plain(line.text("/asked/resource")),
            plain(line.text("/actor/by")),
            plain(if client.is_empty() { line.personal("/actor/address") } else { client }),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn id(&self) -> String {
        self.0.position.to_string()
    }
}

impl Row for AuditViews {
    const COLUMNS: &'static [&'static str] = &["GENERATION", "POSITION", "LOG"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        let numbers = [u64::from(self.live.generation), self.live.position, self.log_position];
        numbers.map(|number| plain(number.to_string())).into()
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        let building = self.building.as_ref();
        let building =
            building.map(|one| format!("generation {} at position {}", one.generation, one.position));
        vec![
            ("GENERATION", self.live.generation.to_string()),
            ("POSITION", self.live.position.to_string()),
            ("LOG", self.log_position.to_string()),
            ("BEHIND", self.log_position.saturating_sub(self.live.position).to_string()),
            ("BUILDING", building.unwrap_or_default()),
        ]
    }

    fn id(&self) -> String {
        self.live.generation.to_string()
    }
}

impl Output {
    /// One event of many that come one by one: a line for people, and JSON in one line for programs.
    pub(crate) fn followed(&self, answer: &Answer<AuditEvent>) -> Result<(), Failure> {
        match self.format() {
            Format::Json => print(&format!("{}\n", answer.json.get())),
            Format::Id => print(&format!("{}\n", answer.value.position)),
            Format::Table | Format::Secret => print(&line_of(&answer.value)),
        }
    }
}

/// The cells of an event, with its exact time: whoever follows does not look at what was a minute ago.
fn line_of(event: &AuditEvent) -> String {
    let line = Line::of(event);
    let cells = event.cells(Timestamp::from_micros(0));
    let mut texts: Vec<String> = cells.into_iter().map(|(text, _)| escape(&text).into_owned()).collect();
    texts[1] = escape(&line.text("/at")).into_owned();
    let shown = texts.iter().map(|text| if text.is_empty() { NOTHING } else { text.as_str() });
    let mut text = shown.collect::<Vec<_>>().join("  ");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followed_event_is_one_line_without_anything_that_moves_the_cursor() {
        let json = r#"{"position":7,"personal":{"c":"192.0.2.7"},"line":{"type":"TokenMinted","at":"2026-11-22T10:15:00.000000Z","actor":{"by":"admin-token","address":"c"},"token":"t","name":"a\u001b[2J\nb"}}"#;
        let event: AuditEvent = serde_json::from_str(json).unwrap();
        let line = line_of(&event);
        assert_eq!(
            line,
            "7  2026-11-22T10:15:00.000000Z  TokenMinted  t  a\\u{1b}[2J\\nb  admin-token  192.0.2.7\n"
        );
    }

    #[test]
    fn an_erased_address_is_said_to_be_erased() {
        let of = |personal: &str| {
            let json = format!(r#"{{"position":7{personal},"line":{{"actor":{{"by":"x","address":"c"}}}}}}"#);
            let event: AuditEvent = serde_json::from_str(&json).unwrap();
            Line::of(&event).personal("/actor/address")
        };
        assert_eq!((of(r#","erased":["c"]"#), of("")), ("erased".to_owned(), String::new()));
        assert_eq!(of(r#","altered":["c"]"#), "altered");
    }
}
