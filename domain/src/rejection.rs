//! Why a command is refused. Each rejection names what was wrong, with which value, and what would be right.

use crate::text;
use crate::time::Timestamp;
use crate::verify::Code;
use thiserror::Error;

/// A command, or a read, that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The caller's credential is not in force.
    #[error("{}", .0.explanation())]
    Unauthenticated(Code),
    /// The caller lacks a permission. `place` is in the words of who asked, `instance` or `organization acme`.
    #[error("this needs {permission} at {place}, which none of the caller's grants gives")]
    Forbidden {
        /// The permission that is missing.
        permission: String,
        /// Where it is missing.
        place: String,
    },
    /// The command would give a credential more than its actor has.
    #[error("a token can give no more than it has; missing: {}", missing.join(", "))]
    Escalation {
        /// What the actor lacks, one sentence part each.
        missing: Vec<String>,
    },
    /// No such thing, or none that the caller may know of: the two are answered and recorded alike.
    #[error("there is no {kind} `{value}`")]
    NotFound {
        /// `organization`, `project`, `token`, `role`.
        kind: &'static str,
        /// What was asked for, cut to 80 characters.
        value: String,
    },
    /// Another one has the name.
    #[error("the {kind} name `{name}` is taken{}", .until.as_deref().map(|u| format!(": {u}")).unwrap_or_default())]
    NameTaken {
        /// `organization`, `project`, `token`.
        kind: &'static str,
        /// The name.
        name: String,
        /// Why it is not free although nothing has it now, and until when.
        until: Option<String>,
    },
    /// A value that cannot be.
    #[error("{field}: {}", wrong(value, expected))]
    Invalid {
        /// The field, as the request names it.
        field: &'static str,
        /// The value, cut to 80 characters.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// The token is revoked or expired and cannot be changed.
    #[error("the token is {state} and stays so; mint a new one")]
    TokenEnded {
        /// `revoked` or `expired`.
        state: &'static str,
    },
    /// The role is not for the caller to change there.
    #[error("the role `{role}` is {owner}; define one of another name")]
    RoleFixed {
        /// The role.
        role: String,
        /// Whose it is, so that it is fixed: `built in`, or `the instance's`.
        owner: &'static str,
    },
    /// The role is held, so it cannot be retired without another in its place.
    #[error("the role `{role}` is held by {holders}; name a replacement, or take it from them first")]
    RoleHeld {
        /// The role.
        role: String,
        /// How many hold it, in words.
        holders: String,
    },
    /// Policies name the role, and would mean another one once somebody takes its name.
    #[error("the role `{role}` is one of allowed_roles of {organizations}; take it out of there first")]
    RoleNamed {
        /// The role.
        role: String,
        /// The organizations whose policies name it, some of them.
        organizations: String,
    },
    /// The organization's policy leaves no room for one more token.
    #[error("the organization's policy leaves no room for another token: {setting} is {limit}{}", .until.map(|u| format!("; the next may be minted from {u} on")).unwrap_or_default())]
    PolicyLimit {
        /// The setting.
        setting: &'static str,
        /// What it is.
        limit: u32,
        /// From when on there is room, where time alone makes it.
        until: Option<Timestamp>,
    },
    /// There are as many of a thing as there may be.
    #[error("{place} has no room for more {what}: {most} is the most")]
    LimitReached {
        /// In the words of who asked: `the instance`, `organization acme`.
        place: String,
        /// What there are too many of.
        what: &'static str,
        /// The most that there may be.
        most: usize,
    },
    /// A key that is to be imported is known: it belongs to a token, or did.
    #[error(
        "a token has or had this key; a text is never that of two tokens, and what was revoked does not come back"
    )]
    HashKnown,
    /// The invitation can no longer be accepted or changed.
    #[error("the invitation {state}; ask for a new one")]
    InvitationEnded {
        /// `was accepted`, `was withdrawn`, `has expired`, `is void: …`.
        state: &'static str,
    },
    /// The person has a role there already.
    #[error("this person is a member of {place} already; set another role instead")]
    AlreadyMember {
        /// `organization acme`.
        place: String,
    },
    /// An organization keeps an owner.
    #[error("this is the last owner of {organization}; make somebody else an owner first")]
    LastOwner {
        /// `organization acme`.
        organization: String,
    },
    /// Somebody who is a member is not erased.
    #[error("the person {user} is a member of {organizations}; offboard it first")]
    StillMember {
        /// The person's id.
        user: String,
        /// The organizations, some of them.
        organizations: String,
    },
    /// The thing has changed since the caller read it.
    #[error("it has changed since: the revision is {current} now, not {expected}")]
    PreconditionFailed {
        /// The revision it has.
        current: u64,
        /// The revision that was named.
        expected: u64,
    },
    /// What a filter chooses is no longer as many as the caller was shown.
    #[error("the filter chooses {current} tokens now, not {expected}: look at them again")]
    CountChanged {
        /// How many it chooses.
        current: u64,
        /// How many were expected.
        expected: u64,
    },
    /// The idempotency key came with another body.
    #[error("this idempotency key was used within 24 hours for another request; take a new key")]
    IdempotencyKeyReused,
}

/// What is wrong with a value: in words that also fit one that is not there.
pub fn wrong(value: &str, expected: &str) -> String {
    if value.is_empty() {
        format!("missing; it has to be {expected}")
    } else {
        format!("`{value}` is not {expected}")
    }
}

impl Rejection {
    /// A value that cannot be; long values are cut.
    pub fn invalid(field: &'static str, value: &str, expected: String) -> Self {
        Self::Invalid { field, value: shown(value), expected }
    }

    /// No such thing, or none that the caller may know of.
    pub fn not_found(kind: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound { kind, value: shown(&value.to_string()) }
    }

    /// Whether the caller was refused for what it may do, so that the log shows a refusal and not a use. What does not
    /// exist counts like what is hidden, or the record would tell them apart. A key that a token has counts as well: who
    /// asks for many of them is guessing.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Forbidden { .. } | Self::Escalation { .. } | Self::NotFound { .. } | Self::HashKnown
        )
    }
}

/// A refused value as an error may show it.
fn shown(value: &str) -> String {
    text::echo(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Kind, Secret};

    #[test]
    fn no_error_shows_a_secret() {
        let secret = Secret::from_entropy(Kind::Organization, &[7; 64]).into_text();
        for pad in ["", "x", &"é".repeat(60)] {
            let value = format!("{pad}{secret}");
            for rejection in [
                Rejection::invalid("name", &value, "a name".to_owned()),
                Rejection::not_found("organization", &value),
            ] {
                assert!(!rejection.to_string().contains(&secret[..20]), "{rejection}");
            }
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let value = |rejection| match rejection {
            Rejection::NotFound { value, .. } => value,
            other => panic!("{other}"),
        };
        assert_eq!(value(Rejection::not_found("token", &"é".repeat(80))), "é".repeat(80));
        assert_eq!(value(Rejection::not_found("token", &"é".repeat(81))), format!("{}…", "é".repeat(80)));
    }

    #[test]
    fn a_refused_value_is_shown_without_characters_that_forge() {
        let shown = Rejection::invalid("name", "a\u{1b}[31m\u{202e}b", "a name".to_owned()).to_string();
        assert!(shown.contains("`a\u{fffd}[31m\u{fffd}b`"), "{shown:?}");
    }
}
