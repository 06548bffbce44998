//! What a replay found.

use super::page::Item;
use super::{Compared, too_early};
use domain::event::Event;
use domain::replay::{Again, UseLine};
use domain::state::State;
use domain::verify::Code;

/// Differences that are listed; the rest is counted.
const LISTED: usize = 1_000;

/// A use that comes out differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where its line stands.
    pub position: u64,
    /// The token that was presented.
    pub token: String,
    /// The answer in the line.
    pub recorded: &'static str,
    /// What is decided.
    pub decided: String,
}

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines.
    pub lines: u64,
    /// Lifecycle lines among them.
    pub lifecycle: u64,
    /// Uses of the break-glass token, whose answers rest on no state.
    pub admin_uses: u64,
    /// Lines of uses that came out the same.
    pub same: u64,
    /// Calls of Chancery's own API whose credential came out the same. Whether the call was allowed is not decided.
    pub standing: u64,
    /// Uses that came out the same but for an address, which is not known.
    pub without_address: u64,
    /// Bounded uses that name a version too far back.
    pub too_far_back: u64,
    /// Uses that came out differently.
    pub differing: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// The root of the Merkle tree over the lines (RFC 9162, section 2.1).
    pub root: [u8; 32],
    /// What came of the comparison with a running node's state.
    pub live: Option<LiveState>,
    /// What the views of the database come to, where it is one that is replayed and it has them.
    pub views: Option<Compared>,
}

/// What came of the comparison with the state that a running node has in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// At this version it was what was folded, in everything that can be asked of it.
    Same(u64),
    /// At this version it was not: the first thing that differs.
    Different(u64, String),
    /// The lines end before its version.
    NotReached(u64),
}

impl Report {
    /// Whether everything is as the log says, and all that was to be compared was.
    pub fn is_sound(&self) -> bool {
        self.differing == 0
            && self.views.as_ref().is_none_or(|views| views.differing() == 0)
            && matches!(self.live, None | Some(LiveState::Same(_)))
    }

    /// How many uses were looked at.
    pub fn uses(&self) -> u64 {
        self.same
            + self.standing
            + self.without_address
            + self.too_far_back
            + self.differing
            + self.admin_uses
    }

    pub(super) fn add(&mut self, other: Self) {
        self.admin_uses += other.admin_uses;
        self.same += other.same;
        self.standing += other.standing;
        self.without_address += other.without_address;
        self.too_far_back += other.too_far_back;
        self.differing += other.differing;
        self.differences.extend(other.differences);
        self.differences.truncate(LISTED);
    }

    pub(super) fn count(&mut self, position: u64, used: &UseLine<'_>, found: Again) {
        match found {
            Again::Same => self.same += 1,
            Again::Standing => self.standing += 1,
            Again::Address => self.without_address += 1,
            Again::Other(decided) => self.differ(position, used, || decided.to_string()),
        }
    }

    /// A use of the break-glass token rests on nothing but its time.
    pub(super) fn count_admin(&mut self, position: u64, item: &Item<'_>, state: &State) {
        self.admin_uses += 1;
        let is_bounded = matches!(item, Item::Line(line, _)
            if matches!(&line.event, Event::AdminTokenUsed(used) if used.seen.is_some()));
        if !is_bounded && item.at() < state.last_at() {
            self.admin_uses -= 1;
            self.list("admin-token".to_owned(), position, "used", || too_early(state));
        }
    }

    pub(super) fn differ(&mut self, position: u64, used: &UseLine<'_>, decided: impl FnOnce() -> String) {
        let recorded = used.code.unwrap_or(Code::Valid).as_str();
        self.list(used.token.to_string(), position, recorded, decided);
    }

    fn list(
        &mut self,
        token: String,
        position: u64,
        recorded: &'static str,
        decided: impl FnOnce() -> String,
    ) {
        self.differing += 1;
        if self.differences.len() < LISTED {
            self.differences.push(Difference { position, token, recorded, decided: decided() });
        }
    }
}
