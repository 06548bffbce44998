//! What an organization's tokens may be at most: the policy that its owners set.
//!
//! Every number is 0 where its setting is off, and an empty list restricts nothing. So a policy is plain data, and the
//! policy of an organization that never said anything restricts nothing.

use crate::id::TokenId;
use crate::name::Name;
use crate::network::Networks;
use crate::rejection::Rejection;
use crate::scope::{Grant, Scope};
use crate::state::{Organization, State, Token};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// One day.
pub const DAY: Duration = Duration::from_hours(24);

macro_rules! settings {
    ($($(#[doc = $doc:literal])* $(#[serde($($how:tt)*)])? $name:ident: $type:ty,)*) => {
        /// An organization's policy.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct OrganizationPolicy {
            $($(#[doc = $doc])* pub $name: $type,)*
        }

        /// Some settings of a policy: those that a change is about. A line writes no others.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct PolicySettings {
            $(
                $(#[doc = $doc])*
                #[serde(default, skip_serializing_if = "Option::is_none" $(, $($how)*)?)]
                pub $name: Option<$type>,
            )*
        }

        impl OrganizationPolicy {
            /// This policy with other settings.
            #[must_use]
            pub fn with(&self, settings: &PolicySettings) -> Self {
                Self { $($name: settings.$name.clone().unwrap_or_else(|| self.$name.clone()),)* }
            }

            /// The settings that are others in `after`: as they are here, and as they are there.
            pub fn changes(&self, after: &Self) -> (PolicySettings, PolicySettings) {
                let pick = |from: &Self| PolicySettings {
                    $($name: (self.$name != after.$name).then(|| from.$name.clone()),)*
                };
                (pick(self), pick(after))
            }
        }
    };
}

settings! {
    /// The longest that a token may go on from when it is minted, narrowed, rotated or given a later end, in seconds.
    max_lifetime_s: u64,
    /// What a token lasts that is minted or narrowed without saying, in seconds.
    default_lifetime_s: u64,
    /// Whether every token that is minted, narrowed, rotated or changed in its expiry has to have one.
    expiry_required: bool,
    /// The most days that a token may go unused before it is revoked, up to 365.
    max_inactive_days: u32,
    /// From where the organization's tokens may be used, beside what each of them allows.
    #[serde(with = "listed")]
    allowed_networks: Networks,
    /// The most tokens that may be minted within an hour, or narrowed from each that was.
    max_mints_per_hour: u32,
    /// The most minted tokens that may live at a time, and of each the most that are narrowed from it.
    max_live_tokens: u32,
    /// How many days after it was made a secret is due to be rotated.
    rotation_due_days: u32,
    /// Whether a token whose secret is overdue is refused.
    rotation_enforced: bool,
    /// The roles that may be given to tokens, sorted.
    allowed_roles: Arc<[Name]>,
    /// What a report does that proves that a token's secret is out.
    leak_response: LeakResponse,
}

/// What is done about a token whose secret is out. That it was reported is kept in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakResponse {
    /// It is revoked, with everything that it minted.
    #[default]
    Cascade,
    /// It is revoked, and what was narrowed from it ends with it.
    Revoke,
    /// It is left to its owners.
    Flag,
}

impl LeakResponse {
    /// As lines and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cascade => "cascade",
            Self::Revoke => "revoke",
            Self::Flag => "flag",
        }
    }

    /// Reads what [`LeakResponse::as_str`] writes.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let all = [Self::Cascade, Self::Revoke, Self::Flag];
        all.into_iter().find(|response| response.as_str() == text).ok_or_else(|| {
            Rejection::invalid("leak_response", text, "`cascade`, `revoke` or `flag`".to_owned())
        })
    }
}

/// Networks as a list that may be empty: in a change, "from anywhere" has to be said.
mod listed {
    use super::Networks;
    use serde::de::value::SeqDeserializer;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "this is how serde hands out an optional field")]
    pub(super) fn serialize<S: Serializer>(
        networks: &Option<Networks>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        networks.as_ref().map(Networks::list).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Networks>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.is_empty() {
            return Ok(Some(Networks::ANYWHERE));
        }
        Networks::deserialize(SeqDeserializer::new(texts.into_iter())).map(Some)
    }
}

impl OrganizationPolicy {
    /// The longest lifetime, if there is one.
    pub fn max_lifetime(&self) -> Option<Duration> {
        on(self.max_lifetime_s)
    }

