//! What the tests need: a throw-away Postgres, a database a test, and a proxy that cuts connections.

pub(crate) mod cluster;
pub(crate) mod proxy;

use std::fmt::Write;

use eventlog::{Appended, Condition, Draft, Log, Place, Random, Writer};
use uuid::Uuid;

pub(crate) use cluster::{Database, database};

/// A line as the real ones are, with a lifecycle type or not.
pub(crate) fn line(kind: &str, number: u32) -> String {
    format!(
        r#"{{"v":1,"type":"{kind}","at":"2026-11-22T10:15:00.123456Z","org":"0193a000-0000-7000-8000-00000000000a","actor":{{"by":"org-token:chyo_4fJ2kQ"}},"token":"0193a000-0000-7000-8000-{number:012x}"}}"#
    )
}

/// A draft of so many lines, of which the first ones are lifecycle lines.
pub(crate) fn draft(random: &Random, count: u32, lifecycle: u32) -> Draft {
    let mut lines = String::new();
    for number in 0..count {
        let kind = if number < lifecycle { "TokenMinted" } else { "TokenUsed" };
        let separator = if number == 0 { "" } else { "\n" };
        write!(lines, "{separator}{}", line(kind, number)).unwrap();
    }
    let id = random.uuid_v7(1_795_000_000_000_000);
    Draft { id, lines, count, lifecycle, personal: vec![], sealed: vec![], erases: None }
}

/// The place of an append that must succeed.
pub(crate) fn place(appended: Result<Appended, eventlog::Error>) -> Place {
    match appended {
        Ok(Appended::Committed(place)) => place,
        other => panic!("not committed: {other:?}"),
    }
}

/// Appends one commit without a condition.
pub(crate) async fn append(
    writer: &mut Writer,
    random: &Random,
    count: u32,
    lifecycle: u32,
) -> (Uuid, Place) {
    let draft = draft(random, count, lifecycle);
    (draft.id, place(writer.append(&draft, Condition::Always).await))
}

/// The whole log, read in small pages; fails on any hole.
pub(crate) async fn everything(log: &Log) -> Vec<eventlog::Commit> {
    let mut commits: Vec<eventlog::Commit> = Vec::new();
    loop {
        let from = commits.last().map_or(0, eventlog::Commit::end);
        let page = log.commits_from(from, 7).await.unwrap();
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}
