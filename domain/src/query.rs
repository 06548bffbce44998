//! Reads: what a caller may see of the state.
//!
//! [`authorize`] says whether a read is allowed at all; the functions below it find what is read, and leave out what
//! the caller may not see. Both look at the state that they are given, so a read is checked again where it happens.

mod audit;
mod exports;
mod history;
mod people;
mod roles;

pub use audit::{AUDIT, audited, used_token};
pub use exports::{exported, reviewed};
pub use history::{Sight, history};
pub use people::{invitation, invitations, member, members, user, users};
pub use roles::{Census, role, roles};

use crate::authority::Caller;
use crate::contents::Contents;
use crate::decide::{
    FilterText, ScopeText, find_organization, find_organization_ever, find_project_ever, is_self, role_object,
};
use crate::explain;
use crate::id::{InvitationId, TokenId, UserId};
use crate::import::Hashes;
use crate::name::Name;
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::Scope;
use crate::state::{Leak, Organization, Project, State, Status, Token};
use crate::time::Timestamp;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The caller itself.
    Whoami,
    /// The instance.
    Instance,
    /// The organizations that the caller may read.
    Organizations,
    /// One organization, by name or id.
    Organization(String),
    /// The policy of an organization, by its name or id.
    Policy(String),
    /// What a sweep of an organization, by name or id, or of the instance would revoke, and does.
    Sweep(Option<String>),
    /// The projects of an organization that the caller may read.
    Projects(String),
    /// One project, by the names or ids of its organization and it.
    Project(String, String),
    /// The roles that can be held in an organization, by name or id, or without one the instance's.
    Roles(Option<String>),
    /// One of them.
    Role(Option<String>, String),
    /// Tokens, of a scope or of all that the caller may read.
    Tokens(Option<ScopeText>),
    /// How much there is in an organization or a project.
    Contents(ScopeText),
    /// One token.
    Token(TokenId),
    /// The members of an organization and its projects that the caller may read.
    Members(String),
    /// One member of an organization.
    Member(String, UserId),
    /// The invitations of an organization that the caller may read.
    Invitations(String),
    /// One invitation of an organization.
    Invitation(String, InvitationId),
    /// All persons.
    Users,
    /// One person.
    User(UserId),
    /// What the erasure of a person would delete.
    Erasure(Option<UserId>),
    /// Who minted a token, and what it minted.
    Lineage(TokenId),
    /// What a revocation by this filter would end.
    RevokeTokens(FilterText),
    /// Tokens by their text or prefix, among those that the caller may read.
    Identify,
    /// What a token, or a draft of one, may do and why.
    Explain(Box<explain::Question>),
    /// Reports of leaked secrets, of tokens where the caller may read them.
    Leaks,
    /// What an import would come to.
    Import,
    /// The log's tree: its checkpoints, hashes and proofs, which say how much is written and nothing of what.
    Tree,
    /// The lines of the log.
    Lines,
    /// The record, of a place or of the caller's own scope.
    Audit(Option<ScopeText>),
    /// What happened to a token.
    History(TokenId),
    /// A token's single uses.
    Uses(TokenId),
    /// How far the audit views have come.
    AuditViews,
    /// Another generation of the audit views.
    RebuildAuditViews,
    /// The state as it stood, at a scope or the caller's own.
    Past(Option<ScopeText>),
    /// The log or, with an organization by name or id, its part.
    Export(Option<String>),
    /// Who may do what in an organization, by name or id, and does.
    AccessReview(String),
}

impl Read {
    /// The permission that it needs.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Whoami => None,
            Self::Instance => Some("instance:read"),
            Self::Organizations | Self::Organization(_) => Some("organizations:read"),
            Self::Policy(_) => Some("policies:read"),
            Self::Sweep(_) | Self::RevokeTokens(_) => Some("tokens:revoke"),
            Self::Projects(_) | Self::Project(..) => Some("projects:read"),
            Self::Roles(_) | Self::Role(..) => Some("roles:read"),
            Self::Tokens(_)
            | Self::Contents(_)
            | Self::Token(_)
            | Self::Lineage(_)
            | Self::History(_)
            | Self::Identify
            | Self::Explain(_) => Some("tokens:read"),
            Self::Leaks => Some("leaks:read"),
            Self::Import => Some("tokens:import"),
            Self::Audit(_)
            | Self::Uses(_)
            | Self::AuditViews
            | Self::Past(_)
            | Self::Export(_)
            | Self::AccessReview(_)
            | Self::Tree
            | Self::Lines => Some(AUDIT),
            Self::RebuildAuditViews => Some("instance:update"),
            Self::Erasure(_) => Some("people:erase"),
            Self::Members(_)
            | Self::Member(..)
            | Self::Invitations(_)
            | Self::Invitation(..)
            | Self::Users
            | Self::User(_) => Some("members:read"),
        }
    }
}

