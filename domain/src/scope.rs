//! Where a token acts, and what it holds there.

use crate::id::{OrganizationId, ProjectId};
use crate::name::Name;
use crate::role::Level;
use crate::secret::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// The instance, one organization, or one project in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The whole instance.
    Instance,
    /// One organization and every project in it.
    Organization(OrganizationId),
    /// One project.
    Project(OrganizationId, ProjectId),
}

impl Scope {
    /// Its organization, none for the instance.
    pub fn organization(self) -> Option<OrganizationId> {
        match self {
            Self::Instance => None,
            Self::Organization(organization) | Self::Project(organization, _) => Some(organization),
        }
    }

    /// Its project, if it is one.
    pub fn project(self) -> Option<ProjectId> {
        match self {
            Self::Project(_, project) => Some(project),
            Self::Instance | Self::Organization(_) => None,
        }
    }

    /// The level of roles that are held right there.
    pub fn level(self) -> Level {
        match self {
            Self::Instance => Level::Instance,
            Self::Organization(_) => Level::Organization,
            Self::Project(..) => Level::Project,
        }
    }

    /// Whether `other` is this scope or lies inside it.
    pub fn contains(self, other: Self) -> bool {
        match (self, other) {
            (Self::Instance, _) => true,
            (Self::Organization(mine), _) => other.organization() == Some(mine),
            (Self::Project(..), _) => self == other,
        }
    }

    /// The kind of secret that a token of this scope has.
    pub fn secret_kind(self) -> Kind {
        match self {
            Self::Instance => Kind::Instance,
            Self::Organization(_) => Kind::Organization,
            Self::Project(..) => Kind::Project,
        }
    }
}

/// A role given to a token at its scope, or at a project inside it. In a line: `role` or `role@<project id>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    /// The role's name.
    pub role: Name,
    /// The project, when it is not held at the token's own scope.
    pub project: Option<ProjectId>,
}

impl Grant {
    /// Where a token of `scope` holds this grant.
    pub fn place(&self, scope: Scope) -> Scope {
        match (self.project, scope.organization()) {
            (Some(project), Some(organization)) => Scope::Project(organization, project),
            _ => scope,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.project {
            Some(project) => write!(f, "{}@{project}", self.role),
            None => write!(f, "{}", self.role),
        }
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let (role, project) = match text.split_once('@') {
            Some((role, project)) => (role, Some(project.parse().map_err(D::Error::custom)?)),
            None => (&*text, None),
        };
        let role =
            Name::label(role).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not a grant")))?;
        Ok(Self { role, project })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn scopes_contain_what_lies_inside() {
        let (acme, other) = (OrganizationId(Uuid::from_u128(1)), OrganizationId(Uuid::from_u128(2)));
        let web = ProjectId(Uuid::from_u128(3));
        let project = Scope::Project(acme, web);
        assert!(Scope::Instance.contains(project) && Scope::Organization(acme).contains(project));
        assert!(project.contains(project) && !project.contains(Scope::Organization(acme)));
        assert!(
            !Scope::Organization(other).contains(project)
                && !Scope::Organization(acme).contains(Scope::Instance)
        );
    }

    #[test]
    fn grants_round_trip() {
        for text in ["\"member\"", "\"project-writer@019ab7a4-0000-7000-8000-000000000001\""] {
            let grant: Grant = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&grant).unwrap(), text);
        }
        for bad in ["\"\"", "\"@\"", "\"a@b\"", "\"A\""] {
            assert!(serde_json::from_str::<Grant>(bad).is_err());
        }
    }
}
