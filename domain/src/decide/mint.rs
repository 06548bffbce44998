//! New tokens: minted, or narrowed from the caller's own.

use super::{Decision, find_organization, find_project, metadata};
use crate::authority::{Caller, Reach};
use crate::event::{Event, Subject, TokenMinted};
use crate::id::TokenId;
use crate::name::Name;
use crate::network::Networks;
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::{Grant, Scope};
use crate::secret::{ENTROPY, Secret};
use crate::state::{State, Status, Token};
use crate::text;
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a token's name.
pub(super) const NAME: usize = 128;
/// The most bytes of a description or a note.
pub(super) const DESCRIPTION: usize = 1_024;
/// The most grants of one token.
const GRANTS: usize = 64;
/// How often a token can be narrowed: each link of the chain is looked at on every verify.
const NARROWINGS: usize = 8;

/// Randomness for a secret. It does not show itself.
pub struct Entropy(pub [u8; ENTROPY]);

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.0.fill(0);
    }
}

/// A scope as it is asked for, by names or ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeText {
    /// The instance.
    Instance,
    /// An organization.
    Organization(String),
    /// A project of an organization.
    Project(String, String),
}

impl ScopeText {
    /// The scope, if the caller may know of it.
    pub fn find(&self, state: &State, caller: &Caller) -> Result<Scope, Rejection> {
        match self {
            Self::Instance => Ok(Scope::Instance),
            Self::Organization(organization) => {
                find_organization(state, caller, organization).map(|found| Scope::Organization(found.id))
            }
            Self::Project(organization, project) => find_project(state, caller, organization, project)
                .map(|found| Scope::Project(found.organization, found.id)),
        }
    }
}

/// When a token expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// With the token that mints it; never, if that never does.
    #[default]
    Inherited,
    /// Never.
    Never,
    /// Then.
    At(Timestamp),
    /// So long after the minting.
    In(Duration),
}

/// What mint and narrow have in common.
#[derive(Debug)]
pub struct Particulars {
    /// The new token.
    pub id: TokenId,
    /// What its secret is made of.
    pub entropy: Entropy,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// A JSON object of the owner's.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// In force from then on.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub expiry: Expiry,
    /// From where; empty is what the minting token has.
    pub allowed_networks: Vec<String>,
}

/// Begin a token.
#[derive(Debug)]
pub struct Mint {
    /// Where it acts.
    pub scope: ScopeText,
    /// What it may do: `role` or `role@project`.
    pub grants: Vec<String>,
    /// The rest.
    pub particulars: Particulars,
}

/// Begin a token that can do no more than the caller, and ends with it.
#[derive(Debug)]
pub struct Narrow {
    /// A subset of the caller's grants; none is all of them.
    pub grants: Option<Vec<String>>,
    /// The rest.
    pub particulars: Particulars,
}

pub(super) fn authorize_mint(state: &State, caller: &Caller, mint: &Mint) -> Result<Scope, Rejection> {
    let scope = mint.scope.find(state, caller)?;
    caller.require(state, "tokens:mint", scope)?;
    Ok(scope)
}

pub(super) fn mint(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    mint: &Mint,
) -> Result<Decision, Rejection> {
    let scope = authorize_mint(state, caller, mint)?;
    let grants = read_grants(state, caller, scope, &mint.grants)?;
    let minted = begin(state, caller.token(), at, scope, grants, &mint.particulars)?;
    caller.require_reach(state, &reach_of(scope, &minted))?;
    finish(state, scope, at, minted, &mint.particulars.entropy)
}

pub(super) fn authorize_narrow(caller: &Caller) -> Result<&Arc<Token>, Rejection> {
    caller.token().ok_or_else(|| {
        let expected = "a token: only what a token holds can be narrowed; mint one instead".to_owned();
        Rejection::invalid("caller", &caller.by().to_string(), expected)
    })
}

pub(super) fn narrow(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    narrow: &Narrow,
) -> Result<Decision, Rejection> {
    let parent = authorize_narrow(caller)?;
    if state.chain(parent).count() >= NARROWINGS {
        let expected = format!("narrowed less than {NARROWINGS} times already");
        return Err(Rejection::invalid("caller", &caller.by().to_string(), expected));
    }
    let grants = match &narrow.grants {
        None => Arc::clone(&parent.grants),
        Some(texts) => read_grants(state, caller, parent.scope, texts)?,
    };
    let mut minted = begin(state, Some(parent), at, parent.scope, grants, &narrow.particulars)?;
    minted.narrowed = true;
    caller.require_reach(state, &reach_of(parent.scope, &minted))?;
    finish(state, parent.scope, at, minted, &narrow.particulars.entropy)
}

fn reach_of(scope: Scope, minted: &TokenMinted) -> Reach<'_> {
    Reach { scope, grants: &minted.grants, expires_at: minted.expires_at, networks: &minted.allowed_networks }
}

