//! The page that says what was checked and what was found.

use super::decisions::CheckedDecisions;
use serde::Serialize;
use std::fmt::Write as _;
use uuid::Uuid;

/// Organizations that are listed; of more, only the number is said.
const LISTED: usize = 20;

/// What an audit comes to.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Lines of the export, those with a hash alone among them.
    pub(super) lines: u64,
    pub(super) hashes_only: u64,
    /// The root over all of them.
    pub(super) root: String,
    pub(super) checkpoints: Vec<CheckedCheckpoint>,
    pub(super) ordinals: Vec<CheckedOrdinals>,
    /// What an operator did to the log itself.
    pub(super) events: Vec<String>,
    /// The size up to which a checkpoint agrees.
    pub(super) proved: Option<u64>,
    /// Where the earlier export first had another line.
    pub(super) first_other: Option<u64>,
    pub(super) others: u64,
    /// What is wrong, and where.
    pub(super) found: Vec<String>,
    /// Findings beyond those.
    pub(super) unlisted: u64,
    /// Where personal values were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) personal: Option<CheckedPersonal>,
    /// Where all lines are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decisions: Option<CheckedDecisions>,
}

/// Of the commitments in the lines, each counted once.
#[derive(Debug, Serialize)]
pub(super) struct CheckedPersonal {
    /// Their value is the one that they were made of.
    pub(super) checked: u64,
    /// Nothing is kept any more.
    pub(super) erased: u64,
    /// Another value is kept.
    pub(super) altered: u64,
    /// Values that no line of the export refers to.
    pub(super) unused: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct CheckedCheckpoint {
    pub(super) file: String,
    pub(super) origin: String,
    pub(super) size: u64,
    pub(super) agrees: bool,
    /// Whether the export has as many lines.
    pub(super) is_reached: bool,
    pub(super) signed_by: Vec<String>,
    pub(super) other_signatures: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct CheckedOrdinals {
    /// None is the instance.
    pub(super) organization: Option<Uuid>,
    pub(super) lines: u64,
    pub(super) lifecycle_events: u64,
}

impl Report {
    pub(super) fn page(&self) -> String {
        let mut page = String::new();
        let lines = self.lines - self.hashes_only;
        let _ = writeln!(page, "Read\n  {lines} lines and {} leaf hashes of others", self.hashes_only);
        let _ = writeln!(page, "  root {}", self.root);
        page.push_str("\nCheckpoints\n");
        for checkpoint in &self.checkpoints {
            let verdict = match checkpoint.agrees {
                true => "agrees",
                // Lines are missing, or it was only fetched after the export was made.
                false if !checkpoint.is_reached => "NOT REACHED",
                false => "DIFFERS",
            };
            let CheckedCheckpoint { file, origin, size, .. } = checkpoint;
            let _ = writeln!(page, "  {verdict}  {size} lines of {origin}  {file}");
            for key in &checkpoint.signed_by {
                let _ = writeln!(page, "           signed by {key}");
            }
            if checkpoint.other_signatures > 0 {
                let others = checkpoint.other_signatures;
                let _ = writeln!(
                    page,
                    "           and {others} signatures by keys that were not given: not checked"
                );
            }
        }
        self.order(&mut page);
        if let Some(decisions) = self.decisions.as_ref().filter(|decisions| decisions.is_whole) {
            page.push_str(&of_decisions(decisions));
        }
        if let Some(CheckedPersonal { checked, erased, altered, unused }) = &self.personal {
            page.push_str("\nPersonal values\n");
            let _ = writeln!(page, "  {checked} are those that the lines were written with");
            let _ = writeln!(
                page,
                "  {erased} have none in this file (erased, or it is older), {altered} were ALTERED"
            );
            if *unused > 0 {
                let _ = writeln!(page, "  {unused} more are in no line of this export");
            }
        }
        self.conclusions(&mut page);
        page
    }

    fn order(&self, page: &mut String) {
        page.push_str("\nOrder\n");
        for of in self.ordinals.iter().take(LISTED) {
            let name =
                of.organization.map_or_else(|| "instance".to_owned(), |id| format!("organization {id}"));
            let (lines, last) = (of.lines, of.lifecycle_events);
            let _ = writeln!(page, "  {name}: {lines} lines, lifecycle events to {last}");
        }
        if self.ordinals.len() > LISTED {
            let _ = writeln!(page, "  and {} organizations more", self.ordinals.len() - LISTED);
        }
        for event in &self.events {
            let _ = writeln!(page, "  an operator changed the log itself: {event}");
        }
    }

    fn conclusions(&self, page: &mut String) {
        page.push_str("\nProved\n");
        match self.proved {
            None | Some(0) => page.push_str("  nothing: no checkpoint agrees with the lines\n"),
            Some(size) => {
                let _ = writeln!(page, "  the first {size} lines are on the log, unchanged, in this order");
                if self.found.is_empty() {
                    page.push_str("  every checkpoint given is of this one log, which only grew\n");
                    page.push_str(
                        "  no lifecycle event before an organization's last that is listed is missing\n",
                    );
                }
            }
        }
        page.push_str("\nNot proved\n");
        let after = self.lines - self.proved.unwrap_or(0).min(self.lines);
        if after > 0 {
            let _ = writeln!(page, "  {after} lines after that: no checkpoint that agrees holds them");
        }
        if self.hashes_only > 0 {
            page.push_str(
                "  that no lifecycle event after an organization's last is withheld: see the next export\n",
            );
            page.push_str("  what the lines of others say: only their hashes are here\n");
            page.push_str("  that no use is withheld: only lifecycle events are numbered by organization\n");
        }
        page.push_str("  that others are shown the same log: compare checkpoints with them\n");
        page.push_str(match self.decisions.as_ref().filter(|decisions| decisions.is_whole) {
            None => "  that each decision was right: they were not made again here\n",
            Some(_) => "  that calls of the API were allowed, and what rests on a client's address\n",
        });
        page.push_str(match self.personal {
            None => "  who is behind commitments to personal values: none were given (--personal)\n",
            Some(_) => "  that values which are not there were erased by whoever may, and not just deleted\n",
        });
        page.push_str("\nFound\n");
        if self.found.is_empty() {
            page.push_str("  nothing wrong\n");
        }
        for finding in &self.found {
            let _ = writeln!(page, "  {finding}");
        }
        if self.unlisted > 0 {
            let _ = writeln!(page, "  and {} more", self.unlisted);
        }
    }
}

fn of_decisions(decisions: &CheckedDecisions) -> String {
    let CheckedDecisions { uses, same, standing, admin, without_address, differing, .. } = decisions;
    let mut text = format!("\nDecisions\n  {uses} uses, {differing} came out DIFFERENTLY\n");
    let parts = [
        (same, "were decided again and came out as recorded"),
        (without_address, "came out so but for the client's address, which no line has"),
        (standing, "calls of the API, of which the credential was decided again"),
        (admin, "of the break-glass token, which rest on no state"),
    ];
    for (count, what) in parts.into_iter().filter(|(count, _)| **count > 0) {
        let _ = writeln!(text, "  {count} {what}");
    }
    text
}
