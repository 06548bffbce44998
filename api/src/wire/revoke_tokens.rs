use super::{Scope, Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The end of all live tokens that a filter chooses.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "filter": {"scope": {"organization": "acme"}, "created_by": "org-token:chyo_4fT9aQ1"}, "expected_count": 17,
    "reason": "leaked"
}))]
pub struct RevokeTokens {
    /// Which tokens.
    #[serde(deserialize_with = "crate::object::object")]
    pub filter: TokenFilter,
    /// How many they have to be: the `count` of a preview. If they are no longer as many, none is revoked (409). Needed
    /// unless `dry_run` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_count: Option<u64>,
    /// Why: `requested` (when absent) or `leaked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, in your words; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Only say which and how many.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Which tokens are meant: those that everything stated here is true of.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenFilter {
    /// Of an organization with all of its projects, of one project, or of the instance's own tokens (those of
    /// organizations are not among them).
    #[serde(deserialize_with = "crate::object::object")]
    pub scope: Scope,
    /// Minted by this actor (`org-token:chyo_4fT9aQ1`), or by the token with this id under whichever secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Answered for by the person with this id: who minted them, or minted what minted them, or took them over; with
    /// the person's sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Minted then or later (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_from: Option<String>,
    /// Minted earlier than then (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<String>,
    /// Holding this role, at its scope or in a project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// What a filter chooses, or chose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RevokedTokens {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// How many live tokens are chosen, or were revoked.
    pub count: u64,
    /// Of a preview, the oldest of them that the caller may read, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
}
