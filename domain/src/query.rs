//! Reads: what a caller may see of the state.
//!
//! [`authorize`] says whether a read is allowed at all; the functions below it find what is read, and leave out what
//! the caller may not see. Both look at the state that they are given, so a read is checked again where it happens.

use crate::authority::Caller;
use crate::decide::{ScopeText, find_organization, find_project, is_self};
use crate::id::TokenId;
use crate::name::Name;
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::Scope;
use crate::secret::SecretHash;
use crate::state::{Organization, Project, State, Status, Token};
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
    /// The projects of an organization that the caller may read.
    Projects(String),
    /// One project, by the names or ids of its organization and it.
    Project(String, String),
    /// Tokens, of a scope or of all that the caller may read.
    Tokens(Option<ScopeText>),
    /// One token.
    Token(TokenId),
    /// Tokens by their text or prefix, among those that the caller may read.
    Identify,
}

impl Read {
    /// The permission that it needs.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Whoami => None,
            Self::Instance => Some("instance:read"),
            Self::Organizations | Self::Organization(_) => Some("organizations:read"),
            Self::Projects(_) | Self::Project(..) => Some("projects:read"),
            Self::Tokens(_) | Self::Token(_) | Self::Identify => Some("tokens:read"),
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
        Read::Projects(text) => {
            let found = find_organization(state, caller, text)?;
            caller.require_somewhere(state, "projects:read", Scope::Organization(found.id))
        }
        Read::Project(organization, text) => project(state, caller, organization, text).map(drop),
        Read::Tokens(scope) => {
            let place = scope.as_ref().map_or(Ok(own), |scope| scope.find(state, caller))?;
            caller.require_somewhere(state, "tokens:read", place)
        }
        Read::Token(id) => token(state, caller, *id).map(drop),
        Read::Identify => caller.require_somewhere(state, "tokens:read", own),
    }
}

/// An organization that the caller may read.
pub fn organization<'a>(
    state: &'a State,
    caller: &Caller,
    text: &str,
) -> Result<&'a Arc<Organization>, Rejection> {
    let found = find_organization(state, caller, text)?;
    caller.require(state, "organizations:read", Scope::Organization(found.id))?;
    Ok(found)
}

/// A project that the caller may read.
pub fn project<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    text: &str,
) -> Result<&'a Arc<Project>, Rejection> {
    let found = find_project(state, caller, organization, text)?;
    caller.require(state, "projects:read", Scope::Project(found.organization, found.id))?;
    Ok(found)
}

/// A token that the caller may read. Its own it always may.
pub fn token<'a>(state: &'a State, caller: &Caller, id: TokenId) -> Result<&'a Arc<Token>, Rejection> {
    let found = state.tokens().get(id).ok_or_else(|| Rejection::not_found("token", &id))?;
    if is_self(caller, id) || caller.may(state, "tokens:read", found.scope) {
        Ok(found)
    } else {
        Err(Rejection::hidden("token", &id))
    }
}

/// Organizations that the caller may read, by name, after a name.
pub fn organizations(
    state: &State,
    caller: &Caller,
    after: Option<&Name>,
    limit: usize,
) -> Vec<Arc<Organization>> {
    state
        .organizations_after(after)
        .filter(|organization| caller.may(state, "organizations:read", Scope::Organization(organization.id)))
        .take(limit)
        .cloned()
        .collect()
}

/// Projects of an organization that the caller may read, by name, after a name.
pub fn projects(
    state: &State,
    caller: &Caller,
    organization: &str,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<Arc<Project>>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
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
    match sought {
        Sought::Secret(hash) => {
            let found = state.tokens().by_secret(hash).map(|(token, _)| token);
            found.into_iter().filter(|token| visible.is(token)).cloned().collect()
        }
        Sought::Prefix(prefix) => slots(state, caller, None)
            .filter_map(|slot| state.tokens().at(slot))
            .filter(|token| token.prefix.as_str().starts_with(prefix.as_str()) && visible.is(token))
            .take(100)
            .cloned()
            .collect(),
    }
}

/// By what a token is identified.
#[derive(Clone, Debug)]
pub enum Sought {
    /// The hash of its text, of an older one too.
    Secret(SecretHash),
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
}

/// Where a page ended: the sort key's value and the slot of its last token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The value, as text that sorts like it.
    pub value: String,
    /// The slot.
    pub slot: u32,
}

/// One page of tokens, and where it ended if there are more.
pub fn tokens(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    filter: &Filter,
    order: Order,
    after: Option<&Position>,
    limit: usize,
) -> Result<(Vec<Arc<Token>>, Option<Position>), Rejection> {
    let scope = filter.scope.as_ref().map(|scope| scope.find(state, caller)).transpose()?;
    let mut visible = Visible::new(state, caller);
    let mut fits = |token: &Arc<Token>| {
        scope.is_none_or(|scope| scope.contains(token.scope))
            && matches(state, filter, token, at)
            && visible.is(token)
    };
    let found = slots(state, caller, scope);
    let mut page: Vec<(Position, &Arc<Token>)> = match order.key {
        // Slots are in the order of minting, so a page of it needs no look at the rest.
        SortKey::Created => {
            let past = |slot: &u32| after.is_none_or(|after| order.follows(slot.cmp(&after.slot)));
            let tokens = |slot: u32| {
                let token = state.tokens().at(slot)?;
                fits(token).then(|| (Position { value: String::new(), slot }, token))
            };
            if order.descending {
                found.rev().filter(past).filter_map(tokens).take(limit + 1).collect()
            } else {
                found.filter(past).filter_map(tokens).take(limit + 1).collect()
            }
        }
        SortKey::Name | SortKey::Expires => {
            let mut all: Vec<(Position, &Arc<Token>)> = found
                .filter_map(|slot| {
                    let token = state.tokens().at(slot)?;
                    fits(token)
                        .then(|| (Position { value: sort_value(state, token, order.key), slot }, token))
                })
                .filter(|(position, _)| after.is_none_or(|after| order.follows(compare(position, after))))
                .collect();
            all.sort_unstable_by(|(a, _), (b, _)| order.direct(compare(a, b)));
            all.truncate(limit + 1);
            all
        }
    };
    let next = (page.len() > limit).then(|| {
        page.truncate(limit);
        page.last().map(|(position, _)| position.clone())
    });
    Ok((page.into_iter().map(|(_, token)| Arc::clone(token)).collect(), next.flatten()))
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
        SortKey::Created => String::new(),
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
        && filter.role.as_ref().is_none_or(|role| token.grants.iter().any(|grant| grant.role == *role))
        && filter.created_by.as_deref().is_none_or(by)
        && filter.expiring_before.is_none_or(|end| state.expiry(token).is_some_and(|expiry| expiry < end))
        && filter.status.is_none_or(|status| state.status(token, at) == status)
}

/// The slots in which a caller's tokens can be: those of one organization, or all.
fn slots<'a>(
    state: &'a State,
    caller: &Caller,
    scope: Option<Scope>,
) -> Box<dyn DoubleEndedIterator<Item = u32> + 'a> {
    let own = caller.token().map_or(Scope::Instance, |token| token.scope);
    let all = || u32::try_from(state.tokens().len()).expect("slots are numbered by u32");
    match scope.and_then(Scope::organization).or(own.organization()) {
        Some(organization) => Box::new(state.tokens().of(Some(organization)).iter().copied()),
        None => Box::new(0..all()),
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
