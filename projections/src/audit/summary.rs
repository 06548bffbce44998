//! What is looked at of a line when it is indexed or filtered. The rest of it is nobody's business here: what is shown
//! is the exact line.

use super::rows::UseOutcome;
use domain::id::{OrganizationId, ProjectId, TokenId};
use domain::time::Timestamp;
use domain::verify::Code;
use eventlog::personal::decode_commitment;
use serde::Deserialize;
use std::borrow::Cow;

/// What a line is about.
#[derive(Debug, Deserialize)]
pub struct Summary<'a> {
    /// The stored name of its type.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// When it was decided.
    pub at: Timestamp,
    /// Its organization; none is the instance.
    pub org: Option<OrganizationId>,
    /// Who caused it.
    #[serde(borrow)]
    pub actor: ActorOf<'a>,
    /// The project that it names.
    pub project: Option<ProjectId>,
    /// The token that it is about.
    pub token: Option<TokenId>,
    /// Of a refusal, why.
    pub code: Option<Code>,
    /// What was asked.
    #[serde(borrow)]
    pub asked: Option<AskedOf<'a>>,
    /// Who presented a token.
    #[serde(borrow)]
    pub client: Option<ClientOf<'a>>,
    /// Whose key was imported.
    #[serde(borrow)]
    owner: Option<Cow<'a, str>>,
    /// Who was invited.
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    /// A commitment only in the line of somebody who accepted an invitation; else what people wrote.
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    /// How many refusals it stands for.
    pub(super) count: Option<u32>,
}

/// Who caused it.
#[derive(Debug, Deserialize)]
pub struct ActorOf<'a> {
    /// As lines write it.
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    /// The token that acted.
    pub token: Option<TokenId>,
    /// The commitment to its address.
    #[serde(borrow)]
    pub address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    agent: Option<Cow<'a, str>>,
}

/// What was asked.
#[derive(Debug, Deserialize)]
pub struct AskedOf<'a> {
    /// The permission in question.
    #[serde(borrow)]
    pub permission: Option<Cow<'a, str>>,
}

/// Who presented a token.
#[derive(Debug, Deserialize)]
pub struct ClientOf<'a> {
    /// The commitment to its address.
    #[serde(borrow)]
    pub address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    agent: Option<Cow<'a, str>>,
}

/// How a line is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It changed who may do what.
    Lifecycle,
    /// The break-glass token was used. It names no token, so it is listed with the events.
    AdminUse,
    /// A token was used or refused.
    Use,
}

/// How events of a type are listed.
pub fn kind_of(kind: &str) -> Kind {
    match kind {
        "TokenUsed" | "TokenRefused" => Kind::Use,
        "AdminTokenUsed" => Kind::AdminUse,
        _ => Kind::Lifecycle,
    }
}

impl<'a> Summary<'a> {
    /// Looks at a line.
    pub fn read(line: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// How it is listed.
    pub fn kind(&self) -> Kind {
        kind_of(&self.kind)
    }

    /// The tokens that were used by it, and what came of it for each.
    pub(super) fn uses(&self) -> impl Iterator<Item = (TokenId, UseOutcome)> {
        let own = self.token.map(|token| (token, UseOutcome::Answered(self.code.unwrap_or(Code::Valid))));
        let asking = self.actor.token.filter(|actor| Some(*actor) != self.token);
        let uses = own.into_iter().chain(asking.map(|actor| (actor, UseOutcome::Asked)));
        uses.filter(|_| self.kind() == Kind::Use)
    }

    /// What it says of a token's use; nothing where the token was not used by it.
    pub fn outcome_for(&self, token: TokenId) -> Option<UseOutcome> {
        self.uses().find(|(used, _)| *used == token).map(|(_, outcome)| outcome)
    }

    /// The commitments in it.
    pub fn commitments(&self) -> impl Iterator<Item = [u8; 32]> {
        self.named_commitments().map(|(_, commitment)| commitment)
    }

    /// The same with the keys under which they stand. A text that somebody wrote is none, whatever it looks like: it may
    /// be another's.
    pub fn named_commitments(&self) -> impl Iterator<Item = (&'static str, [u8; 32])> {
        let name = self.name.as_ref().filter(|_| self.kind == "InvitationAccepted");
        let client = self.client.as_ref();
        let texts = [
            ("actor.address", self.actor.address.as_ref()),
            ("actor.agent", self.actor.agent.as_ref()),
            ("owner", self.owner.as_ref()),
            ("email", self.email.as_ref()),
            ("name", name),
            ("client.address", client.and_then(|client| client.address.as_ref())),
            ("client.agent", client.and_then(|client| client.agent.as_ref())),
        ];
        texts.into_iter().filter_map(|(key, text)| Some((key, decode_commitment(text?)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_commitment_is_one_only_where_names_are() {
        let of = |kind: &str| {
            let name = "Y".repeat(42) + "Q";
            let line = format!(
                r#"{{"type":"{kind}","at":"2026-11-22T10:15:00.000000Z","actor":{{"by":"x"}},"name":"{name}"}}"#
            );
            Summary::read(&line).unwrap().commitments().count()
        };
        assert_eq!((of("TokenMinted"), of("InvitationAccepted")), (0, 1));
    }
}
