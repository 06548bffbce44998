//! May this token do this? The question that services ask on every request.

use crate::authority::{self, Caller, Principal};
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::secret::SecretHash;
use crate::state::{Project, Shown, State, Token};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// What is answered. The order is the fixed order of refusals: the first that applies is the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not the text of a token: it starts like one and its checksum fails.
    Malformed,
    /// No token has this text.
    Unknown,
    /// A rotation replaced this secret.
    Superseded,
    /// The token was revoked, or ended with the one it was narrowed from.
    Revoked,
    /// The token's organization is suspended.
    OrganizationSuspended,
    /// The token's time has not begun.
    NotYetValid,
    /// The token's time is over.
    Expired,
    /// The token may not be used from this address, or the address is not known.
    AddressDenied,
    /// The token is of another organization.
    WrongOrganization,
    /// The token is of another project.
    WrongProject,
    /// The token lacks the permission.
    Forbidden,
    /// It may.
    Valid,
}

impl Code {
    /// Every code, in order.
    pub const ALL: &[Self] = &[
        Self::Malformed,
        Self::Unknown,
        Self::Superseded,
        Self::Revoked,
        Self::OrganizationSuspended,
        Self::NotYetValid,
        Self::Expired,
        Self::AddressDenied,
        Self::WrongOrganization,
        Self::WrongProject,
        Self::Forbidden,
        Self::Valid,
    ];

    /// As lines and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
            Self::OrganizationSuspended => "organization_suspended",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::AddressDenied => "address_denied",
            Self::WrongOrganization => "wrong_organization",
            Self::WrongProject => "wrong_project",
            Self::Forbidden => "forbidden",
            Self::Valid => "valid",
        }
    }

    /// In a sentence, for who shows the token.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Malformed => "the text is not a whole token: it was cut or changed on the way",
            Self::Unknown => "no token has this text",
            Self::Superseded => "the token was rotated, and this is a secret that a newer one replaced",
            Self::Revoked => "the token was revoked",
            Self::OrganizationSuspended => "the token's organization is suspended",
            Self::NotYetValid => "the token is not in force yet",
            Self::Expired => "the token has expired",
            Self::AddressDenied => "the token may not be used from this address",
            Self::WrongOrganization => "the token is of another organization",
            Self::WrongProject => "the token is of another project",
            Self::Forbidden => "the token lacks the permission",
            Self::Valid => "the token is valid",
        }
    }
}

/// One question. Absent organization and project mean the caller's own.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// BLAKE3 of the presented text.
    pub hash: SecretHash,
    /// The text starts like one of ours and its checksum fails.
    pub malformed: bool,
    /// What the token would do; none asks only whether it is in force.
    pub permission: Option<&'a str>,
    /// The organization in question, by name or id.
    pub organization: Option<&'a str>,
    /// The project in question, by name or id.
    pub project: Option<&'a str>,
    /// The address that presented the token to the caller.
    pub address: Option<IpAddr>,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is answered.
    pub code: Code,
    /// The known token, and which of its secrets was shown.
    pub token: Option<(Arc<Token>, Shown)>,
    /// Where the question was decided.
    pub place: Scope,
}

