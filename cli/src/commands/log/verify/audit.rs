//! What is checked of an export, one entry after another.

use super::decisions::CheckedDecisions;
use super::export::{Content, Entry};
use super::personal::Personal;
use super::report::{CheckedCheckpoint, CheckedOrdinals, Report};
use eventlog::Checkpoint;
use eventlog::tree::{Frontier, Hash, ranges};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Findings that are listed; of more, only the number is said.
const LISTED: usize = 50;

/// A checkpoint that somebody kept.
pub(super) struct Kept {
    file: String,
    checkpoint: Checkpoint,
    signed_by: Vec<String>,
    others: usize,
    /// How many lines it is held against: all that it has signed, unless there is a proof that fewer are its beginning.
    size: u64,
    proof: Vec<Hash>,
    /// The root of the export at that size; with a proof, what it leads to.
    found: Option<Hash>,
}

impl Kept {
    pub(super) fn new(file: String, checkpoint: Checkpoint, signed_by: Vec<String>, others: usize) -> Self {
        let size = checkpoint.size;
        Self { file, checkpoint, signed_by, others, size, proof: Vec::new(), found: None }
    }

    /// The same, held against the first `size` lines by a consistency proof.
    pub(super) fn through(self, size: u64, proof: Vec<Hash>) -> Self {
        Self { size, proof, ..self }
    }

    /// Takes the root of the export at its size.
    fn meet(&mut self, root: Hash) {
        let leads_to = ranges::root_of_consistency(self.size, self.checkpoint.size, root, &self.proof);
        self.found = Some(leads_to.unwrap_or(root));
    }
}

/// The ordinals of an organization, or of the instance.
#[derive(Default)]
struct Ordinals {
    last: u64,
    lines: u64,
}

/// What is looked at in a line. What else stands in it is the replay's.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    at: Cow<'a, str>,
    org: Option<Uuid>,
    n: Option<u64>,
}

pub(super) struct Audit {
    /// By the lines that they are held against.
    kept: Vec<Kept>,
    frontier: Frontier,
    hashes_only: u64,
    ordinals: BTreeMap<Option<Uuid>, Ordinals>,
    last_at: String,
    events: Vec<String>,
    found: Vec<String>,
    unlisted: u64,
    others: Option<(u64, u64)>,
    personal: Option<Personal>,
    decisions: Option<CheckedDecisions>,
}

impl Audit {
    pub(super) fn new(mut kept: Vec<Kept>, personal: Option<Personal>) -> Self {
        // Those of one size side by side, to be held against each other first.
        kept.sort_by_key(|kept| kept.checkpoint.size);
        let mut audit = Self {
            kept,
            frontier: Frontier::default(),
            hashes_only: 0,
            ordinals: BTreeMap::new(),
            last_at: String::new(),
            events: Vec::new(),
            found: Vec::new(),
            unlisted: 0,
            others: None,
            personal,
            decisions: None,
        };
        audit.two_logs();
        audit.kept.sort_by_key(|kept| kept.size);
        audit.meet();
        audit
    }

    /// Two signed roots of one size are a proof against the log, whatever the export holds.
    fn two_logs(&mut self) {
        let pairs = self.kept.windows(2).filter(|pair| {
            let [one, other] = [&pair[0].checkpoint, &pair[1].checkpoint];
            (one.size, &one.origin) == (other.size, &other.origin) && one.root != other.root
        });
        let found: Vec<String> = pairs
            .map(|pair| {
                let (one, other) = (&pair[0], &pair[1]);
                let size = one.checkpoint.size;
                format!("{} and {}: the log has signed two roots for {size} lines", one.file, other.file)
            })
            .collect();
        self.found.extend(found);
    }

    /// Takes the root for the checkpoints of the size that is reached.
    fn meet(&mut self) {
        let size = self.frontier.size();
        let reached = self.kept.partition_point(|kept| kept.size < size);
        for kept in self.kept[reached..].iter_mut().take_while(|kept| kept.size == size) {
            kept.meet(self.frontier.root());
        }
    }