impl Read {
    /// What it looks at, for the record: as it was asked, by name or id.
    pub fn object(&self) -> Option<String> {
        match self {
            Self::Whoami
            | Self::Instance
            | Self::Organizations
            | Self::Identify
            | Self::Leaks
            | Self::Import
            | Self::AuditViews
            | Self::RebuildAuditViews
            | Self::Users
            | Self::Tree
            | Self::Lines
            | Self::Sweep(None) => None,
            Self::Organization(organization)
            | Self::Projects(organization)
            | Self::Policy(organization)
            | Self::Sweep(Some(organization))
            | Self::Members(organization)
            | Self::Invitations(organization)
            | Self::AccessReview(organization) => Some(format!("organization:{organization}")),
            Self::Member(organization, user) => Some(format!("organization:{organization} user:{user}")),
            Self::Invitation(organization, id) => Some(format!("invitation:{organization}/{id}")),
            Self::User(user) => Some(format!("user:{user}")),
            Self::Erasure(user) => user.map(|user| format!("user:{user}")),
            Self::Project(organization, project) => Some(format!("project:{organization}/{project}")),
            Self::Roles(organization) | Self::Export(organization) => {
                organization.as_ref().map(|own| format!("organization:{own}"))
            }
            Self::Role(organization, role) => Some(role_object(organization.as_deref(), role)),
            Self::Explain(question) => Some(question.subject.object()),
            Self::Tokens(scope) | Self::Audit(scope) | Self::Past(scope) => {
                scope.as_ref().map(ScopeText::object)
            }
            Self::Contents(scope) => Some(scope.object()),
            Self::Token(id) | Self::Lineage(id) | Self::History(id) | Self::Uses(id) => {
                Some(format!("token:{id}"))
            }
            Self::RevokeTokens(filter) => Some(filter.scope.object()),
        }
    }
}

/// Refuses a read that the caller may not make.
pub fn authorize(state: &State, caller: &Caller, read: &Read) -> Result<(), Rejection> {
    let own = caller.token().map_or(Scope::Instance, |token| token.scope);
    match read {
        Read::Whoami => Ok(()),
        Read::Instance => caller.require(state, "instance:read", Scope::Instance),
        Read::Organizations => caller.require_somewhere(state, "organizations:read", own),
        Read::Organization(text) => organization(state, caller, text).map(drop),
        Read::Policy(text) => policy(state, caller, text).map(drop),
        Read::Sweep(text) => swept(state, caller, text.as_deref()).map(drop),
        Read::Projects(text) => {
            let found = find_organization_ever(state, caller, text)?;
            caller.require_somewhere(state, "projects:read", Scope::Organization(found.id))
        }
        Read::Project(organization, text) => project(state, caller, organization, text).map(drop),
        Read::Roles(organization) => roles::authorize(state, caller, organization.as_deref()),
        Read::Role(organization, text) => role(state, caller, organization.as_deref(), text).map(drop),
        Read::Explain(question) => explain::authorize(state, caller, question),
        Read::Tokens(scope) => {
            let place = scope.as_ref().map_or(Ok(own), |scope| scope.find_ever(state, caller))?;
            caller.require_somewhere(state, "tokens:read", place)
        }
        Read::Contents(scope) => Contents::authorize(state, caller, scope),
        Read::Members(text) | Read::Invitations(text) => {
            let found = find_organization(state, caller, text)?;
            caller.require_somewhere(state, "members:read", Scope::Organization(found.id))
        }
        Read::Member(text, user) => {
            let found = find_organization(state, caller, text)?;
            caller.require_somewhere(state, "members:read", Scope::Organization(found.id))?;
            member(state, caller, text, *user).map(drop)
        }
        Read::Invitation(text, id) => invitation(state, caller, text, *id).map(drop),
        Read::Users => caller.require(state, "members:read", Scope::Instance),
        Read::User(id) => user(state, caller, *id).map(drop),
        Read::Erasure(_) => caller.require(state, "people:erase", Scope::Instance),
        Read::Token(id) | Read::Lineage(id) | Read::History(id) => token(state, caller, *id).map(drop),
        Read::RevokeTokens(filter) => filter.find(state, caller).map(drop),
        Read::Identify => caller.require_somewhere(state, "tokens:read", own),
        Read::Leaks => caller.require_somewhere(state, "leaks:read", own),
        Read::Import => caller.require_somewhere(state, "tokens:import", own),
        Read::Tree => caller.require_somewhere(state, "audit:read", own),
        Read::Lines => caller.require(state, "audit:read", Scope::Instance),
        Read::Audit(scope) => audited(state, caller, scope.as_ref()).map(drop),
        Read::Uses(id) => used_token(state, caller, *id).map(drop),
        Read::AuditViews => caller.require(state, AUDIT, Scope::Instance),
        Read::RebuildAuditViews => caller.require(state, "instance:update", Scope::Instance),
        Read::Past(scope) => history(state, caller, scope.as_ref()).map(drop),
        Read::Export(organization) => exported(state, caller, organization.as_deref()).map(drop),
        Read::AccessReview(text) => reviewed(state, caller, text).map(drop),
    }
}

