//! What the audit views hold of a stretch of the log: a function of its commits, and of where tokens stand.

use super::summary::{Kind, Summary};
use crate::feed::Weigh;
use domain::id::{OrganizationId, ProjectId, TokenId};
use domain::time::Timestamp;
use domain::verify::Code;
use eventlog::Commit;
use eventlog::personal::decode_commitment;
use std::collections::HashMap;
use uuid::Uuid;

const HOUR: i64 = 3_600_000_000;
/// Bytes of commits in one row; a row that has as many is left as it is, so that nothing large is written over and over.
const ROW_BYTES: usize = 1_000;

/// A lifecycle event, or a use of the break-glass token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventRow {
    pub(super) position: u64,
    pub(super) first: u64,
    pub(super) at: Timestamp,
    pub(super) organization: Option<Uuid>,
    pub(super) project: Option<Uuid>,
    pub(super) token: Option<Uuid>,
    pub(super) actor_token: Option<Uuid>,
    pub(super) kind: String,
    pub(super) actor: String,
    pub(super) address: Option<Vec<u8>>,
}

/// A token's uses in a stretch of one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UseRow {
    pub(super) token: Uuid,
    /// Where the row begins that this one is, or is added to.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) hour: i32,
    pub(super) counts: Counts,
    /// How far each commit is from the one before, as LEB128; of a new row, from the second on.
    pub(super) commits: Vec<u8>,
}

/// How often a token was used, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(super) valid: i32,
    pub(super) refused: i32,
    /// It asked about other tokens.
    pub(super) asked: i32,
    /// Which outcomes there were, as [`bit`] has them.
    pub(super) outcomes: i32,
}

impl Counts {
    /// Counts a line that stands for so many uses.
    pub(crate) fn add(&mut self, outcome: UseOutcome, times: u32) {
        self.merge(&Counts::of(outcome, times));
    }

    fn of(outcome: UseOutcome, times: u32) -> Self {
        let (times, outcomes) = (i32::try_from(times).unwrap_or(i32::MAX), bit(outcome));
        match outcome {
            UseOutcome::Answered(Code::Valid) => Self { valid: times, outcomes, ..Self::default() },
            UseOutcome::Answered(_) => Self { refused: times, outcomes, ..Self::default() },
            UseOutcome::Asked => Self { asked: times, outcomes, ..Self::default() },
        }
    }

    fn merge(&mut self, other: &Counts) {
        self.valid = self.valid.saturating_add(other.valid);
        self.refused = self.refused.saturating_add(other.refused);
        self.asked = self.asked.saturating_add(other.asked);
        self.outcomes |= other.outcomes;
    }
}

/// A commit as it is taken in.
pub(crate) enum Enrolled {
    /// By its lines.
    Lines(Commit),
    /// Uses of tokens and nothing else, all at one time, counted already.
    Uses(Timestamp, Vec<(TokenId, Counts)>),
}

impl Weigh for Enrolled {
    fn weight(&self) -> usize {
        match self {
            Self::Lines(commit) => commit.weight(),
            Self::Uses(_, counted) => size_of_val(&counted[..]),
        }
    }
}

/// The stretches that uses may still be added to, by token.
pub(super) type Open = HashMap<TokenId, Stretch>;

#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    first: u64,
    last: u64,
    hour: i32,
    bytes: usize,
}

/// What a use came to: an answer about the token, or that it asked about others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseOutcome {
    /// It was presented, and this was the answer.
    Answered(Code),
    /// It asked about another token.
    Asked,
}

/// The outcomes that a line can record, in the order of their bits. Stored: new ones come at the end.
const OUTCOMES: [UseOutcome; 11] = [
    UseOutcome::Asked,
    UseOutcome::Answered(Code::Valid),
    UseOutcome::Answered(Code::Superseded),
    UseOutcome::Answered(Code::Revoked),
    UseOutcome::Answered(Code::OrganizationSuspended),
    UseOutcome::Answered(Code::NotYetValid),
    UseOutcome::Answered(Code::Expired),
    UseOutcome::Answered(Code::AddressDenied),
    UseOutcome::Answered(Code::WrongOrganization),
    UseOutcome::Answered(Code::WrongProject),
    UseOutcome::Answered(Code::Forbidden),
];

/// The bit of an outcome; none of one that is never recorded.
pub(crate) fn bit(outcome: UseOutcome) -> i32 {
    OUTCOMES.iter().position(|known| *known == outcome).map_or(0, |place| 1 << place)
}