    /// The lifetime of a token that does not say one: never more than the longest.
    pub fn usual_lifetime(&self) -> Option<Duration> {
        let usual = on(self.default_lifetime_s);
        usual.into_iter().chain(self.max_lifetime()).min()
    }

    /// Whether a token that goes on until `end` lasts longer from `at` on than it may.
    pub fn is_too_long(&self, end: Option<Timestamp>, at: Timestamp) -> bool {
        self.max_lifetime().is_some_and(|most| end.is_none_or(|end| end > at.after(most)))
    }

    /// Whether a token has to have an end.
    pub fn requires_expiry(&self) -> bool {
        self.expiry_required || self.max_lifetime_s > 0
    }

    /// Whether a role may be given to tokens.
    pub fn allows_role(&self, role: &Name) -> bool {
        self.allowed_roles.is_empty() || self.allowed_roles.contains(role)
    }

    /// The first of these grants whose role may not be given to tokens.
    pub fn forbidden_role<'g>(&self, grants: &'g [Grant]) -> Option<&'g Grant> {
        grants.iter().find(|grant| !self.allows_role(&grant.role))
    }

    /// When the present secret of a token is due to be rotated.
    pub fn rotation_due(&self, token: &Token) -> Option<Timestamp> {
        self.due(token.secret_since)
    }

    /// Whether a secret that was made at `since` is overdue at `at`: from the very moment at which it is due.
    pub fn is_overdue(&self, since: Timestamp, at: Timestamp) -> bool {
        self.due(since).is_some_and(|due| at >= due)
    }

    /// Whether a secret is accepted for longer than by another policy.
    pub fn lets_secrets_last_longer(&self, than: &Self) -> bool {
        let days = |policy: &Self| {
            Some(policy.rotation_due_days).filter(|days| policy.rotation_enforced && *days > 0)
        };
        days(than).is_some_and(|others| days(self).is_none_or(|own| own > others))
    }

    fn due(&self, since: Timestamp) -> Option<Timestamp> {
        let days = self.rotation_due_days;
        (days > 0).then(|| since.after(DAY * days))
    }
}

/// A number of seconds, where 0 is off.
fn on(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Whether a token that has been inactive since `since` is revoked at `at` where `days` of it are allowed: after more
/// than so many whole days, and not at their very end.
pub fn is_inactive(since: Timestamp, days: u32, at: Timestamp) -> bool {
    days > 0 && at.since(since) > DAY * days
}

impl State {
    /// The policy that bounds the tokens of a scope: an organization's. The instance's tokens have none of this kind.
    pub fn policy(&self, scope: Scope) -> Option<&OrganizationPolicy> {
        scope
            .organization()
            .and_then(|id| self.organization(id))
            .map(|found: &Arc<Organization>| &found.policy)
    }

    /// How many days tokens of a scope may go unused; 0 is for ever.
    pub fn max_inactive_days(&self, scope: Scope) -> u32 {
        match scope {
            Scope::Instance => self.instance().map_or(0, |instance| instance.policy.max_inactive_days),
            Scope::Organization(_) | Scope::Project(..) => {
                self.policy(scope).map_or(0, |policy| policy.max_inactive_days)
            }
        }
    }

    /// The token and those that were narrowed from it, and so end with it.
    pub fn narrowed_from(&self, token: TokenId) -> Vec<TokenId> {
        let mut found = vec![token];
        let mut next = 0;
        while let Some(id) = found.get(next).copied() {
            found.extend(self.tokens().children(id).filter(|child| child.narrowed).map(|child| child.id));
            next += 1;
        }
        found
    }

    /// The least moment since which a token can have been inactive, were it never used: its minting or, if that is
    /// later, its start or the moment at which its organization was restored.
    pub fn usable_since(&self, token: &Token) -> Timestamp {
        let organization = token.scope.organization().and_then(|id| self.organization(id));
        let restored_at = organization.and_then(|organization| organization.restored_at);
        token.not_before.into_iter().chain(restored_at).fold(token.created_at, Timestamp::max)
    }

    /// Since when a token has been inactive: since it could be used, or since it or a token narrowed from it was last used,
    /// because those end with it. `last_use` says when one was; none where that is not known, and then nothing is.
    pub fn inactive_since(
        &self,
        token: &Token,
        last_use: impl Fn(TokenId) -> Option<Option<Timestamp>>,
    ) -> Option<Timestamp> {
        self.narrowed_from(token.id).into_iter().try_fold(self.usable_since(token), |since, id| {
            Some(last_use(id)?.map_or(since, |used| since.max(used)))
        })
    }
}
