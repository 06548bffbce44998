//! How many tokens of an organization live, where its policy limits them or once did: kept by the fold, so that a
//! decision need not look at every token.
//!
//! To narrow needs no permission. So what is narrowed takes no room from who mints: each token that was minted has as
//! much room for what is narrowed from it, in as many steps as may be, as the organization has for what is minted.

use super::{Organization, State, Token, Undo};
use crate::id::{OrganizationId, TokenId};
use crate::scope::Scope;
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::time::Duration;

/// When a token that is not revoked ends by itself; none is never.
pub(super) type End = Option<Timestamp>;

/// The window of the limit on mints.
const HOUR: Duration = Duration::from_hours(1);

/// Whose room a token takes: that of its organization or, where it is narrowed, that of the token it goes back to.
pub(super) type Room = (OrganizationId, Option<TokenId>);

/// The tokens of an organization that are not revoked.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    minted: LiveTokens,
    /// By the minted token that they go back to.
    narrowed: HashMap<TokenId, LiveTokens>,
}

impl Counts {
    fn add(&mut self, root: Option<TokenId>, end: End) {
        let forgotten = self.minted.forgotten;
        let begin = || LiveTokens { forgotten, ..LiveTokens::default() };
        let live = root.map(|root| self.narrowed.entry(root).or_insert_with(begin));
        live.unwrap_or(&mut self.minted).add(end);
    }

    fn remove(&mut self, root: Option<TokenId>, end: End) {
        let Some(root) = root else { return self.minted.remove(end) };
        // What has ended is forgotten, and nothing is left to be removed of it.
        let Some(live) = self.narrowed.get_mut(&root) else { return };
        live.remove(end);
        if live.total == 0 {
            self.narrowed.remove(&root);
        }
    }

    fn at(&self, root: Option<TokenId>, at: Timestamp) -> u64 {
        let live = root.map_or(Some(&self.minted), |root| self.narrowed.get(&root));
        live.map_or(0, |live| live.at(at))
    }

    pub(super) fn forget(&mut self, at: Timestamp) {
        self.minted.forget(at);
        self.narrowed.values_mut().for_each(|live| live.forget(at));
        self.narrowed.retain(|_, live| live.total > 0);
    }

    fn is_like(&self, other: &Self) -> bool {
        let none = LiveTokens::default();
        let of = |counts: &Self, root: &TokenId| counts.narrowed.get(root).unwrap_or(&none).clone();
        let mut roots = self.narrowed.keys().chain(other.narrowed.keys());
        self.minted.is_like(&other.minted) && roots.all(|root| of(self, root).is_like(&of(other, root)))
    }
}

/// Tokens that are not revoked, by when they end.
#[derive(Clone, Debug, Default)]
struct LiveTokens {
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

