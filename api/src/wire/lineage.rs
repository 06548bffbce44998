use super::{Revocation, Scope, Status};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Who minted a token, and what it minted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lineage {
    /// The token itself.
    pub token: LineageNode,
    /// Who minted it, who minted that, and so on up to the first, or to the first that the caller may not read.
    pub ancestors: Vec<LineageNode>,
    /// What it minted, then what that minted, level by level, each in the order of minting.
    pub descendants: Vec<LineageNode>,
    /// Whether there are more than `depth` and `limit` let through. Ask for the lineage of one of those that are here,
    /// or list with `created_by`.
    pub cut: bool,
}

/// A token in a lineage. One that the caller may not read has nothing but its `id`, and `hidden`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineageNode {
    /// Its id.
    pub id: Uuid,
    /// The caller may not read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// How far it is from the token that was asked about: below it more than 0, above it less.
    pub depth: i64,
    /// The token that minted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Uuid>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The first 12 characters of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Where it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// Whether it was narrowed from its parent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    /// What has become of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// When it was minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Who minted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// In force until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it was last used, about a second behind the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// How it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
    /// How many tokens it minted, whether they are here or not.
    #[serde(default)]
    pub minted: u64,
}
