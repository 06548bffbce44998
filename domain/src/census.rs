//! What a policy would hit today: a count over an organization's tokens.

use crate::id::{OrganizationId, TokenId};
use crate::policy::{OrganizationPolicy, is_inactive};
use crate::scope::Scope;
use crate::state::{State, Status, Token};
use crate::time::Timestamp;
use std::sync::Arc;

/// Tokens that one step looks at: between two steps, whoever waits for the state has its turn.
const STEP: usize = 4_096;
/// Members of families after which a step ends: their last uses are looked up together.
const MEMBERS: usize = 65_536;

/// How many live tokens stand against each setting of a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// All that live.
    pub live_tokens: u64,
    /// Those that go on for longer than the longest lifetime from now on.
    pub beyond_max_lifetime: u64,
    /// Those without the expiry that is required.
    pub without_expiry: u64,
    /// Those that could be used from nowhere, because their own networks lie outside the allowed ones.
    pub outside_networks: u64,
    /// Those whose secret is overdue for rotation.
    pub rotation_overdue: u64,
    /// Those that hold a role that is not allowed.
    pub role_not_allowed: u64,
}

/// A count in the making, step by step.
pub struct Census<'p> {
    organization: OrganizationId,
    policy: &'p OrganizationPolicy,
    next: usize,
    hits: Hits,
}

impl<'p> Census<'p> {
    /// Begins to count what a policy hits in an organization.
    pub fn new(organization: OrganizationId, policy: &'p OrganizationPolicy) -> Self {
        Self { organization, policy, next: 0, hits: Hits::default() }
    }

    /// Counts some more tokens; says whether there are any left.
    pub fn step(&mut self, state: &State, at: Timestamp) -> bool {
        let (tokens, next) = live_from(state, Scope::Organization(self.organization), self.next, at);
        for token in tokens {
            let (policy, end) = (self.policy, state.expiry(token));
            let hits = &mut self.hits;
            hits.live_tokens += 1;
            hits.beyond_max_lifetime += u64::from(policy.is_too_long(end, at));
            hits.without_expiry += u64::from(policy.expiry_required && end.is_none());
            hits.outside_networks += u64::from(!policy.allowed_networks.overlap(&token.allowed_networks));
            hits.rotation_overdue += u64::from(policy.is_overdue(token.secret_since, at));
            hits.role_not_allowed += u64::from(policy.forbidden_role(&token.grants).is_some());
        }
        self.next = next.unwrap_or(self.next);
        next.is_some()
    }

    /// What was counted.
    pub fn finish(self) -> Hits {
        self.hits
    }
}

/// A token that a sweep may have to revoke: it could be used for long enough, and nothing that is known without its
/// uses speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The token.
    pub token: TokenId,
    /// It, and those narrowed from it, whose uses count as its own.
    pub family: Vec<TokenId>,
}

/// Of some more tokens of a scope, those that could be used for longer than `days`, and where the next step begins if
/// there are any left. Of the instance, only its own.
pub fn suspects(
    state: &State,
    scope: Scope,
    days: u32,
    from: usize,
    at: Timestamp,
) -> (Vec<Suspect>, Option<usize>) {
    let slots = state.tokens().of(scope.organization());
    let end = (from + STEP).min(slots.len());
    let (mut suspects, mut members) = (Vec::new(), 0);
    for (place, slot) in slots.iter().enumerate().take(end).skip(from) {
        if members >= MEMBERS {
            return (suspects, Some(place));
        }
        let Some(token) = state.tokens().at(*slot) else { continue };
        let is_old =
            state.status(token, at) == Status::Live && is_inactive(state.usable_since(token), days, at);
        if let Some(family) = is_old.then(|| silent_family(state, token.id, days, at)).flatten() {
            members += family.len();
            suspects.push(Suspect { token: token.id, family });
        }
    }
    (suspects, (end < slots.len()).then_some(end))
}

/// The token and those narrowed from it; none where one of these is young: whoever narrowed it used the token then.
fn silent_family(state: &State, token: TokenId, days: u32, at: Timestamp) -> Option<Vec<TokenId>> {
    let mut family = vec![token];
    let mut next = 0;
    while let Some(id) = family.get(next).copied() {
        for child in state.tokens().children(id).filter(|child| child.narrowed) {
            if !is_inactive(child.created_at, days, at) {
                return None;
            }
            family.push(child.id);
        }
        next += 1;
    }
    Some(family)
}

/// The live ones of a step's tokens.
fn live_from(
    state: &State,
    scope: Scope,
    from: usize,
    at: Timestamp,
) -> (impl Iterator<Item = &Arc<Token>>, Option<usize>) {
    let slots = state.tokens().of(scope.organization());
    let end = (from + STEP).min(slots.len());
    let tokens = slots[from.min(end)..end].iter().filter_map(|slot| state.tokens().at(*slot));
    let live = tokens.filter(move |token| state.status(token, at) == Status::Live);
    (live, (end < slots.len()).then_some(end))
}
