//! Why a command is refused. Each rejection names what was wrong, with which value, and what would be right.

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
    /// No such thing, or none that the caller may know of: the two are told apart only on the log.
    #[error("there is no {kind} `{value}`")]
    NotFound {
        /// `organization`, `project`, `token`, `role`.
        kind: &'static str,
        /// What was asked for.
        value: String,
        /// It exists, but the caller may not read it.
        hidden: bool,
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
    #[error("{field}: `{value}` is not {expected}")]
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
    /// The thing has changed since the caller read it.
    #[error("it has changed since: the revision is {current} now, not {expected}")]
    PreconditionFailed {
        /// The revision it has.
        current: u64,
        /// The revision that was named.
        expected: u64,
    },
    /// The idempotency key came with another body.
    #[error("this idempotency key was used within 24 hours for another request; take a new key")]
    IdempotencyKeyReused,
}

impl Rejection {
    /// A value that cannot be; long values are cut.
    pub fn invalid(field: &'static str, value: &str, expected: String) -> Self {
        let shown: String = value.chars().take(80).collect();
        let value = if shown.len() < value.len() { format!("{shown}…") } else { shown };
        Self::Invalid { field, value, expected }
    }

    /// No such thing.
    pub fn not_found(kind: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound { kind, value: value.to_string(), hidden: false }
    }

    /// Such a thing exists, and the caller may not know.
    pub fn hidden(kind: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        Self::NotFound { kind, value: value.to_string(), hidden: true }
    }

    /// Whether the caller was refused for what it may do, so that the log shows a refusal and not a use.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Escalation { .. } | Self::NotFound { hidden: true, .. })
    }
}