/// An organization that the caller may read.
pub fn organization<'a>(
    state: &'a State,
    caller: &Caller,
    text: &str,
) -> Result<&'a Arc<Organization>, Rejection> {
    let found = find_organization_ever(state, caller, text)?;
    caller.require(state, "organizations:read", Scope::Organization(found.id))?;
    Ok(found)
}

/// An organization whose policy the caller may read.
pub fn policy<'a>(state: &'a State, caller: &Caller, text: &str) -> Result<&'a Arc<Organization>, Rejection> {
    let found = find_organization(state, caller, text)?;
    caller.require(state, "policies:read", Scope::Organization(found.id))?;
    Ok(found)
}

/// Whose tokens the caller may sweep: an organization's or, without one, the instance's own.
pub fn swept(state: &State, caller: &Caller, text: Option<&str>) -> Result<Scope, Rejection> {
    let scope = match text {
        Some(text) => Scope::Organization(find_organization(state, caller, text)?.id),
        None => Scope::Instance,
    };
    caller.require(state, "tokens:revoke", scope)?;
    Ok(scope)
}

/// A project that the caller may read.
pub fn project<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    text: &str,
) -> Result<&'a Arc<Project>, Rejection> {
    let found = find_project_ever(state, caller, organization, text)?;
    caller.require(state, "projects:read", Scope::Project(found.organization, found.id))?;
    Ok(found)
}

/// A token that the caller may read. Its own it always may.
pub fn token<'a>(state: &'a State, caller: &Caller, id: TokenId) -> Result<&'a Arc<Token>, Rejection> {
    let found = state.tokens().get(id).ok_or_else(|| Rejection::not_found("token", &id))?;
    if is_self(caller, id) || caller.may(state, "tokens:read", found.scope) {
        Ok(found)
    } else {
        Err(Rejection::not_found("token", &id))
    }
}

/// Organizations that the caller may read, by name, after a name.
pub fn organizations(
    state: &State,
    caller: &Caller,
    after: Option<&Name>,
    limit: usize,
) -> Vec<Arc<Organization>> {
    let may_read = |organization: &&Arc<Organization>| {
        caller.may(state, "organizations:read", Scope::Organization(organization.id))
    };
    // A token of an organization sees no other: it need not wait for a look at all of them.
    if let Some(own) = caller.token().and_then(|token| token.scope.organization()) {
        let own = state.organization(own).filter(|own| after.is_none_or(|after| own.naming.name > *after));
        return own.filter(may_read).into_iter().take(limit).cloned().collect();
    }
    state.organizations_after(after).filter(may_read).take(limit).cloned().collect()
}