/// The new token as it was asked for. What was not said it has from the token that mints it.
fn begin(
    state: &State,
    parent: Option<&Arc<Token>>,
    at: Timestamp,
    scope: Scope,
    grants: Arc<[Grant]>,
    wanted: &Particulars,
) -> Result<TokenMinted, Rejection> {
    let inherited = parent.and_then(|parent| state.expiry(parent));
    let expires_at = resolve_expiry("expires_at", wanted.expiry, inherited, at)?;
    let not_before = wanted.not_before;
    if let (Some(start), Some(end)) = (not_before, expires_at)
        && start >= end
    {
        return Err(Rejection::invalid(
            "not_before",
            &start.to_string(),
            format!("before the expiry, {end}"),
        ));
    }
    let allowed_networks = match Networks::parse(&wanted.allowed_networks)? {
        unsaid if unsaid.is_anywhere() => parent.map_or(unsaid, |parent| parent.allowed_networks.clone()),
        networks => networks,
    };
    let secret = Secret::from_entropy(scope.secret_kind(), &wanted.entropy.0);
    let description = wanted.description.as_deref().filter(|text| !text.is_empty());
    Ok(TokenMinted {
        token: wanted.id,
        project: scope.project(),
        name: text::clean("name", &wanted.name, NAME)?,
        description: description.map(|text| text::clean("description", text, DESCRIPTION)).transpose()?,
        metadata: wanted.metadata.as_ref().map(metadata).transpose()?.flatten(),
        grants,
        hash: secret.hash(),
        prefix: secret.prefix(),
        parent: parent.map(|parent| parent.id),
        narrowed: false,
        not_before,
        expires_at,
        allowed_networks,
    })
}

fn finish(
    state: &State,
    scope: Scope,
    at: Timestamp,
    minted: TokenMinted,
    entropy: &Entropy,
) -> Result<Decision, Rejection> {
    require_free_name(state, scope, &minted.name, at, None)?;
    let subject = Subject::Token(minted.token);
    let secret = Secret::from_entropy(scope.secret_kind(), &entropy.0);
    let decision = Decision::new(scope.organization(), vec![Event::TokenMinted(minted)], subject);
    Ok(Decision { secret: Some(secret), ..decision })
}

/// Names are unique among tokens of a scope that are neither revoked nor expired.
pub(super) fn require_free_name(
    state: &State,
    scope: Scope,
    name: &str,
    at: Timestamp,
    of: Option<TokenId>,
) -> Result<(), Rejection> {
    match state.tokens().by_name(scope, name) {
        Some(holder) if Some(holder.id) != of && state.status(holder, at) == Status::Live => {
            Err(Rejection::NameTaken { kind: "token", name: name.to_owned(), until: None })
        }
        _ => Ok(()),
    }
}

/// The moment that an expiry means, which has to come.
pub(super) fn resolve_expiry(
    field: &'static str,
    expiry: Expiry,
    inherited: Option<Timestamp>,
    at: Timestamp,
) -> Result<Option<Timestamp>, Rejection> {
    let end = match expiry {
        Expiry::Inherited => inherited,
        Expiry::Never => None,
        Expiry::At(end) => Some(end),
        Expiry::In(duration) => Some(at.after(duration)),
    };
    match end {
        Some(end) if end <= at => {
            Err(Rejection::invalid(field, &end.to_string(), format!("later than {at}")))
        }
        end => Ok(end),
    }
}

/// Reads grants for a token of `scope`: sorted, without repetitions, at least one.
pub(super) fn read_grants(
    state: &State,
    caller: &Caller,
    scope: Scope,
    texts: &[String],
) -> Result<Arc<[Grant]>, Rejection> {
    if texts.is_empty() || texts.len() > GRANTS {
        let expected = format!("a list of 1 to {GRANTS} grants");
        return Err(Rejection::invalid("grants", &texts.len().to_string(), expected));
    }
    let mut grants =
        texts.iter().map(|text| read_grant(state, caller, scope, text)).collect::<Result<Vec<_>, _>>()?;
    grants.sort_unstable();
    grants.dedup();
    Ok(grants.into())
}

fn read_grant(state: &State, caller: &Caller, scope: Scope, text: &str) -> Result<Grant, Rejection> {
    let (role_text, project_text) = match text.split_once('@') {
        Some((role, project)) => (role, Some(project)),
        None => (text, None),
    };
    let refuse = |expected: String| Err(Rejection::invalid("grants", text, expected));
    let role = Name::label(role_text).and_then(|name| state.role(scope.organization(), &name));
    let Some(role) = role else { return refuse("a role, or role@project, of this scope".to_owned()) };
    let project = match (project_text, scope) {
        (None, _) => None,
        (Some(project), Scope::Organization(organization)) => {
            let found = state.find_project(organization, project).map(|found| found.id);
            // To narrow needs no permission, so it must not tell which projects there are.
            match found.filter(|id| caller.may_know(Scope::Project(organization, *id))) {
                Some(id) => Some(id),
                None => return refuse(format!("a role at a project of {}", state.describe(scope))),
            }
        }
        (Some(_), Scope::Instance | Scope::Project(..)) => {
            return refuse("a role without @: only a token of an organization names projects".to_owned());
        }
    };
    let level = if project.is_some() { Level::Project } else { scope.level() };
    if role.level != level {
        let held = if role.level == Level::Project { "role@project" } else { "its own level" };
        return refuse(format!(
            "held here: {} is a role of level {}, given as {held}; this needs one of level {}",
            role.name,
            role.level.as_str(),
            level.as_str()
        ));
    }
    Ok(Grant { role: role.name.clone(), project })
}
