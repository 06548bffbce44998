//! What uses come to, a token: the last one, the last refusal, and how many on which day.

use crate::audit::{Counts, UseOutcome};
use crate::feed::Weigh;
use crate::people::Commitment;
use domain::event::Use;
use domain::id::TokenId;
use domain::needs::permission_behind;
use domain::time::Timestamp;
use domain::verify::Code;
use eventlog::Commit;
use foldhash::quality::RandomState;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// For what and from where a token was presented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) permission: Option<Arc<str>>,
    pub(crate) address: Option<Commitment>,
    pub(crate) agent: Option<Commitment>,
}

/// The uses of one token at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) used: u64,
    pub(crate) refused: u64,
    pub(crate) last: Option<Seen>,
    /// What else it was used for.
    pub(crate) earlier: Vec<Arc<str>>,
    pub(crate) last_refused: Option<(Code, Seen)>,
    /// The lines of uses among them, as the audit views count them.
    pub(crate) counts: Counts,
}

/// The uses of all tokens at one time.
pub(crate) type Tallies = HashMap<TokenId, Tally, RandomState>;

/// The uses of one commit.
pub(crate) struct Uses {
    pub(crate) at: Timestamp,
    pub(crate) tallies: Tallies,
}

impl Weigh for Uses {
    fn weight(&self) -> usize {
        self.tallies.len() * size_of::<(TokenId, Tally)>()
    }
}

/// One token was used, so many times.
pub(crate) fn count_use(tallies: &mut Tallies, token: TokenId, count: u32, seen: Seen) -> &mut Tally {
    let tally = tallies.entry(token).or_default();
    tally.used += u64::from(count);
    let known = tally.last.replace(seen).and_then(|seen| seen.permission);
    let last = tally.last.as_ref().and_then(|seen| seen.permission.as_ref());
    // Most uses of a token are for one thing.
    if let Some(known) = known.filter(|known| last != Some(known) && !tally.earlier.contains(known)) {
        tally.earlier.push(known);
    }
    tally
}

/// Permissions of a token that are held at most before they are written: a role that is a wildcard has no end of them.
const PERMISSIONS: usize = 256;

/// The uses of one token, taken together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Total {
    pub(crate) last: Option<(Timestamp, Seen)>,
    pub(crate) last_refused: Option<(Timestamp, Code, Seen)>,
    /// For what, and when last.
    pub(crate) permissions: Vec<(Arc<str>, Timestamp)>,
    /// By the day: used, refused.
    pub(crate) days: Vec<(i64, u64, u64)>,
}

impl Total {
    /// Takes in what came later, or at the same time.
    pub(crate) fn add(&mut self, at: Timestamp, tally: Tally, is_counted: bool) {
        let last = tally.last.iter().filter_map(|seen| seen.permission.as_ref());
        for permission in tally.earlier.iter().chain(last) {
            let has_room = self.permissions.len() < PERMISSIONS;
            match self.permissions.iter_mut().find(|(known, _)| known == permission) {
                Some((_, known)) => *known = at.max(*known),
                None if has_room => {
                    self.permissions.push((Arc::clone(permission), at));
                }
                None => {}
            }
        }
        if let Some(seen) = tally.last.filter(|_| self.last.as_ref().is_none_or(|(known, _)| at >= *known)) {
            self.last = Some((at, seen));
        }
        let is_later = self.last_refused.as_ref().is_none_or(|(known, ..)| at >= *known);
        if let Some((code, seen)) = tally.last_refused.filter(|_| is_later) {
            self.last_refused = Some((at, code, seen));
        }
        if !is_counted {
            return;
        }
        match self.days.iter_mut().find(|(day, ..)| *day == at.day()) {
            Some((_, used, refused)) => {
                *used += tally.used;
                *refused += tally.refused;
            }
            None => self.days.push((at.day(), tally.used, tally.refused)),
        }
    }
}

/// What is needed of a line.
#[derive(Deserialize)]
struct LineOf<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    at: Timestamp,
    #[serde(borrow)]
    actor: ActorOf<'a>,
    #[serde(default)]
    narrowed: bool,
}

#[derive(Deserialize)]
struct ActorOf<'a> {
    token: Option<TokenId>,
    #[serde(borrow)]
    address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    agent: Option<Cow<'a, str>>,
}

/// The permission that a caller needs to ask about another token.
const ASKING: &str = "tokens:verify";
/// The same, to be shared: most uses are of somebody who asked.
static ASKED: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(ASKING));

/// Hands the uses of a commit that is read off the log on, with their times.
pub(crate) fn uses_of(
    commit: &Commit,
    take: &mut impl FnMut(Timestamp, Tallies),
) -> Result<(), (u64, serde_json::Error)> {
    for (position, text) in commit.numbered() {
        let line: LineOf<'_> = serde_json::from_str(text).map_err(|error| (position, error))?;
        let mut tallies = Tallies::default();
        if matches!(&*line.kind, "TokenUsed" | "TokenRefused") {
            let used: Use<Box<str>> = serde_json::from_str(text).map_err(|error| (position, error))?;
            let caller = Seen {
                permission: None,
                address: commitment(line.actor.address.as_deref()),
                agent: commitment(line.actor.agent.as_deref()),
            };
            count_line(&mut tallies, &used, line.actor.token, &caller);
        } else if let Some(actor) = line.actor.token {
            let seen = Seen {
                permission: permission_behind(&line.kind, line.narrowed).map(Arc::from),
                address: commitment(line.actor.address.as_deref()),
                agent: commitment(line.actor.agent.as_deref()),
            };
            count_use(&mut tallies, actor, 1, seen);
        }
        take(line.at, tallies);
    }
    Ok(())
}

