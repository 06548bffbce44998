use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether an organization's tokens are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrganizationStatus {
    /// They are.
    Active,
    /// They are refused until it is restored.
    Suspended,
    /// They have ended with it.
    Deleted,
}

/// How an organization was suspended, or an organization or a project deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusChange {
    /// When.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub at: String,
    /// By whom.
    #[schema(example = "admin-token")]
    pub by: String,
    /// Why, in somebody's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A suspension, or its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Why, in your words; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A deletion.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The name of what is to be deleted, so that nobody deletes another by mistake.
    #[schema(example = "acme")]
    pub confirm: String,
    /// Why, in your words; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How much there is in an organization, its projects included, or in a project. A deletion ends it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contents {
    /// Projects, of an organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<u64>,
    /// Tokens.
    pub tokens: TokenCounts,
    /// Of a project: live tokens of the organization that hold a role at it. A deletion takes that role from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<u64>,
    /// Persons who have a role in it; absent for who may not read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// Invitations to it that can be accepted; absent for who may not read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitations: Option<u64>,
}

/// How many tokens there are, by what has become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenCounts {
    /// Neither expired nor revoked.
    pub live: u64,
    /// Past their time.
    pub expired: u64,
    /// Revoked.
    pub revoked: u64,
}