/// Projects of an organization that the caller may read, by name, after a name.
pub fn projects(
    state: &State,
    caller: &Caller,
    organization: &str,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<Arc<Project>>, Rejection> {
    let organization = find_organization_ever(state, caller, organization)?.id;
    Ok(state
        .projects_after(organization, after)
        .filter(|project| caller.may(state, "projects:read", Scope::Project(organization, project.id)))
        .take(limit)
        .cloned()
        .collect())
}

/// Tokens with a secret of this hash or a prefix, that the caller may read.
pub fn identify(state: &State, caller: &Caller, sought: &Sought) -> Vec<Arc<Token>> {
    let mut visible = Visible::new(state, caller);
    let slots = Slots::of(state, caller, None);
    match sought {
        Sought::Secret(hashes) => {
            let found = state.tokens().by_secret(&hashes.known(state)).map(|(token, _)| token);
            found.into_iter().filter(|token| visible.is(token)).cloned().collect()
        }
        Sought::Prefix(prefix) => (0..slots.len())
            .filter_map(|index| state.tokens().at(slots.at(index)?))
            .filter(|token| token.prefix.as_str().starts_with(prefix.as_str()) && visible.is(token))
            .take(100)
            .cloned()
            .collect(),
    }
}

/// Reports of leaked secrets that the caller may read, the newest first, before a number; and the number where the page
/// ended if there are more.
pub fn leaks(
    state: &State,
    caller: &Caller,
    before: Option<u64>,
    limit: usize,
) -> (Vec<Arc<Leak>>, Option<u64>) {
    let may_read = |leak: &Leak| {
        let token = state.tokens().get(leak.token);
        token.is_some_and(|token| caller.may(state, "leaks:read", token.scope))
    };
    let mut found: Vec<_> =
        state.leaks().before(before).filter(|(_, leak)| may_read(leak)).take(limit + 1).collect();
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|(number, _)| *number);
    (found.into_iter().map(|(_, leak)| Arc::clone(leak)).collect(), next)
}

/// By what a token is identified.
#[derive(Clone, Debug)]
pub enum Sought {
    /// The hashes of its text, of an older one too.
    Secret(Hashes),
    /// The start of its text, at least five characters.
    Prefix(String),
}

/// Which tokens are listed. What is absent leaves none out.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this scope or inside it.
    pub scope: Option<ScopeText>,
    /// Of this level.
    pub level: Option<Level>,
    /// With this status.
    pub status: Option<Status>,
    /// With this name.
    pub name: Option<String>,
    /// Whose present secret starts like this.
    pub prefix: Option<String>,
    /// Minted by this actor, or by the token with this id.
    pub created_by: Option<String>,
    /// Expiring before then.
    pub expiring_before: Option<Timestamp>,
    /// Holding this role.
    pub role: Option<Name>,
}

/// In which order tokens are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub key: SortKey,
    /// The largest first.
    pub descending: bool,
}

/// By what tokens are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// When they were minted.
    Created,
    /// Their name.
    Name,
    /// When they expire; those that never do come last.
    Expires,
    /// When they were last used, which the state does not know: see [`Listing::finish_by_use`].
    LastUsed,
}

/// Where a page ended: the sort key's value and the slot of its last token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The value, as text that sorts like it.
    pub value: String,
    /// The slot.
    pub slot: u32,
}

/// A page of tokens in the making. A list may have to look at every token of an organization, so it is made step by
/// step: between two steps, whoever waits for the state has its turn.
pub struct Listing<'a> {
    filter: &'a Filter,
    order: Order,
    after: Option<&'a Position>,
    limit: usize,
    /// Where the next step begins, in the order of minting or backwards; none before the first.
    next: Option<usize>,
    found: Vec<(Position, Arc<Token>)>,
}

/// Tokens that one step of a list looks at.
const STEP: usize = 4_096;

impl<'a> Listing<'a> {
    /// Begins a page of at most `limit` tokens.
    pub fn new(filter: &'a Filter, order: Order, after: Option<&'a Position>, limit: usize) -> Self {
        Self { filter, order, after, limit, next: None, found: Vec::new() }
    }

