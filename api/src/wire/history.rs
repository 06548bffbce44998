use super::{Organization, OrganizationPolicy, Policy, Project, Role, Scope, Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A moment of the log's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// The number of lifecycle events until then.
    pub version: u64,
    /// The time that is looked at.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub time: String,
}

/// A member as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PastMember {
    /// The person's id.
    pub user: Uuid,
    /// Where the role was held.
    pub scope: Scope,
    /// The role.
    #[schema(example = "member")]
    pub role: String,
    /// When the person became a member there.
    pub since: String,
}

/// What there was at a moment: one kind of things, as it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AsOf {
    /// When.
    pub moment: Moment,
    /// Organizations, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizations: Option<Vec<Organization>>,
    /// Policies of organizations, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<OrganizationPolicy>>,
    /// The instance's policy, on the first page of its policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_policy: Option<Policy>,
    /// Projects, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projects: Option<Vec<Project>>,
    /// Members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<PastMember>>,
    /// Roles, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Role>>,
    /// Tokens, in the order of their minting. When they were last used is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<Token>>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Who could do something at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhoCould {
    /// When.
    pub moment: Moment,
    /// Members, by their own roles.
    pub members: Vec<PastMember>,
    /// Tokens in force; the instance's own first, where the caller may see them.
    pub tokens: Vec<Token>,
    /// There are more than the limit.
    pub cut: bool,
}

/// What a token or a member gained and lost at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessChange {
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Uuid>,
    /// The member's person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Uuid>,
    /// The token's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where.
    pub scope: Scope,
    /// What it could do after, and not before.
    pub gained: Vec<String>,
    /// What it could do before, and not after.
    pub lost: Vec<String>,
}

/// What changed between two moments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessDiff {
    /// The moment before.
    pub from: Moment,
    /// The moment after.
    pub to: Moment,
    /// Who gained and lost what, by principal: members, then tokens.
    pub changes: Vec<AccessChange>,
    /// There are more than the limit.
    pub cut: bool,
}