    pub(super) fn entry(&mut self, entry: &Entry<'_>) {
        match entry.content {
            Content::Line(line) => self.line(entry.position, line),
            Content::Hash => self.hashes_only += 1,
            Content::Displaced(begins) => {
                self.hashes_only += 1;
                let position = entry.position;
                self.find(format!(
                    "position {position}: the leaf hashes there say that they begin at {begins}: lines were added \
                     or left out before them"
                ));
            }
        }
        self.frontier.push(entry.leaf);
        self.meet();
    }

    fn line(&mut self, position: u64, line: &[u8]) {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(line) else {
            return self.find(format!("position {position}: what stands there is no line of a log"));
        };
        let altered = self.personal.as_mut().map(|personal| personal.line(position, line));
        altered.into_iter().flatten().for_each(|text| self.find(text));
        let ordinals = self.ordinals.entry(head.org).or_default();
        ordinals.lines += 1;
        let Some(n) = head.n else { return };
        let expected = ordinals.last + 1;
        ordinals.last = n;
        if n != expected {
            self.find(format!(
                "position {position}: {} is lifecycle event {n} of {}, and {expected} should be there: lifecycle \
                 lines before it are missing, added or out of order",
                head.kind,
                named(head.org)
            ));
        }
        if *head.at < *self.last_at {
            let text =
                format!("position {position}: its time, {}, is before that of an earlier line", head.at);
            self.find(text);
        } else {
            self.last_at.clear();
            self.last_at.push_str(&head.at);
        }
        if matches!(&*head.kind, "LogResumed" | "LogKeyRotated") {
            self.events.push(format!("position {position}, {}: {}", head.at, head.kind));
        }
    }

    /// Holds a line against what stood there in an earlier export.
    pub(super) fn compare(&mut self, before: Hash, now: Hash) {
        if before == now {
            return;
        }
        let position = self.frontier.size() - 1;
        match &mut self.others {
            Some((_, count)) => *count += 1,
            None => self.others = Some((position, 1)),
        }
        self.find(format!("position {position}: another line stood there in the earlier export"));
    }

    fn find(&mut self, text: String) {
        if self.found.len() < LISTED { self.found.push(text) } else { self.unlisted += 1 }
    }

    /// What came of deciding the uses again, if all lines are there.
    pub(super) fn decided(&mut self, mut decisions: Option<CheckedDecisions>) {
        if let Some(decisions) = &mut decisions {
            for text in std::mem::take(&mut decisions.found) {
                self.find(text);
            }
        }
        self.decisions = decisions;
    }

    /// The export has ended; the earlier one has more where `is_shorter`.
    pub(super) fn end(&mut self, is_shorter: bool) {
        let size = self.frontier.size();
        let mut found = Vec::new();
        if is_shorter {
            found.push(format!(
                "the export ends at position {size}, and the earlier one goes on: lines are missing"
            ));
        }
        let mut good = 0;
        let mut bad = None;
        for kept in &self.kept {
            let (file, signed) = (&kept.file, kept.size);
            match kept.found {
                None => found.push(format!(
                    "{file}: it was signed for {signed} lines, and the export has {size}: {} are missing, or were \
                     appended since it was made (`audit export --resume`)",
                    signed - size
                )),
                Some(root) if root == kept.checkpoint.root => good = signed,
                Some(_) if bad.is_some() => {}
                Some(_) => {
                    bad = Some(signed);
                    found.push(format!(
                        "{file}: the lines before position {signed} are not those that were signed: something from \
                         position {good} to {} was changed, added, removed or moved{}",
                        signed.saturating_sub(1),
                        if good > 0 { "; what is before is as it was signed" } else { "" }
                    ));
                }
            }
        }
        found.append(&mut self.found);
        self.found = found;
    }