    /// Looks at some more tokens; says whether there are any left to look at.
    pub fn step(&mut self, state: &State, caller: &Caller, at: Timestamp) -> Result<bool, Rejection> {
        let scope = self.filter.scope.as_ref().map(|scope| scope.find_ever(state, caller)).transpose()?;
        let slots = Slots::of(state, caller, scope);
        // Slots are in the order of minting, so a list in that order is whole once its page is full.
        let by_minting = self.order.key == SortKey::Created;
        let backwards = by_minting && self.order.descending;
        let begin = self.next.unwrap_or_else(|| match self.after.filter(|_| by_minting) {
            Some(after) => slots.first_from(after.slot),
            None if backwards => slots.len(),
            None => 0,
        });
        let range = if backwards {
            begin.saturating_sub(STEP)..begin
        } else {
            begin.min(slots.len())..(begin + STEP).min(slots.len())
        };
        let mut visible = Visible::new(state, caller);
        let mut look = |index: usize| {
            let slot = slots.at(index)?;
            let token = state.tokens().at(slot)?;
            let fits = scope.is_none_or(|scope| scope.contains(token.scope))
                && matches(state, self.filter, token, at)
                && visible.is(token);
            if !fits {
                return None;
            }
            let position = Position { value: sort_value(state, token, self.order.key), slot };
            let after = self.after.filter(|_| self.order.key != SortKey::LastUsed);
            let follows = after.is_none_or(|after| self.order.follows(compare(&position, after)));
            follows.then(|| (position, Arc::clone(token)))
        };
        if backwards {
            self.found.extend(range.clone().rev().filter_map(&mut look));
        } else {
            self.found.extend(range.clone().filter_map(&mut look));
        }
        self.next = Some(if backwards { range.start } else { range.end });
        let is_left = if backwards { range.start > 0 } else { range.end < slots.len() };
        Ok(is_left && !(by_minting && self.found.len() > self.limit))
    }

    /// The tokens that were found, for who has to know when they were used.
    pub fn found(&self) -> impl Iterator<Item = TokenId> {
        self.found.iter().map(|(_, token)| token.id)
    }

    /// As [`Listing::finish`], with the first `limit` of those that were not used since a time, if one is given: their last
    /// use, or their minting if they were never used, was earlier. By last use, what was never used comes first.
    pub fn finish_by_use(
        mut self,
        limit: usize,
        unused_since: Option<Timestamp>,
        last_used: &HashMap<TokenId, Timestamp>,
    ) -> (Vec<Arc<Token>>, Option<Position>) {
        self.limit = limit;
        self.found.retain_mut(|(position, token)| {
            let last = last_used.get(&token.id).copied();
            if unused_since.is_some_and(|since| last.unwrap_or(token.created_at) >= since) {
                return false;
            }
            if self.order.key != SortKey::LastUsed {
                return true;
            }
            position.value = last.map(|last| last.to_string()).unwrap_or_default();
            self.after.is_none_or(|after| self.order.follows(compare(position, after)))
        });
        self.finish()
    }

    /// The page, and where it ended if there are more.
    pub fn finish(mut self) -> (Vec<Arc<Token>>, Option<Position>) {
        self.found.sort_unstable_by(|(a, _), (b, _)| self.order.direct(compare(a, b)));
        let has_more = self.found.len() > self.limit;
        self.found.truncate(self.limit);
        let next = self.found.last().filter(|_| has_more).map(|(position, _)| position.clone());
        (self.found.into_iter().map(|(_, token)| token).collect(), next)
    }
}

impl Order {
    fn direct(self, ordering: Ordering) -> Ordering {
        if self.descending { ordering.reverse() } else { ordering }
    }

    fn follows(self, ordering: Ordering) -> bool {
        self.direct(ordering) == Ordering::Greater
    }
}

fn compare(a: &Position, b: &Position) -> Ordering {
    a.value.cmp(&b.value).then(a.slot.cmp(&b.slot))
}

fn sort_value(state: &State, token: &Arc<Token>, key: SortKey) -> String {
    match key {
        SortKey::Created | SortKey::LastUsed => String::new(),
        SortKey::Name => token.name.to_string(),
        // `~` sorts after every digit: what never expires comes last.
        SortKey::Expires => state.expiry(token).map_or_else(|| "~".to_owned(), |end| end.to_string()),
    }
}

fn matches(state: &State, filter: &Filter, token: &Arc<Token>, at: Timestamp) -> bool {
    let by = |wanted: &str| {
        token.created_by.to_string() == wanted || token.parent.is_some_and(|id| id.to_string() == wanted)
    };
    filter.level.is_none_or(|level| token.scope.level() == level)
        && filter.name.as_deref().is_none_or(|name| *token.name == *name)
        && filter.prefix.as_deref().is_none_or(|prefix| token.prefix.as_str().starts_with(prefix))
        && filter.role.as_ref().is_none_or(|role| {
            token.grants.iter().any(|grant| grant.role == *role && !state.has_ended(grant))
        })
        && filter.created_by.as_deref().is_none_or(by)
        && filter.expiring_before.is_none_or(|end| state.expiry(token).is_some_and(|expiry| expiry < end))
        && filter.status.is_none_or(|status| state.status(token, at) == status)
}