/// Where a question is asked, and whether the caller may ask it there.
///
/// A token of an organization asks about its own and need not name it; who asks for the whole instance names one. An
/// organization that the caller may not know of is answered like one that does not exist.
pub fn place_of(state: &State, caller: &Caller, question: &Question<'_>) -> Result<Place, Rejection> {
    let own = match &caller.principal {
        Principal::Token(token, _) => token.scope,
        Principal::AdminToken | Principal::System(_) => Scope::Instance,
    };
    let organization = match (question.organization, own.organization()) {
        (None, Some(own)) => Some(own),
        (None, None) => {
            let expected = "the name or id of an organization; a caller of the instance has to name it";
            return Err(Rejection::invalid("organization", "", expected.to_owned()));
        }
        (Some(text), _) => state.find_organization(text).map(|found| found.id),
    };
    let is_own = |id| own.organization().is_none_or(|own| own == id);
    let Some(organization) = organization.filter(|id| is_own(*id)) else {
        // Only the instance's verifiers learn that there is no such organization.
        caller.require(state, "tokens:verify", own)?;
        return match own.organization() {
            None => Ok(Place { scope: Scope::Instance, organization: false, project: true }),
            Some(_) => Err(Rejection::not_found("organization", question.organization.unwrap_or_default())),
        };
    };
    // A project that the caller may not know of is answered like one that does not exist.
    let may_know = |project: &&Arc<Project>| caller.may_know(Scope::Project(organization, project.id));
    let project = match question.project {
        Some(text) => Some(state.find_project(organization, text).filter(may_know).map(|project| project.id)),
        None => own.project().map(Some),
    };
    let (scope, project_found) = match project {
        None => (Scope::Organization(organization), true),
        Some(Some(project)) => (Scope::Project(organization, project), true),
        Some(None) => (Scope::Organization(organization), false),
    };
    caller.require(state, "tokens:verify", scope)?;
    Ok(Place { scope, organization: true, project: project_found })
}

/// Where a question is decided.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The organization or project, as far as it was found.
    pub scope: Scope,
    /// Whether the organization in question exists.
    pub organization: bool,
    /// Whether the project in question exists.
    pub project: bool,
}

/// Decides a question at a place.
pub fn verify(
    state: &State,
    caller: &Caller,
    question: &Question<'_>,
    place: Place,
    at: Timestamp,
) -> Verdict {
    let verdict = |code, token| Verdict { code, token, place: place.scope };
    if question.malformed {
        return verdict(Code::Malformed, None);
    }
    let Some((token, shown)) = state.tokens().by_secret(&question.hash) else {
        return verdict(Code::Unknown, None);
    };
    let asks_for_instance = caller.token().is_none_or(|caller| caller.scope == Scope::Instance);
    let is_inside = token.scope.organization().is_some_and(|of| place.scope.organization() == Some(of));
    // To an organization's caller, a token of another one is like one that was never issued.
    if !is_inside && !asks_for_instance {
        return verdict(Code::Unknown, None);
    }
    let known = Some((Arc::clone(token), shown));
    // Asked about more than its scope, a token answers for its scope.
    let decided = if place.scope.contains(token.scope) { token.scope } else { place.scope };
    let lacks = |permission| !authority::allows(state, token, permission, decided);
    let code = if let Err(code) = standing(state, token, shown, at, question.address) {
        code
    } else if !place.organization || (!is_inside && token.scope != Scope::Instance) {
        Code::WrongOrganization
    } else if !place.project || token.scope.project().is_some_and(|of| !covers_project(place.scope, of)) {
        Code::WrongProject
    } else if question.permission.is_some_and(lacks) {
        Code::Forbidden
    } else {
        Code::Valid
    };
    Verdict { code, token: known, place: decided }
}

/// A question about a whole organization is also about a project token's own project.
fn covers_project(place: Scope, project: crate::id::ProjectId) -> bool {
    place.project().is_none_or(|asked| asked == project)
}

/// Whether a token is in force for who shows one of its secrets at `at` from `address`: the part of the order of
/// refusals that does not depend on the question. Every link of its chain counts.
pub fn standing(
    state: &State,
    token: &Arc<Token>,
    shown: Shown,
    at: Timestamp,
    address: Option<IpAddr>,
) -> Result<(), Code> {
    if shown.is_superseded(at) {
        return Err(Code::Superseded);
    }
    let suspended = token
        .scope
        .organization()
        .and_then(|id| state.organization(id))
        .is_some_and(|organization| organization.suspended);
    let of_link = |link: &Arc<Token>| {
        if link.revocation.is_some() {
            Some(Code::Revoked)
        } else if suspended {
            Some(Code::OrganizationSuspended)
        } else if link.not_before.is_some_and(|start| at < start) {
            Some(Code::NotYetValid)
        } else if link.is_expired(at) {
            Some(Code::Expired)
        } else if !link.allowed_networks.allow(address) {
            Some(Code::AddressDenied)
        } else {
            None
        }
    };
    state.chain(token).filter_map(of_link).min().map_or(Ok(()), Err)
}
