//! One token as it stands.

use super::State;
use crate::event::{By, Description, Metadata, Reason};
use crate::id::{TokenId, UserId};
use crate::network::Networks;
use crate::scope::{Grant, Scope};
use crate::secret::{Prefix, SecretHash};
use crate::time::Timestamp;
use std::sync::Arc;

/// A token. It is shared between readers and replaced whole, never changed in place.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Where it acts.
    pub scope: Scope,
    /// Its name.
    pub name: Box<str>,
    /// What it is for.
    pub description: Option<Box<str>>,
    /// A JSON object of the owner's.
    pub metadata: Option<Metadata>,
    /// What it may do.
    pub grants: Arc<[Grant]>,
    /// BLAKE3 of its present secret.
    pub hash: SecretHash,
    /// The first characters of its present secret.
    pub prefix: Prefix,
    /// The ordinal of its present secret; the first has 0.
    pub secret: u32,
    /// The secret before. All earlier ones have ended; the index of secrets knows them. In a box, because most tokens
    /// have none and there are many tokens.
    pub previous: Option<Box<OldSecret>>,
    /// The token that minted it.
    pub parent: Option<TokenId>,
    /// Whether it was narrowed from its parent.
    pub narrowed: bool,
    /// In force from then on.
    pub not_before: Option<Timestamp>,
    /// In force until just before then.
    pub expires_at: Option<Timestamp>,
    /// Where it may be used from.
    pub allowed_networks: Networks,
    /// When its present secret was made.
    pub secret_since: Timestamp,
    /// When it was minted.
    pub created_at: Timestamp,
    /// Who minted it.
    pub created_by: By,
    /// The person who answers for it: whose session it is, or who minted it or what minted it, until somebody else
    /// takes it over.
    pub person: Option<UserId>,
    /// Whether it is a session: it holds what its person's memberships give, at any moment, and ends with them.
    pub session: bool,
    /// The version after the event that last changed it, as far as that is marked: see [`State::revision`].
    pub(super) revision: u64,
    /// Its end by revocation, where that is marked: [`State::own_revocation`] knows it in any case.
    pub(super) revocation: Option<Arc<Revocation>>,
}

/// A secret that a rotation replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldSecret {
    /// BLAKE3 of it.
    pub hash: SecretHash,
    /// Its ordinal.
    pub secret: u32,
    /// When it was made.
    pub since: Timestamp,
    /// Valid until just before then; none when it ended at once.
    pub valid_until: Option<Timestamp>,
}

/// How a token was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: By,
    /// Why.
    pub reason: Reason,
    /// Why, in somebody's words.
    pub note: Option<Box<str>>,
    /// The token whose revocation took this one with it.
    pub cause: Option<TokenId>,
    /// The version after the event by which everything that the token minted ended too, if it did. That may be a later
    /// one than the token's own end.
    pub cascade: Option<u64>,
    /// The version after its event.
    pub version: u64,
}

/// Which of a token's secrets was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its ordinal.
    pub secret: u32,
    /// Until when it is valid, when a rotation has replaced it.
    pub replaced: Option<Option<Timestamp>>,
}

impl Shown {
    /// Whether a rotation has ended this secret by `at`.
    pub fn is_superseded(self, at: Timestamp) -> bool {
        self.replaced.is_some_and(|valid_until| valid_until.is_none_or(|until| at >= until))
    }
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Neither expired nor revoked; it may not have begun yet.
    Live,
    /// Past its time.
    Expired,
    /// Revoked, or ended with the token it was narrowed from.
    Revoked,
}

impl Status {
    /// As answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Token {
    /// What was written about it.
    pub fn described(&self) -> Description {
        Description {
            name: self.name.clone(),
            description: self.description.clone(),
            metadata: self.metadata.clone(),
        }
    }

    /// Who it is, as an actor.
    pub fn by(&self) -> By {
        match self.person.filter(|_| self.session) {
            Some(person) => By::Session(person),
            None => By::Token(self.scope.level(), self.prefix),
        }
    }

    /// When one of its secrets was made: the present one, or the one before. All earlier ones have ended.
    pub fn since(&self, secret: u32) -> Timestamp {
        let previous = self.previous.as_deref().filter(|previous| previous.secret == secret);
        previous.map_or(self.secret_since, |previous| previous.since)
    }

    /// Whether its own time is over at `at`.
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| at >= end)
    }
}

impl State {
    /// The revocation that ended a token: its own, that of a token it was narrowed from (with the id of the one whose
    /// revocation it was), or the deletion of its project or organization.
    pub fn revocation<'a>(&'a self, token: &'a Arc<Token>) -> Option<(&'a Revocation, Option<TokenId>)> {
        let revoked = self.chain(token).find_map(|link| {
            let revocation = self.own_revocation(link)?.as_ref();
            let cause = revocation.cause.or((link.id != token.id).then_some(link.id));
            Some((revocation, cause))
        });
        // What came first ended it.
        let deleted = self.end_of(token.scope).map(|deletion| (deletion, None));
        revoked.into_iter().chain(deleted).min_by_key(|(revocation, _)| revocation.at)
    }

    /// When a token ends by itself: the earliest expiry of its chain.
    pub fn expiry(&self, token: &Arc<Token>) -> Option<Timestamp> {
        self.chain(token).filter_map(|link| link.expires_at).min()
    }

    /// What has become of a token by `at`.
    pub fn status(&self, token: &Arc<Token>, at: Timestamp) -> Status {
        let is_revoked = |link| self.own_revocation(link).is_some();
        if self.end_of(token.scope).is_some() || self.chain(token).any(is_revoked) {
            Status::Revoked
        } else if self.chain(token).any(|link| link.is_expired(at)) {
            Status::Expired
        } else {
            Status::Live
        }
    }
}