/// The slots in which a caller's tokens can be: those of one organization, or all.
enum Slots<'a> {
    Of(&'a [u32]),
    All(usize),
}

impl<'a> Slots<'a> {
    fn of(state: &'a State, caller: &Caller, scope: Option<Scope>) -> Self {
        let own = caller.token().map_or(Scope::Instance, |token| token.scope);
        match scope.and_then(Scope::organization).or(own.organization()) {
            Some(organization) => Self::Of(state.tokens().of(Some(organization))),
            None => Self::All(state.tokens().len()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Of(slots) => slots.len(),
            Self::All(len) => *len,
        }
    }

    /// The index of the first slot that is not before `slot`.
    fn first_from(&self, slot: u32) -> usize {
        match self {
            Self::Of(slots) => slots.partition_point(|other| *other < slot),
            Self::All(len) => (slot as usize).min(*len),
        }
    }

    fn at(&self, index: usize) -> Option<u32> {
        match self {
            Self::Of(slots) => slots.get(index).copied(),
            Self::All(_) => u32::try_from(index).ok(),
        }
    }
}

/// Whether tokens may be read, remembered by scope: a list holds many tokens of few scopes.
struct Visible<'a> {
    state: &'a State,
    caller: &'a Caller,
    scopes: HashMap<Scope, bool>,
}

impl<'a> Visible<'a> {
    fn new(state: &'a State, caller: &'a Caller) -> Self {
        Self { state, caller, scopes: HashMap::new() }
    }

