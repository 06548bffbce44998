//! Deciding again what was answered: every recorded use, on the state that it was decided on.
//!
//! A use of a committed authority was decided on the state at its place in the log, a bounded one on the version that
//! its line names. Whoever folds the log hands both in; nothing here reads anything.

mod use_line;

pub use use_line::{Clock, UseLine};

use crate::id::{OrganizationId, TokenId};
use crate::scope::Scope;
use crate::state::{Shown, State, Token};
use crate::verify::{self, Code, Place};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The operation by which a token makes itself a new secret. Asked for again with the secret it replaced, it answers.
const ROTATE: &str = "tokens.rotate";

/// What comes of deciding a recorded use again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The same answer.
    Same,
    /// A call of Chancery's own API: its credential was in force, or not, as the line says. Whether it might do what it
    /// asked for rests on values that the line does not hold.
    Standing,
    /// As far as can be told the same; it rests on an address that is not known any more, or not here.
    Address,
    /// Another answer.
    Other(Decided),
}

/// What is decided in place of what is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// This.
    Code(Code),
    /// A credential that was in force, which is answered `valid` or `forbidden`.
    InForce,
    /// Refused for the address, or for what is looked at after it.
    AddressOrLater,
    /// The log had not issued such a token.
    NoToken(TokenId),
    /// The token had no secret of this ordinal.
    NoSecret(u32),
    /// The token is of another organization than the line's; of the instance, where there is none.
    Organization(Option<OrganizationId>),
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.write_str(code.as_str()),
            Self::InForce => f.write_str("valid or forbidden: the credential was in force"),
            Self::AddressOrLater => f.write_str("address_denied or a later one"),
            Self::NoToken(id) => write!(f, "no answer: no token {id} had been issued"),
            Self::NoSecret(secret) => write!(f, "no answer: the token had no secret {secret}"),
            Self::Organization(Some(id)) => {
                write!(f, "no answer in this line: the token is of organization {id}")
            }
            Self::Organization(None) => f.write_str("no answer in this line: the token is of the instance"),
        }
    }
}

/// Decides a recorded use again. `open` gives the address behind a commitment, if it is known.
pub fn again(state: &State, used: &UseLine<'_>, open: impl Fn(&str) -> Option<IpAddr>) -> Again {
    let Some(token) = state.tokens().get(used.token) else {
        return Again::Other(Decided::NoToken(used.token));
    };
    let Some(shown) = shown(token, used.secret) else {
        return Again::Other(Decided::NoSecret(used.secret));
    };
    if token.scope.organization() != used.org {
        return Again::Other(Decided::Organization(token.scope.organization()));
    }
    let commitment = if used.operation.is_some() { used.actor_address } else { used.client_address };
    let address = commitment.and_then(open);
    let recorded = used.code.unwrap_or(Code::Valid);
    let decided = standing(state, used, token, shown, address);
    let is_open = commitment.is_none() || address.is_some();
    let same = match (decided, is_open) {
        (Err(Code::AddressDenied), false) if recorded == Code::AddressDenied => return Again::Address,
        (Err(Code::AddressDenied), false) if recorded < Code::AddressDenied => {
            return Again::Other(Decided::AddressOrLater);
        }
        (Err(Code::AddressDenied), false) => Again::Address,
        (Err(code), _) if code == recorded => return Again::Same,
        (Err(code), _) => return Again::Other(Decided::Code(code)),
        (Ok(()), _) => Again::Same,
    };
    if used.operation.is_some() {
        return match recorded {
            Code::Valid | Code::Forbidden if same == Again::Same => Again::Standing,
            Code::Valid | Code::Forbidden => same,
            _ => Again::Other(Decided::InForce),
        };
    }
    let (code, _) = verify::answer(state, token, place_of(state, used), used.permission);
    if code == recorded { same } else { Again::Other(Decided::Code(code)) }
}

fn standing(
    state: &State,
    used: &UseLine<'_>,
    token: &Arc<Token>,
    shown: Shown,
    address: Option<IpAddr>,
) -> Result<(), Code> {
    let standing = verify::standing(state, token, shown, used.at, address);
    // A lost answer to a token's own rotation is asked for again with the secret that the rotation replaced.
    let repeats = standing == Err(Code::Superseded)
        && used.operation == Some(ROTATE)
        && used.code.is_none_or(|code| code == Code::Forbidden)
        && shown.secret + 1 == token.secret;
    if repeats {
        return verify::standing(state, token, Shown { replaced: None, ..shown }, used.at, address);
    }
    standing
}

/// The secret of an ordinal, as showing its text would find it.
fn shown(token: &Token, secret: u32) -> Option<Shown> {
    if secret > token.secret {
        return None;
    }
    let previous = token.previous.as_deref().filter(|previous| previous.secret == secret);
    let replaced = (secret < token.secret).then(|| previous.and_then(|previous| previous.valid_until));
    Some(Shown { secret, replaced })
}

/// Where the question was asked, from what the line keeps of it: without an organization, about the token's own.
fn place_of(state: &State, used: &UseLine<'_>) -> Place {
    let organization = match used.organization {
        Some(text) => state.find_organization(text).map(|found| found.id),
        None => used.org,
    };
    let Some(organization) = organization else {
        return Place { scope: Scope::Instance, organization: false, project: true };
    };
    let project = used.project.map(|text| state.find_project(organization, text).map(|found| found.id));
    let scope = match project {
        Some(Some(project)) => Scope::Project(organization, project),
        _ => Scope::Organization(organization),
    };
    Place { scope, organization: true, project: project != Some(None) }
}

#[cfg(test)]
mod tests;
