//! Deciding the uses of an export again, as `chancery audit replay` does, where all lines are there.

use super::export::{Content, Entry};
use projections::replay::{Replay, Stopped};
use serde::Serialize;

/// Bytes of lines that are taken at once.
const PAGE: usize = 8 * 1024 * 1024;
/// Uses that came out differently and are listed.
const LISTED: usize = 20;

/// Lines on their way through a replay.
#[derive(Default)]
pub(super) struct Decisions {
    replay: Replay,
    lines: String,
    /// Why it went no further.
    ended: Option<Ended>,
}

enum Ended {
    /// Only the hash of a line is there: what follows stands on what it says.
    Hashes,
    /// A line does not follow from those before it.
    Stopped(String),
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct CheckedDecisions {
    /// Uses in the lines.
    pub(super) uses: u64,
    /// Those that were decided again, whole.
    pub(super) same: u64,
    /// Calls of the API of which only the credential was decided again.
    pub(super) standing: u64,
    /// Uses of the break-glass token, which rest on no state.
    pub(super) admin: u64,
    /// Of these, all but the client's address, which no line has.
    pub(super) without_address: u64,
    /// What came out differently.
    pub(super) differing: u64,
    /// Whether the lines fold to their end; otherwise nothing is said of the uses.
    pub(super) is_whole: bool,
    /// What is wrong, and where.
    #[serde(skip)]
    pub(super) found: Vec<String>,
}

impl Decisions {
    pub(super) fn entry(&mut self, entry: &Entry<'_>) {
        if self.ended.is_some() {
            return;
        }
        match entry.content {
            Content::Line(line) => match std::str::from_utf8(line) {
                Ok(line) => {
                    self.lines.push_str(line);
                    self.lines.push('\n');
                }
                Err(_) => self.stop(format!("the line at position {} is not UTF-8", entry.position)),
            },
            Content::Hash | Content::Displaced(_) => {
                self.lines = String::new();
                self.ended = Some(Ended::Hashes);
            }
        }
        if self.lines.len() >= PAGE {
            self.take();
        }
    }

    fn stop(&mut self, why: String) {
        self.lines = String::new();
        self.ended = Some(Ended::Stopped(why));
    }

    fn take(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if let Some(lines) = lines.strip_suffix('\n')
            && let Err(stopped) = self.replay.read(lines).and_then(|page| self.replay.take(&page))
        {
            self.stop(text(&stopped));
        }
    }

    /// None where lines of others are not there.
    pub(super) fn end(mut self) -> Option<CheckedDecisions> {
        self.take();
        let of_none = |found| CheckedDecisions { found, ..CheckedDecisions::default() };
        let report = match self.ended {
            Some(Ended::Hashes) => return None,
            Some(Ended::Stopped(why)) => return Some(of_none(vec![why])),
            None => match self.replay.finish() {
                Ok((report, _)) => report,
                Err(stopped) => return Some(of_none(vec![text(&stopped)])),
            },
        };
        let found = report.differences.iter().take(LISTED).map(|other| {
            let (position, token) = (other.position, &other.token);
            format!(
                "position {position}: `{}` was answered about token {token}, and {} is decided",
                other.recorded, other.decided
            )
        });
        Some(CheckedDecisions {
            uses: report.uses(),
            same: report.same,
            standing: report.standing,
            admin: report.admin_uses,
            without_address: report.without_address,
            differing: report.differing,
            is_whole: true,
            found: found.collect(),
        })
    }
}

fn text(stopped: &Stopped) -> String {
    format!("the lines do not follow from each other: {stopped}")
}