    fn is(&mut self, token: &Token) -> bool {
        *self
            .scopes
            .entry(token.scope)
            .or_insert_with(|| self.caller.may(self.state, "tokens:read", token.scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Expiry;
    use crate::secret::SecretHash;
    use crate::testing::{World, absent, admin, forbidden, scope_text};
    use std::time::Duration;

    const BY_AGE: Order = Order { key: SortKey::Created, descending: false };

    fn page_of(
        world: &World,
        caller: &Caller,
        filter: &Filter,
        order: Order,
        after: Option<&Position>,
        limit: usize,
    ) -> (Vec<Arc<Token>>, Option<Position>) {
        let mut listing = Listing::new(filter, order, after, limit);
        while listing.step(&world.state, caller, world.at).unwrap() {}
        listing.finish()
    }

    fn list(world: &World, caller: &Caller, filter: &Filter, order: Order) -> Vec<TokenId> {
        let (page, next) = page_of(world, caller, filter, order, None, 1_000);
        assert_eq!(next, None);
        page.iter().map(|token| token.id).collect()
    }

    #[test]
    fn each_read_needs_its_permission_where_it_looks() {
        let mut world = World::with_tenants();
        let target = world.mint("acme", &["member"]);
        let verifier = world.mint("acme", &["verifier"]);
        let caller = world.caller(verifier);
        let text = str::to_owned;
        for read in [
            Read::Instance,
            Read::Organizations,
            Read::Organization(text("acme")),
            Read::Projects(text("acme")),
            Read::Project(text("acme"), text("web")),
            Read::Tokens(None),
            Read::Tokens(Some(scope_text("acme"))),
            Read::Identify,
        ] {
            let refused = authorize(&world.state, &caller, &read);
            assert!(forbidden(refused).starts_with(read.permission().unwrap()), "{read:?}");
            authorize(&world.state, &admin(), &read).unwrap();
        }
        assert!(absent(authorize(&world.state, &caller, &Read::Token(target))));
        authorize(&world.state, &caller, &Read::Token(verifier)).unwrap();
        authorize(&world.state, &caller, &Read::Whoami).unwrap();
        assert_eq!(Read::Whoami.permission(), None);
    }

    #[test]
    fn what_a_caller_may_not_know_is_not_found() {
        let mut world = World::with_tenants();
        let text = str::to_owned;
        let foreign = world.mint("other", &["member"]);
        for (scope, grant) in [("acme/web", "project-admin"), ("acme", "project-admin@web")] {
            let caller = world.mint(scope, &[grant]);
            let caller = world.caller(caller);
            for read in [
                Read::Organization(text("other")),
                Read::Projects(text("other")),
                Read::Project(text("other"), text("web")),
                Read::Project(text("acme"), text("api")),
                Read::Tokens(Some(scope_text("other"))),
                Read::Tokens(Some(scope_text("acme/api"))),
                Read::Token(foreign),
            ] {
                assert!(absent(authorize(&world.state, &caller, &read)), "{read:?}");
            }
            for read in [Read::Project(text("acme"), text("none")), Read::Organization(text("none"))] {
                assert!(absent(authorize(&world.state, &caller, &read)));
            }
            authorize(&world.state, &caller, &Read::Project(text("acme"), text("web"))).unwrap();
            authorize(&world.state, &caller, &Read::Projects(text("acme"))).unwrap();
            let found = projects(&world.state, &caller, "acme", None, 10).unwrap();
            assert_eq!(found.iter().map(|project| project.naming.name.as_str()).collect::<Vec<_>>(), ["web"]);
        }
    }

    #[test]
    fn whoever_audits_anywhere_sees_how_much_is_written_and_only_the_instances_auditor_what() {
        let mut world = World::with_tenants();
        for (scope, grant, tree, lines) in [
            ("instance", "instance-auditor", true, true),
            ("instance", "instance-verifier", false, false),
            ("acme", "owner", true, false),
            ("acme", "auditor", true, false),
            ("acme/web", "project-admin", true, false),
            ("acme", "project-admin@web", true, false),
            ("acme", "member", false, false),
        ] {
            let caller = world.mint(scope, &[grant]);
            let caller = world.caller(caller);
            assert_eq!(authorize(&world.state, &caller, &Read::Tree).is_ok(), tree, "{grant}");
            assert_eq!(authorize(&world.state, &caller, &Read::Lines).is_ok(), lines, "{grant}");
        }
    }

    #[test]
    fn lists_hold_what_the_caller_may_read_by_name() {
        let mut world = World::with_tenants();
        let auditor = world.mint("acme", &["auditor"]);
        let names = |world: &World, caller: &Caller, after: Option<&str>, limit| {
            let after = after.map(|name| Name::label(name).unwrap());
            let found = organizations(&world.state, caller, after.as_ref(), limit);
            found.iter().map(|found| found.naming.name.to_string()).collect::<Vec<_>>()
        };
        let caller = world.caller(auditor);
        assert_eq!(names(&world, &caller, None, 10), ["acme"]);
        assert_eq!(names(&world, &caller, Some("a"), 10), ["acme"]);
        assert!(
            names(&world, &caller, Some("acme"), 10).is_empty() && names(&world, &caller, None, 0).is_empty()
        );
        let verifier = world.mint("acme", &["verifier"]);
        let caller = world.caller(verifier);
        assert!(names(&world, &caller, None, 10).is_empty());
        assert_eq!(names(&world, &admin(), None, 10), ["acme", "other"]);
        assert_eq!(names(&world, &admin(), None, 1), ["acme"]);
        assert_eq!(names(&world, &admin(), Some("acme"), 10), ["other"]);
        let change = crate::decide::NamingChange { name: Some("zeta".to_owned()), display_name: None };
        let organization = "acme".to_owned();
        let rename = crate::decide::RenameOrganization { organization, change };
        world.admin(crate::decide::Command::RenameOrganization(rename));
        assert_eq!(names(&world, &admin(), None, 10), ["other", "zeta"]);
        let found = projects(&world.state, &admin(), "zeta", Name::label("api").as_ref(), 10).unwrap();
        assert_eq!(found.iter().map(|project| project.naming.name.as_str()).collect::<Vec<_>>(), ["web"]);
    }

    #[test]
    fn tokens_are_filtered_by_every_filter() {
        let mut world = World::with_tenants();
        let parent = world.mint("acme", &["admin"]);
        let caller = world.caller(parent);
        let web = world.mint_by(&caller, "acme/web", &["project-reader"], |p| p.name = "deploy".to_owned());
        let (web, end) = (web.unwrap(), world.at.after(Duration::from_mins(1)));
        let short = world.mint_by(&admin(), "acme", &["member"], |p| p.expiry = Expiry::At(end)).unwrap();
        let gone = world.mint("acme", &["member"]);
        world.revoke(&admin(), gone, false).unwrap();
        let foreign = world.mint("other", &["member"]);
        let all = Filter::default;
        let text = |text: &str| Some(text.to_owned());
        let prefix = world.token(short).prefix.to_string();
        let parents = world.token(parent).by().to_string();
        for (filter, expected) in [
            (all(), vec![parent, web, short, gone, foreign]),
            (Filter { scope: Some(scope_text("acme")), ..all() }, vec![parent, web, short, gone]),
            (Filter { scope: Some(scope_text("acme/web")), ..all() }, vec![web]),
            (Filter { level: Some(Level::Project), ..all() }, vec![web]),
            (Filter { status: Some(Status::Live), ..all() }, vec![parent, web, short, foreign]),
            (Filter { status: Some(Status::Revoked), ..all() }, vec![gone]),
            (Filter { name: text("deploy"), ..all() }, vec![web]),
            (Filter { prefix: Some(prefix), ..all() }, vec![short]),
            (Filter { created_by: Some(parents), ..all() }, vec![web]),
            (Filter { created_by: Some(parent.to_string()), ..all() }, vec![web]),
            (Filter { expiring_before: Some(end), ..all() }, vec![]),
            (Filter { expiring_before: Some(end.after(Duration::from_micros(1))), ..all() }, vec![short]),
            (Filter { role: Name::label("admin"), ..all() }, vec![parent]),
        ] {
            assert_eq!(list(&world, &admin(), &filter, BY_AGE), expected, "{filter:?}");
        }
        let own = [parent, web, short, gone];
        assert_eq!(list(&world, &caller, &all(), BY_AGE), own);
        assert_eq!(
            list(&world, &caller, &Filter { scope: Some(scope_text("instance")), ..all() }, BY_AGE),
            own
        );
        world.pass(Duration::from_mins(1));
        let expired = Filter { status: Some(Status::Expired), ..all() };
        assert_eq!(list(&world, &admin(), &expired, BY_AGE), [short]);
    }

    #[test]
    fn pages_of_every_order_come_to_the_whole_list_once() {
        let mut world = World::with_tenants();
        for index in 0..7_u64 {
            let scope = if index % 2 == 0 { "acme" } else { "other" };
            let minted = world.mint_by(&admin(), scope, &["member"], |p| {
                p.name = format!("n{}", index / 2);
                let after = Duration::from_secs(60 * (7 - index / 3));
                p.expiry = if index == 3 { Expiry::Never } else { Expiry::In(after) };
            });
            minted.unwrap();
        }
        for key in [SortKey::Created, SortKey::Name, SortKey::Expires] {
            for descending in [false, true] {
                let order = Order { key, descending };
                let whole = list(&world, &admin(), &Filter::default(), order);
                assert_eq!(whole.len(), 7);
                let (mut paged, mut after) = (Vec::new(), None);
                loop {
                    let filter = Filter::default();
                    let (page, next) = page_of(&world, &admin(), &filter, order, after.as_ref(), 2);
                    paged.extend(page.iter().map(|token| token.id));
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(paged, whole, "{order:?}");
            }
        }
        let by_end =
            list(&world, &admin(), &Filter::default(), Order { key: SortKey::Expires, descending: false });
        assert_eq!(world.token(by_end[6]).expires_at, None);
    }

    #[test]
    fn a_token_is_identified_by_its_text_old_or_new_and_by_its_prefix_within_sight() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        world.rotate(&admin(), id, Duration::ZERO).unwrap();
        let auditors = ["acme", "other"].map(|scope| world.mint(scope, &["auditor"]));
        let [near, far] = auditors.map(|id| world.caller(id));
        let mut sought: Vec<Sought> =
            [0, 1].map(|ordinal| Sought::Secret(SecretHash::of(world.secret(id, ordinal)).into())).into();
        sought.push(Sought::Prefix(world.token(id).prefix.to_string()));
        for sought in &sought {
            let ids = |caller: &Caller| {
                identify(&world.state, caller, sought).iter().map(|t| t.id).collect::<Vec<_>>()
            };
            assert_eq!(ids(&near), [id]);
            assert_eq!(ids(&admin()), [id]);
            assert!(ids(&far).is_empty());
        }
        assert!(identify(&world.state, &admin(), &Sought::Secret(SecretHash::of("none").into())).is_empty());
    }
}