/// Rows of commits that follow each other, each with where it begins. `scope` says where a token stands; `open` is
/// carried from page to page.
pub(super) fn rows(
    commits: &[(u64, Enrolled)],
    open: &mut Open,
    mut scope: impl FnMut(TokenId) -> (Option<OrganizationId>, Option<ProjectId>),
) -> Result<(Vec<EventRow>, Vec<UseRow>), (u64, serde_json::Error)> {
    let mut events = Vec::new();
    let mut uses = Uses { open, rows: Vec::new(), current: HashMap::new() };
    for (first, enrolled) in commits {
        let commit = match enrolled {
            Enrolled::Lines(commit) => commit,
            Enrolled::Uses(at, counted) => {
                for (token, counts) in counted {
                    uses.count(*token, *first, *at, counts);
                }
                continue;
            }
        };
        for (position, text) in commit.numbered() {
            let line = Summary::read(text).map_err(|error| (position, error))?;
            match line.kind() {
                Kind::Use => uses.take(commit.first, &line),
                Kind::Lifecycle | Kind::AdminUse => {
                    let project = line.project.or_else(|| line.token.and_then(|token| scope(token).1));
                    events.push(EventRow {
                        position,
                        first: commit.first,
                        at: line.at,
                        organization: line.org.map(|id| id.0),
                        project: project.map(|id| id.0),
                        token: line.token.map(|id| id.0),
                        actor_token: line.actor.token.map(|id| id.0),
                        kind: line.kind.into_owned(),
                        actor: line.actor.by.into_owned(),
                        address: line.actor.address.and_then(|text| decode_commitment(&text)).map(Vec::from),
                    });
                }
            }
        }
    }
    Ok((events, uses.finish()))
}

struct Uses<'o> {
    open: &'o mut Open,
    rows: Vec<UseRow>,
    /// Where in `rows` a token's present row is.
    current: HashMap<TokenId, usize>,
}

impl Uses<'_> {
    fn take(&mut self, commit: u64, line: &Summary<'_>) {
        for (token, outcome) in line.uses() {
            self.count(token, commit, line.at, &Counts::of(outcome, line.count.unwrap_or(1)));
        }
    }

    fn count(&mut self, token: TokenId, commit: u64, at: Timestamp, counts: &Counts) {
        let hour = i32::try_from(at.micros().div_euclid(HOUR)).unwrap_or(i32::MAX);
        self.row(token, commit, hour).counts.merge(counts);
    }

    /// The row that a use in a commit belongs to, with the commit in it.
    fn row(&mut self, token: TokenId, commit: u64, hour: i32) -> &mut UseRow {
        let fits = |stretch: &&mut Stretch| {
            stretch.hour == hour && (stretch.bytes < ROW_BYTES || stretch.last == commit)
        };
        let Some(stretch) = self.open.get_mut(&token).filter(fits) else {
            self.open.insert(token, Stretch { first: commit, last: commit, hour, bytes: 0 });
            return self.begin(token, commit, hour);
        };
        let mut step = Vec::new();
        if commit > stretch.last {
            write_leb128(&mut step, commit - stretch.last);
        }
        (stretch.last, stretch.bytes) = (commit, stretch.bytes + step.len());
        let first = stretch.first;
        let row = match self.current.get(&token) {
            Some(index) => &mut self.rows[*index],
            None => self.begin(token, first, hour),
        };
        row.last = commit;
        row.commits.extend(step);
        row
    }

    fn begin(&mut self, token: TokenId, first: u64, hour: i32) -> &mut UseRow {
        let index = self.rows.len();
        self.rows.push(UseRow {
            token: token.0,
            first,
            last: first,
            hour,
            counts: Counts::default(),
            commits: Vec::new(),
        });
        self.current.insert(token, index);
        &mut self.rows[index]
    }

    fn finish(mut self) -> Vec<UseRow> {
        // In one order everywhere, so that two nodes never wait for each other.
        self.rows.sort_unstable_by_key(|row| (row.token, row.first));
        self.rows
    }
}