/// When tokens were last used.
pub(crate) type LastUses = HashMap<TokenId, Timestamp>;

/// A token was used then, if not later.
pub(crate) fn used(last: &mut LastUses, token: TokenId, at: Timestamp) {
    last.entry(token).and_modify(|known| *known = at.max(*known)).or_insert(at);
}

/// Takes in when tokens were used in a commit that is read off the log.
pub(crate) fn last_uses(commit: &Commit, last: &mut LastUses) -> Result<(), (u64, serde_json::Error)> {
    uses_of(commit, &mut |at, tallies| {
        tallies.iter().filter(|(_, tally)| tally.used > 0).for_each(|(token, _)| used(last, *token, at));
    })
}

fn commitment(text: Option<&str>) -> Option<Commitment> {
    text.and_then(Commitment::read)
}

/// Counts a use: of the token that was presented, and of who asked about it. `caller` is from where it was asked.
pub(crate) fn count_line<S: AsRef<str>>(
    tallies: &mut Tallies,
    used: &Use<S>,
    actor: Option<TokenId>,
    caller: &Seen,
) {
    let count = used.count.unwrap_or(1);
    let permission = used.asked.permission.as_ref().map(|text| Arc::from(text.as_ref()));
    let is_own = actor == Some(used.token);
    let seen = match &used.client {
        None if is_own => Seen { permission, ..caller.clone() },
        client => Seen {
            permission,
            address: commitment(client.as_ref().and_then(|client| Some(client.address.as_ref()?.as_ref()))),
            agent: commitment(client.as_ref().and_then(|client| Some(client.agent.as_ref()?.as_ref()))),
        },
    };
    // Whoever was refused itself did not use anything; whoever asked about another did.
    if let Some(actor) = actor.filter(|_| !is_own) {
        count_use(tallies, actor, count, Seen { permission: Some(Arc::clone(&ASKED)), ..caller.clone() })
            .counts
            .add(UseOutcome::Asked, count);
    }
    let tally = match used.code {
        None => count_use(tallies, used.token, count, seen),
        Some(code) => {
            let tally = tallies.entry(used.token).or_default();
            tally.refused += u64::from(count);
            tally.last_refused = Some((code, seen));
            tally
        }
    };
    tally.counts.add(UseOutcome::Answered(used.code.unwrap_or(Code::Valid)), count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn commit(lines: &[String]) -> Commit {
        Commit {
            id: Uuid::from_u128(1),
            first: 0,
            count: u32::try_from(lines.len()).unwrap(),
            version: 0,
            lifecycle: 0,
            committed_at: 0,
            lines: lines.join("\n"),
        }
    }

    fn line(kind: &str, second: u8, token: Option<u128>, actor: Option<u128>) -> String {
        let id = |id: u128| format!("\"{}\"", Uuid::from_u128(id));
        let token = token.map(|token| format!(",\"token\":{}", id(token))).unwrap_or_default();
        let actor = actor.map(|actor| format!(",\"token\":{}", id(actor))).unwrap_or_default();
        let code = if kind == "TokenRefused" { ",\"code\":\"forbidden\"" } else { "" };
        let asked = match kind {
            "TokenUsed" | "TokenRefused" => ",\"secret\":0,\"asked\":{\"permission\":\"a:b\"}",
            _ => "",
        };
        format!(
            "{{\"v\":1,\"type\":\"{kind}\",\"at\":\"2026-11-22T10:00:0{second}.000000Z\",\
             \"actor\":{{\"by\":\"x\"{actor}}}{token}{code}{asked}}}"
        )
    }

    #[test]
    fn each_line_counts_for_whom_it_names() {
        let lines = [
            line("TokenUsed", 3, Some(1), Some(2)),
            line("TokenUsed", 1, Some(1), Some(1)),
            line("TokenRefused", 4, Some(3), Some(2)),
            line("TokenRefused", 5, Some(2), Some(2)).replace("}}", "},\"count\":3}"),
            line("TokenMinted", 6, Some(9), Some(4)),
            line("AdminTokenUsed", 7, None, None),
        ];
        let mut totals: HashMap<TokenId, Total> = HashMap::new();
        let mut take = |at: Timestamp, tallies: Tallies| {
            for (token, tally) in tallies {
                totals.entry(token).or_default().add(at, tally, true);
            }
        };
        uses_of(&commit(&lines), &mut take).unwrap();
        let mut seen: Vec<_> = totals
            .iter()
            .map(|(id, total)| {
                let second = |at: Timestamp| at.micros() / 1_000_000 % 60;
                let (_, used, refused) = total.days[0];
                let last = total.last.as_ref().map(|(at, seen)| (second(*at), seen.permission.as_deref()));
                let last_refused = total.last_refused.as_ref().map(|(at, code, _)| (second(*at), *code));
                (id.0.as_u128(), used, refused, last, last_refused)
            })
            .collect();
        seen.sort_unstable();
        let refused = |second| Some((second, Code::Forbidden));
        assert_eq!(
            seen,
            [
                (1, 2, 0, Some((3, Some("a:b"))), None),
                (2, 2, 3, Some((4, Some(ASKING))), refused(5)),
                (3, 0, 1, None, refused(4)),
                (4, 1, 0, Some((6, Some("tokens:mint"))), None),
            ]
        );
    }
}
