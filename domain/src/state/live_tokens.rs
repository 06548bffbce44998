//! How many tokens of an organization live, where its policy limits them: kept by the fold, so that a decision need not
//! look at every token.

use super::{Organization, State, Undo};
use crate::id::{OrganizationId, TokenId};
use crate::scope::Scope;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

/// When a token that is not revoked ends by itself; none is never.
pub(super) type End = Option<Timestamp>;

/// The window of the limit on mints.
const HOUR: Duration = Duration::from_hours(1);

/// The tokens of an organization that are not revoked, by when they end.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveTokens {
    endless: u64,
    ends: BTreeMap<Timestamp, u64>,
    /// All together, those of `ends` that are over included.
    total: u64,
    /// What ended until then is no longer among them: it is not revived.
    forgotten: Timestamp,
}

impl LiveTokens {
    fn add(&mut self, end: End) {
        match end {
            None => self.endless += 1,
            Some(end) if end <= self.forgotten => return,
            Some(end) => *self.ends.entry(end).or_default() += 1,
        }
        self.total += 1;
    }

    fn remove(&mut self, end: End) {
        match end {
            None => self.endless -= 1,
            Some(end) if end <= self.forgotten => return,
            Some(end) => {
                let left = self.ends.get_mut(&end).expect("only what was added is removed");
                *left -= 1;
                if *left == 0 {
                    self.ends.remove(&end);
                }
            }
        }
        self.total -= 1;
    }

    /// How many live at `at`.
    fn at(&self, at: Timestamp) -> u64 {
        self.total - self.ends.range(..=at).map(|(_, count)| count).sum::<u64>()
    }

    pub(super) fn forget(&mut self, at: Timestamp) {
        self.total = self.at(at);
        self.ends = self.ends.split_off(&at);
        self.ends.remove(&at);
        self.forgotten = self.forgotten.max(at);
    }

    /// Whether two agree on everything that neither has forgotten.
    fn is_like(&self, other: &Self) -> bool {
        let forgotten = self.forgotten.max(other.forgotten);
        let left = |live: &'_ Self| {
            live.ends
                .range((Excluded(forgotten), Unbounded))
                .map(|(end, count)| (*end, *count))
                .collect::<Vec<_>>()
        };
        self.endless == other.endless && left(self) == left(other)
    }
}

/// Why there is no room for one more token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// So many were minted within the last hour; one more may be from then on.
    Minted(Timestamp),
    /// So many live.
    Living,
}

impl State {
    /// Whether the policy leaves no room for one more token of a scope at `at`.
    pub fn is_full(&self, scope: Scope, at: Timestamp) -> Option<Full> {
        let organization = self.organization(scope.organization()?)?;
        let mints = self.next_mint(organization, at).map(Full::Minted);
        mints.or_else(|| {
            let most = u64::from(organization.policy.max_live_tokens);
            let live = self.live_tokens.get(&organization.id)?;
            (live.at(at) >= most).then_some(Full::Living)
        })
    }

    /// When the next token may be minted, if not at `at`. Tokens stand in the order of their minting, so the one that
    /// is as far from the end as the limit allows says whether so many were minted within the hour. Sessions stand
    /// among them and are not minted, so they are passed over once the limit may have been reached.
    fn next_mint(&self, organization: &Organization, at: Timestamp) -> Option<Timestamp> {
        let most = organization.policy.max_mints_per_hour as usize;
        let slots = self.tokens.of(Some(organization.id));
        let first = slots.len().checked_sub(most).filter(|_| most > 0)?;
        let is_recent = |minted: &Timestamp| at.since(*minted) < HOUR;
        self.tokens.at(slots[first]).map(|token| token.created_at).filter(is_recent)?;
        let tokens = slots.iter().rev().filter_map(|slot| self.tokens.at(*slot));
        let oldest = tokens.filter(|token| !token.session).nth(most - 1)?.created_at;
        is_recent(&oldest).then(|| oldest.after(HOUR))
    }

    /// Begins to count an organization's live tokens, or stops.
    pub(super) fn count_live_tokens(&mut self, id: OrganizationId, counted: bool) {
        if self.live_tokens.contains_key(&id) == counted {
            return;
        }
        let before = if counted {
            let mut live = LiveTokens::default();
            let tokens = self.tokens.of(Some(id)).iter().filter_map(|slot| self.tokens.at(*slot));
            let counted = tokens.filter(|token| !token.session && self.revocation(token).is_none());
            counted.map(|token| self.expiry(token)).for_each(|end| live.add(end));
            self.live_tokens.insert(id, live)
        } else {
            self.live_tokens.remove(&id)
        };
        self.keep(|| Undo::LiveTokens(id, before));
    }

    /// Counts an organization's live tokens anew, if they are counted: several ended with something else.
    pub(super) fn recount_live_tokens(&mut self, id: OrganizationId) {
        if self.live_tokens.contains_key(&id) {
            self.count_live_tokens(id, false);
            self.count_live_tokens(id, true);
        }
    }

    /// Counts anew wherever tokens are counted: many ended at once.
    pub(super) fn recount_all_live_tokens(&mut self) {
        let counted: Vec<OrganizationId> = self.live_tokens.keys().copied().collect();
        for id in counted {
            self.recount_live_tokens(id);
        }
    }

    /// The token and those narrowed from it that are not revoked, as far as their organizations' are counted: where
    /// and when each ends. Sessions are not counted.
    pub(super) fn lives(&self, token: TokenId) -> Vec<(OrganizationId, End)> {
        if self.live_tokens.is_empty() {
            return Vec::new();
        }
        let all = self.narrowed_from(token).into_iter().filter_map(|id| self.tokens.get(id));
        all.filter(|token| !token.session && self.revocation(token).is_none())
            .filter_map(|token| Some((token.scope.organization()?, self.expiry(token))))
            .filter(|(organization, _)| self.live_tokens.contains_key(organization))
            .collect()
    }

    /// Counts tokens as `after` that were counted as `before`.
    pub(super) fn recount(&mut self, before: &[(OrganizationId, End)], after: &[(OrganizationId, End)]) {
        let changes = before.iter().map(|life| (*life, false)).chain(after.iter().map(|life| (*life, true)));
        for (life, lives) in changes {
            self.count(life, lives);
            self.keep(|| Undo::Counted { life, lives });
        }
    }

    pub(super) fn count(&mut self, (organization, end): (OrganizationId, End), lives: bool) {
        if let Some(live) = self.live_tokens.get_mut(&organization) {
            if lives { live.add(end) } else { live.remove(end) }
        }
    }

    pub(super) fn counts_like(&self, other: &Self) -> bool {
        self.live_tokens.len() == other.live_tokens.len()
            && self
                .live_tokens
                .iter()
                .all(|(id, live)| other.live_tokens.get(id).is_some_and(|theirs| live.is_like(theirs)))
    }
}
