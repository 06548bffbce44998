use super::{Scope, Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A page of the review of an organization's access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AccessReview {
    /// The name of the organization.
    pub organization: String,
    /// When it was made.
    pub at: String,
    /// The size of the log whose uses are known at least.
    pub uses_through: u64,
    /// Its tokens.
    pub items: Vec<ReviewedToken>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A live token, and what there is to be confirmed of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReviewedToken {
    /// The token.
    pub token: Token,
    /// What it may do, where.
    pub held: Vec<HeldPermissions>,
    /// What it was ever used for.
    pub used: Vec<UsedPermission>,
    /// What it may do and was never used for. A wildcard stands for the permissions that are known in the organization.
    pub never_used: Vec<String>,
    /// What it was used for and still may do: a role of least privilege has these.
    pub needed: Vec<String>,
    /// The role there is with the fewest permissions that has them all, if it is less than what the token has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrower_role: Option<String>,
    /// The person who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers_for: Option<Person>,
    /// Who should confirm it: the person who answers for it, or the organization's owners. Empty where it has none: then
    /// the instance's administrators.
    pub confirm: Vec<Person>,
}

/// Permissions at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldPermissions {
    /// The place.
    pub place: Scope,
    /// In their shortest form.
    #[schema(example = json!(["deployments:*", "projects:read"]))]
    pub permissions: Vec<String>,
}

/// A permission that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsedPermission {
    /// The permission.
    #[schema(example = "deployments:create")]
    pub permission: String,
    /// When last, to within an hour.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub last_used_at: String,
}

/// A person by whom something is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// The person's id.
    pub user: Uuid,
    /// The mail address; absent when it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The person's name; absent when it was not said, or was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which of the fields above are absent because they were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub erased: Vec<String>,
    /// Which of them are absent because what is kept is not what the line was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub altered: Vec<String>,
}