    fn forget(&mut self, at: Timestamp) {
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
    /// Whether the policy leaves no room for one more token of a scope at `at`, minted or narrowed from `from`.
    pub fn is_full(&self, scope: Scope, from: Option<&Arc<Token>>, at: Timestamp) -> Option<Full> {
        let organization = self.organization(scope.organization()?)?;
        let root = from.and_then(|from| self.chain(from).last()).map(|root| root.id);
        let mints = self.next_mint(organization, root, at).map(Full::Minted);
        mints.or_else(|| {
            let most = u64::from(organization.policy.max_live_tokens);
            let live = self.live_tokens.get(&organization.id).filter(|_| most > 0)?;
            (live.at(root, at) >= most).then_some(Full::Living)
        })
    }

    /// The minted token that a narrowed one goes back to.
    fn root_of(&self, token: &Arc<Token>) -> Option<TokenId> {
        self.chain(token).last().filter(|_| token.narrowed).map(|root| root.id)
    }

    /// When the next token may be minted, or narrowed from what goes back to `root`, if not at `at`. Tokens stand in the
    /// order of their minting, so the one that is as far from the end as the limit allows says whether so many were made
    /// within the hour. Those that take other room stand among them, and sessions, which take none: they are passed over
    /// once the limit may have been reached.
    fn next_mint(
        &self,
        organization: &Organization,
        root: Option<TokenId>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let most = organization.policy.max_mints_per_hour as usize;
        let slots = self.tokens.of(Some(organization.id));
        let first = slots.len().checked_sub(most).filter(|_| most > 0)?;
        let is_recent = |minted: &Timestamp| at.since(*minted) < HOUR;
        self.tokens.at(slots[first]).map(|token| token.created_at).filter(is_recent)?;
        let tokens = slots.iter().rev().filter_map(|slot| self.tokens.at(*slot));
        let recent = tokens.take_while(|token| is_recent(&token.created_at));
        let mut counted = recent.filter(|token| !token.session && self.root_of(token) == root);
        counted.nth(most - 1).map(|oldest| oldest.created_at.after(HOUR))
    }

    /// Begins to count an organization's live tokens. They are counted from then on, also while no policy limits them:
    /// so a policy that is changed to and fro does not have every token looked at each time.
    pub(super) fn begin_count(&mut self, id: OrganizationId) {
        if !self.live_tokens.contains_key(&id) {
            let live = self.counted(id);
            self.live_tokens.insert(id, live);
            self.keep(|| Undo::LiveTokens(id, None));
        }
    }

    /// Counts an organization's live tokens anew, if they are counted: several ended with something else.
    pub(super) fn recount_live_tokens(&mut self, id: OrganizationId) {
        if self.live_tokens.contains_key(&id) {
            let live = self.counted(id);
            let before = self.live_tokens.insert(id, live);
            self.keep(|| Undo::LiveTokens(id, before));
        }
    }

    fn counted(&self, id: OrganizationId) -> Counts {
        let mut counts = Counts::default();
        let tokens = self.tokens.of(Some(id)).iter().filter_map(|slot| self.tokens.at(*slot));
        for token in tokens.filter(|token| !token.session && self.revocation(token).is_none()) {
            counts.add(self.root_of(token), self.expiry(token));
        }
        counts
    }

    /// Counts anew wherever tokens are counted that may have ended with many: in their organization, or anywhere where
    /// they ended with the instance's.
    pub(super) fn recount_ended(&mut self, organization: Option<OrganizationId>) {
        let all = || self.live_tokens.keys().copied().collect();
        let counted: Vec<OrganizationId> = organization.map_or_else(all, |id| vec![id]);
        for id in counted {
            self.recount_live_tokens(id);
        }
    }

    /// The token and those narrowed from it that are not revoked, as far as their organizations' are counted: where
    /// and when each ends. Sessions are not counted.
    pub(super) fn lives(&self, token: TokenId) -> Vec<(Room, End)> {
        // What is narrowed from an organization's token is of the same; an instance's may reach into any.
        let organization = self.tokens.get(token).and_then(|token| token.scope.organization());
        let is_counted = |id| self.live_tokens.contains_key(&id);
        if !organization.map_or(!self.live_tokens.is_empty(), is_counted) {
            return Vec::new();
        }
        let all = self.narrowed_from(token).into_iter().filter_map(|id| self.tokens.get(id));
        all.filter(|token| !token.session && self.revocation(token).is_none())
            .filter_map(|token| {
                let organization = token.scope.organization()?;
                let counted = self.live_tokens.contains_key(&organization);
                counted.then(|| ((organization, self.root_of(token)), self.expiry(token)))
            })
            .collect()
    }

    /// Counts tokens as `after` that were counted as `before`.
    pub(super) fn recount(&mut self, before: &[(Room, End)], after: &[(Room, End)]) {
        let changes = before.iter().map(|life| (*life, false)).chain(after.iter().map(|life| (*life, true)));
        for (life, lives) in changes {
            self.count(life, lives);
            self.keep(|| Undo::Counted { life, lives });
        }
    }

    pub(super) fn count(&mut self, ((organization, root), end): (Room, End), lives: bool) {
        if let Some(counts) = self.live_tokens.get_mut(&organization) {
            if lives { counts.add(root, end) } else { counts.remove(root, end) }
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
