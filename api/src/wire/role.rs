use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a role can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// On the instance.
    Instance,
    /// In an organization.
    Organization,
    /// In a project.
    Project,
}

/// A role: a named set of permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Role {
    /// Its name, unique among the instance's roles and those of one organization.
    #[schema(example = "deployer")]
    pub name: String,
    /// The name of the organization whose own it is; absent for the instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme")]
    pub organization: Option<String>,
    /// The id of the organization whose own it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// Where it can be held.
    pub level: Level,
    /// What it may do: `noun:verb`, `noun:*` or `*`; sorted, none of them covered by another.
    #[schema(example = json!(["deployments:create", "deployments:read"]))]
    pub permissions: Vec<String>,
    /// Whether every authority has it, and it cannot be changed.
    pub built_in: bool,
    /// How many live tokens hold it, among those that the caller may read; absent where the role is shown as the answer
    /// to a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<u64>,
    /// How many members of the organization hold it, in it or in one of its projects, among those that the caller may
    /// read; absent where the role is shown as the answer to a change, or as one of the instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// When it began.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub created_at: String,
    /// Who defined it.
    #[schema(example = "org-token:chyo_4fT9aQ1")]
    pub created_by: String,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// A new role.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "deployer", "level": "project", "permissions": ["deployments:create", "deployments:read"]
}))]
pub struct NewRole {
    /// Its name: a DNS label that no built-in role has, nor any other that can be held in the same place.
    pub name: String,
    /// Where it can be held; an organization's own in it or in its projects.
    pub level: Level,
    /// What it may do: `noun:verb`, `noun:*` or `*`; 1 to 200.
    pub permissions: Vec<String>,
}

/// A change of what a role may do: all of it, or what is added and removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"add": ["deployments:read"], "remove": ["deployments:create"]}))]
pub struct RoleChange {
    /// All that it may do from now on; without `add` and `remove`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<String>>,
    /// What it may do as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// What it may no longer do: permissions as they stand in the role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// A role that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetiredRole {
    /// Its name, which is free again.
    #[schema(example = "deployer")]
    pub name: String,
    /// The name of the organization whose own it was; absent for the instance's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "acme")]
    pub organization: Option<String>,
    /// What its holders have in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "project-writer")]
    pub replacement: Option<String>,
}
