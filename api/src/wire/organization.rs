use super::{OrganizationStatus, StatusChange};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schema(example = "acme")]
    pub name: String,
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Acme Corporation")]
    pub display_name: Option<String>,
    /// Whether its tokens are in force.
    pub status: OrganizationStatus,
    /// When it began.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub created_at: String,
    /// How it was suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<StatusChange>,
    /// How it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<StatusChange>,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// A new organization.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its name: a DNS label (1 to 63 of a-z, 0-9 and inner hyphens) that is not shaped like a UUID.
    #[schema(example = "acme")]
    pub name: String,
    /// What people read, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Acme Corporation")]
    pub display_name: Option<String>,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its id.
    pub id: Uuid,
    /// The name of its organization.
    #[schema(example = "acme")]
    pub organization: String,
    /// The id of its organization.
    pub organization_id: Uuid,
    /// Its name.
    #[schema(example = "web")]
    pub name: String,
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// When it began.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub created_at: String,
    /// How it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<StatusChange>,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// A new project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its name, unique in its organization: a DNS label that is not shaped like a UUID.
    #[schema(example = "web")]
    pub name: String,
    /// What people read, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Another name or display name; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The new name. An organization's old one stays reserved for 90 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new display name; empty removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}