fn write_leb128(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// The commits of a stored row, in their order.
pub(super) fn commits_of(first: u64, bytes: &[u8]) -> Vec<u64> {
    let mut commits = vec![first];
    let (mut step, mut shift) = (0_u64, 0);
    for byte in bytes {
        step |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            commits.push(commits[commits.len() - 1] + step);
            (step, shift) = (0, 0);
        }
    }
    commits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(hour: u8, token: u128, actor: u128, code: Option<&str>) -> String {
        let (kind, code) = match code {
            Some(code) => ("TokenRefused", format!(",\"code\":\"{code}\"")),
            None => ("TokenUsed", String::new()),
        };
        format!(
            "{{\"v\":1,\"type\":\"{kind}\",\"at\":\"2026-11-22T{hour:02}:00:00.000000Z\",\"actor\":{{\"by\":\"x\",\
             \"token\":\"{}\"}},\"token\":\"{}\",\"secret\":0{code},\"asked\":{{}}}}",
            Uuid::from_u128(actor),
            Uuid::from_u128(token)
        )
    }

    fn commit(first: u64, lines: &[String]) -> Commit {
        Commit {
            id: Uuid::from_u128(first.into()),
            first,
            count: u32::try_from(lines.len()).unwrap(),
            version: 0,
            lifecycle: 0,
            committed_at: 0,
            lines: lines.join("\n"),
        }
    }

    fn uses_of(commits: &[Commit], open: &mut Open) -> Vec<UseRow> {
        let commits: Vec<_> =
            commits.iter().map(|commit| (commit.first, Enrolled::Lines(commit.clone()))).collect();
        rows(&commits, open, |_| (None, None)).unwrap().1
    }

    #[test]
    fn a_token_s_uses_are_one_row_an_hour_that_goes_on_from_page_to_page() {
        let mut open = Open::new();
        let first = [
            commit(0, &[line(9, 1, 1, None), line(9, 2, 1, None), line(9, 1, 1, Some("forbidden"))]),
            commit(300, &[line(9, 1, 1, None)]),
        ];
        let found = uses_of(&first, &mut open);
        assert_eq!(found.len(), 2);
        let of =
            |row: &UseRow| (row.token.as_u128(), row.first, row.last, row.counts.valid, row.counts.refused);
        assert_eq!(found.iter().map(of).collect::<Vec<_>>(), [(1, 0, 300, 2, 1), (2, 0, 0, 1, 0)]);
        assert_eq!(found[0].counts.asked, 1);
        assert_eq!(commits_of(0, &found[0].commits), [0, 300]);
        let next = [commit(301, &[line(9, 1, 1, None)]), commit(900, &[line(10, 1, 1, None)])];
        let more = uses_of(&next, &mut open);
        assert_eq!(more.iter().map(|row| (row.first, row.last)).collect::<Vec<_>>(), [(0, 301), (900, 900)]);
        let whole = [&found[0].commits[..], &more[0].commits[..]].concat();
        assert_eq!(commits_of(0, &whole), [0, 300, 301]);
    }

    #[test]
    fn uses_that_the_node_counted_come_to_the_rows_of_their_lines() {
        let refused = line(9, 1, 2, Some("forbidden")).replace("}}", "},\"count\":3}");
        let lines = [line(9, 1, 1, None), line(9, 1, 2, None), refused, line(9, 2, 2, Some("expired"))];
        let commit = commit(5, &lines);
        let (mut counted, mut at) = (HashMap::<TokenId, Counts>::new(), Timestamp::MIN);
        let mut count = |time, tallies: crate::usage::Tallies| {
            at = time;
            for (token, tally) in &tallies {
                counted.entry(*token).or_default().merge(&tally.counts);
            }
        };
        crate::usage::uses_of(&commit, &mut count).unwrap();
        let fed = Enrolled::Uses(at, counted.into_iter().collect());
        let expected = uses_of(std::slice::from_ref(&commit), &mut Open::new());
        assert_eq!(rows(&[(5, fed)], &mut Open::new(), |_| (None, None)).unwrap().1, expected);
        let of = |row: &UseRow| (row.counts.valid, row.counts.refused, row.counts.asked);
        assert_eq!(expected.iter().map(of).collect::<Vec<_>>(), [(2, 3, 0), (0, 1, 4)]);
    }

    #[test]
    fn a_full_row_is_left_as_it_is() {
        let mut open = Open::new();
        let all: Vec<Commit> = (0..1_500).map(|n| commit(n, &[line(9, 1, 1, None)])).collect();
        let found = uses_of(&all, &mut open);
        let spans: Vec<_> = found.iter().map(|row| (row.first, row.last, row.commits.len())).collect();
        assert_eq!(spans, [(0, 1_000, 1_000), (1_001, 1_499, 498)]);
    }

    #[test]
    fn stored_outcomes_keep_their_bits() {
        assert_eq!(bit(UseOutcome::Asked), 1);
        assert_eq!(bit(UseOutcome::Answered(Code::Valid)), 2);
        assert_eq!(bit(UseOutcome::Answered(Code::Forbidden)), 1 << 10);
        assert_eq!(bit(UseOutcome::Answered(Code::Unknown)), 0);
    }
}
