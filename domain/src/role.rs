//! Roles, and the built-in ones.

use crate::name::Name;
use crate::permission::{Pattern, PermissionSet};
use serde::{Deserialize, Serialize};

/// The role whose last holder an organization keeps.
pub const OWNER: &str = "owner";
/// The role that a provisioner may invite to at most, once an organization has had an owner.
pub const MEMBER: &str = "member";

/// Where a role can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// On the instance.
    Instance,
    /// In an organization.
    Organization,
    /// In a project.
    Project,
}

impl Level {
    /// As lines and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Organization => "organization",
            Self::Project => "project",
        }
    }
}

/// A role that every authority has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name, which no other role takes.
    pub name: Name,
    /// Where it can be held.
    pub level: Level,
    /// What it may do.
    pub permissions: PermissionSet,
}

/// The built-in roles: name, level, permissions. They are enrolled on the log at first start, and again when an
/// upgrade changes them, so that a replay never depends on the binary.
const BUILT_IN: &[(&str, Level, &[&str])] = &[
    ("instance-admin", Level::Instance, &["*"]),
    (
        "instance-auditor",
        Level::Instance,
        &[
            "instance:read",
            "organizations:read",
            "projects:read",
            "tokens:read",
            "members:read",
            "roles:read",
            "policies:read",
            "audit:read",
            "leaks:read",
        ],
    ),
    ("instance-verifier", Level::Instance, &["tokens:verify"]),
    ("provisioner", Level::Instance, &["organizations:create", "organizations:read", "members:invite"]),
    ("owner", Level::Organization, &["*"]),
    (
        "admin",
        Level::Organization,
        &[
            "organizations:read",
            "organizations:update",
            "projects:*",
            "tokens:*",
            "members:*",
            "roles:*",
            "policies:read",
            "audit:read",
            "leaks:read",
            "deployments:*",
        ],
    ),
    (
        "member",
        Level::Organization,
        &["organizations:read", "projects:read", "tokens:read", "tokens:mint", "members:read", "roles:read"],
    ),
    (
        "auditor",
        Level::Organization,
        &[
            "organizations:read",
            "projects:read",
            "tokens:read",
            "members:read",
            "roles:read",
            "policies:read",
            "audit:read",
            "leaks:read",
        ],
    ),
    ("verifier", Level::Organization, &["tokens:verify"]),
    (
        "project-admin",
        Level::Project,
        &["projects:*", "tokens:*", "members:*", "roles:read", "audit:read", "leaks:read", "deployments:*"],
    ),
    ("project-writer", Level::Project, &["projects:read", "deployments:*"]),
    ("project-reader", Level::Project, &["projects:read", "deployments:read"]),
];

/// Whether a built-in role has this name.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, ..)| *built_in == name)
}

/// The built-in roles of this build.
pub fn built_in() -> impl Iterator<Item = BuiltIn> {
    BUILT_IN.iter().map(|(name, level, permissions)| BuiltIn {
        name: Name::label(name).expect("built-in roles have valid names"),
        level: *level,
        permissions: PermissionSet::new(
            permissions
                .iter()
                .map(|text| Pattern::parse(text).expect("built-in roles have valid permissions")),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> BuiltIn {
        built_in().find(|role| role.name.as_str() == name).unwrap()
    }

    fn covers(wide: &str, narrow: &str) -> bool {
        role(narrow).permissions.patterns().iter().all(|p| role(wide).permissions.covers(p))
    }

    #[test]
    fn stronger_roles_can_give_out_weaker_ones() {
        for weaker in
            ["admin", "member", "auditor", "verifier", "project-admin", "project-writer", "project-reader"]
        {
            assert!(covers("owner", weaker), "owner < {weaker}");
        }
        for weaker in ["member", "auditor", "verifier", "project-admin", "project-writer", "project-reader"] {
            assert!(covers("admin", weaker), "admin < {weaker}");
        }
        assert!(covers("project-admin", "project-writer") && covers("project-writer", "project-reader"));
        assert!(!covers("admin", "owner") && !covers("member", "admin") && !covers("member", "verifier"));
    }
}