    pub(super) fn report(self) -> Report {
        let size = self.frontier.size();
        let proved = self.kept.iter().filter(|kept| kept.found == Some(kept.checkpoint.root));
        let proved = proved.map(|kept| kept.size).max();
        Report {
            lines: size,
            hashes_only: self.hashes_only,
            root: self.frontier.root().to_string(),
            checkpoints: self
                .kept
                .into_iter()
                .map(|kept| CheckedCheckpoint {
                    file: kept.file,
                    origin: kept.checkpoint.origin,
                    size: kept.checkpoint.size,
                    agrees: kept.found == Some(kept.checkpoint.root),
                    is_reached: kept.found.is_some(),
                    signed_by: kept.signed_by,
                    other_signatures: kept.others,
                })
                .collect(),
            ordinals: self
                .ordinals
                .into_iter()
                .map(|(organization, ordinals)| CheckedOrdinals {
                    organization,
                    lines: ordinals.lines,
                    lifecycle_events: ordinals.last,
                })
                .collect(),
            events: self.events,
            proved,
            first_other: self.others.map(|(position, _)| position),
            others: self.others.map_or(0, |(_, count)| count),
            found: self.found,
            unlisted: self.unlisted,
            personal: self.personal.map(Personal::report),
            decisions: self.decisions,
        }
    }
}

fn named(organization: Option<Uuid>) -> String {
    organization.map_or_else(|| "the instance".to_owned(), |id| format!("organization {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventlog::tree::leaf_hash;

    fn line(organization: u128, n: u64, second: u32) -> String {
        let organization = Uuid::from_u128(organization);
        format!(
            r#"{{"v":1,"type":"TokenMinted","at":"2026-11-22T10:15:{second:02}Z","org":"{organization}","n":{n}}}"#
        )
    }

    fn checkpoint(lines: &[String], size: usize) -> Kept {
        let root = lines[..size].iter().map(|line| leaf_hash(line.as_bytes())).collect::<Frontier>().root();
        let checkpoint = Checkpoint { origin: "log.example".to_owned(), size: size as u64, root };
        Kept::new(format!("{size}.txt"), checkpoint, vec!["key".to_owned()], 0)
    }

    fn audit(kept: Vec<Kept>, lines: &[String]) -> Report {
        let mut audit = Audit::new(kept, None);
        for (position, line) in (0..).zip(lines) {
            let (line, leaf) = (line.as_bytes(), leaf_hash(line.as_bytes()));
            audit.entry(&Entry { position, leaf, content: Content::Line(line) });
        }
        audit.end(false);
        audit.report()
    }

    #[test]
    fn what_was_changed_is_found_between_the_checkpoints_around_it() {
        let lines: Vec<String> = (0..9).map(|n| line(1, n + 1, n as u32)).collect();
        let kept = || [0, 3, 6, 9].map(|size| checkpoint(&lines, size)).into();
        let report = audit(kept(), &lines);
        assert_eq!((report.found.as_slice(), report.proved), (&[][..], Some(9)));
        let mut changed = lines.clone();
        changed[4] = changed[4].replace("TokenMinted", "TokenRevoked");
        let report = audit(kept(), &changed);
        assert_eq!(report.proved, Some(3));
        assert_eq!(report.found.len(), 1);
        assert!(report.found[0].contains("from position 3 to 5"), "{:?}", report.found);
        // Without a lifecycle line the ordinals say more exactly where.
        let mut removed = lines.clone();
        removed.remove(4);
        let report = audit(kept(), &removed);
        assert!(report.found[0].contains("from position 3 to 5"), "{:?}", report.found);
        assert!(
            report.found[1].contains("9.txt: it was signed for 9 lines, and the export has 8: 1 are missing")
        );
        assert!(
            report.found[2].contains("position 4") && report.found[2].contains("event 6"),
            "{:?}",
            report.found
        );
        let mut swapped = lines.clone();
        swapped.swap(6, 7);
        let report = audit(kept(), &swapped);
        assert!(report.found[0].contains("from position 6 to 8"));
        assert!(report.found.iter().any(|found| found.contains("its time")));
    }

    #[test]
    fn a_log_that_signed_two_roots_is_told_by_the_checkpoints_alone() {
        let lines: Vec<String> = (0..3).map(|n| line(1, n + 1, n as u32)).collect();
        let other: Vec<String> = (0..3).map(|n| line(2, n + 1, n as u32)).collect();
        let report = audit(vec![checkpoint(&lines, 3), checkpoint(&other, 3)], &lines);
        assert!(
            report.found.iter().any(|found| found.contains("two roots for 3 lines")),
            "{:?}",
            report.found
        );
    }
}
