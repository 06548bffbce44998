//! An organization as a file that can be reviewed and kept under version control.

use crate::failure::Failure;
use api::wire::{Level, OrganizationPolicy, OrganizationPolicyChange};
use domain::permission::{Pattern, PermissionSet};
use domain::time::parse_duration;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The shape of files that this build writes and reads.
const VERSION: u32 = 1;

/// What stands in the file. A section that is absent is not looked at; what is absent in a section is nothing, not "as
/// it is".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizationFile {
    version: u32,
    pub(super) organization: Named,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<Policy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) roles: Option<BTreeMap<String, Role>>,
    /// The members of the organization; with them those of the projects are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) members: Option<Members>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) projects: BTreeMap<String, Described>,
}

/// Roles by mail address or, where that does not name one person, by user id.
pub(super) type Members = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) members: Members,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub(super) level: Level,
    pub(super) permissions: BTreeSet<String>,
}

/// What tokens may be at most; what is absent restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_lifetime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_lifetime: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    expiry_required: bool,
    #[serde(skip_serializing_if = "is_default")]
    max_inactive_days: u32,
    #[serde(skip_serializing_if = "is_default")]
    allowed_networks: BTreeSet<String>,
    #[serde(skip_serializing_if = "is_default")]
    max_mints_per_hour: u32,
    #[serde(skip_serializing_if = "is_default")]
    max_live_tokens: u32,
    #[serde(skip_serializing_if = "is_default")]
    rotation_due_days: u32,
    #[serde(skip_serializing_if = "is_default")]
    rotation_enforced: bool,
    #[serde(skip_serializing_if = "is_default")]
    allowed_roles: BTreeSet<String>,
    /// Absent is the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    leak_response: Option<String>,
}

/// What a report of a leak does where nothing is said.
const USUAL_LEAK_RESPONSE: &str = "cascade";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl OrganizationFile {
    pub(super) fn new(organization: Named) -> Self {
        let projects = BTreeMap::new();
        Self { version: VERSION, organization, policy: None, roles: None, members: None, projects }
    }

    /// Reads a file.
    pub(super) fn read(text: &str, name: &str) -> Result<Self, Failure> {
        let wrong = |error: String| Failure::Usage(format!("{name}: {error}"));
        let mut file: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if file.version != VERSION {
            return Err(wrong(format!("version: `{}` is not {VERSION}", file.version)));
        }
        for role in file.roles.iter_mut().flat_map(BTreeMap::values_mut) {
            role.permissions = simplest(&role.permissions);
        }
        let places =
            file.members.iter_mut().chain(file.projects.values_mut().map(|found| &mut found.members));
        for members in places {
            *members = addressed(members).map_err(wrong)?;
        }
        if file.members.is_none() && file.projects.values().any(|project| !project.members.is_empty()) {
            return Err(wrong(
                "members: missing; a project has members, so name those of the organization too".to_owned(),
            ));
        }
        Ok(file)
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        toml::to_string_pretty(self).expect("names and texts can be written as TOML")
    }
}

/// Permissions as a role has them: none that another one covers. What is none is left for the server to refuse.
fn simplest(permissions: &BTreeSet<String>) -> BTreeSet<String> {
    let parsed: Option<Vec<Pattern>> = permissions.iter().map(|text| Pattern::parse(text)).collect();
    match parsed {
        Some(patterns) => PermissionSet::new(patterns)
            .patterns()
            .iter()
            .map(|pattern| pattern.as_str().to_owned())
            .collect(),
        None => permissions.clone(),
    }
}

/// Members by their addresses as the server writes them.
fn addressed(members: &Members) -> Result<Members, String> {
    let mut found = Members::new();
    for (key, role) in members {
        if found.insert(address(key), role.clone()).is_some() {
            return Err(format!("members: `{key}` stands there twice"));
        }
    }
    Ok(found)
}

/// A mail address with its host in lower case; another text as it is.
fn address(text: &str) -> String {
    match text.trim().rsplit_once('@') {
        Some((local, host)) => format!("{local}@{}", host.to_lowercase()),
        None => text.trim().to_owned(),
    }
}

impl Policy {
    pub(super) fn of(policy: &OrganizationPolicy) -> Self {
        Self {
            max_lifetime: policy.max_lifetime.clone(),
            default_lifetime: policy.default_lifetime.clone(),
            expiry_required: policy.expiry_required,
            max_inactive_days: policy.max_inactive_days,
            allowed_networks: policy.allowed_networks.iter().cloned().collect(),
            max_mints_per_hour: policy.max_mints_per_hour,
            max_live_tokens: policy.max_live_tokens,
            rotation_due_days: policy.rotation_due_days,
            rotation_enforced: policy.rotation_enforced,
            allowed_roles: policy.allowed_roles.iter().cloned().collect(),
            leak_response: Some(policy.leak_response.clone()).filter(|said| said != USUAL_LEAK_RESPONSE),
        }
    }

    /// The change that makes a policy this one, whatever it is.
    pub(super) fn change(&self) -> OrganizationPolicyChange {
        let policy = self.clone();
        OrganizationPolicyChange {
            // The empty text is none.
            max_lifetime: Some(policy.max_lifetime.unwrap_or_default()),
            default_lifetime: Some(policy.default_lifetime.unwrap_or_default()),
            expiry_required: Some(policy.expiry_required),
            max_inactive_days: Some(policy.max_inactive_days),
            allowed_networks: Some(policy.allowed_networks.into_iter().collect()),
            max_mints_per_hour: Some(policy.max_mints_per_hour),
            max_live_tokens: Some(policy.max_live_tokens),
            rotation_due_days: Some(policy.rotation_due_days),
            rotation_enforced: Some(policy.rotation_enforced),
            allowed_roles: Some(policy.allowed_roles.into_iter().collect()),
            leak_response: Some(policy.leak_response.unwrap_or_else(|| USUAL_LEAK_RESPONSE.to_owned())),
            dry_run: false,
        }
    }

    /// Each setting that another policy has differently, with its values here and there; none is an absent one.
    pub(super) fn differences(&self, other: &Self) -> Vec<(String, Option<String>, Option<String>)> {
        let (mine, theirs) = (self.table(), other.table());
        let names: BTreeSet<&String> = mine.keys().chain(theirs.keys()).collect();
        let differ = |name: &&String| !same(mine.get(*name), theirs.get(*name));
        let text = |value: Option<&toml::Value>| value.map(ToString::to_string);
        names
            .into_iter()
            .filter(differ)
            .map(|name| (name.clone(), text(mine.get(name)), text(theirs.get(name))))
            .collect()
    }

    fn table(&self) -> toml::Table {
        toml::Table::try_from(self).expect("a policy is a table")
    }
}

/// Whether two values of a setting say the same: `24h` and `1d` do.
fn same(one: Option<&toml::Value>, other: Option<&toml::Value>) -> bool {
    let lifetime = |value: Option<&toml::Value>| value.and_then(toml::Value::as_str).and_then(parse_duration);
    one == other || (lifetime(one).is_some() && lifetime(one) == lifetime(other))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn file(text: &str) -> OrganizationFile {
        OrganizationFile::read(text, "acme.toml").unwrap()
    }

    pub(in super::super) const ACME: &str = r#"version = 1

[organization]
name = "acme"
display_name = "Acme"

[policy]
max_lifetime = "90d"
allowed_roles = ["member", "deployer"]

[roles.deployer]
level = "project"
permissions = ["deployments:*", "deployments:create", "projects:read"]

[members]
"Ada@Example.org" = "owner"

[projects.api]

[projects.web]
display_name = "The \"web\""

[projects.web.members]
"grace@example.org" = "deployer"
"#;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let read = file(ACME);
        assert_eq!(file(&read.text()), read);
        assert_eq!(read.projects["web"].display_name.as_deref(), Some("The \"web\""));
        insta::assert_snapshot!(read.text(), @r#"
        version = 1

        [organization]
        name = "acme"
        display_name = "Acme"

        [policy]
        max_lifetime = "90d"
        allowed_roles = [
            "deployer",
            "member",
        ]

        [roles.deployer]
        level = "project"
        permissions = [
            "deployments:*",
            "projects:read",
        ]

        [members]
        "Ada@example.org" = "owner"

        [projects.api]

        [projects.web]
        display_name = 'The "web"'

        [projects.web.members]
        "grace@example.org" = "deployer"
        "#);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "version = 1",
            &ACME.replace("version = 1", "version = 2"),
            &ACME.replace("[projects.api]", "[projects.api]\ncolour = \"red\""),
            &ACME.replace("[projects.api]", "[trust.api]"),
            &ACME.replace("\"acme\"", "7"),
            &ACME.replace("\"90d\"", "90"),
            &ACME.replace("level = \"project\"", "level = \"galaxy\""),
            &ACME.replace(
                "[projects.api]",
                "[projects.api.members]\n\"a@X.org\" = \"r\"\n\"a@x.org\" = \"r\"",
            ),
            &ACME.replace("[members]\n\"Ada@Example.org\" = \"owner\"\n", ""),
        ] {
            assert!(matches!(OrganizationFile::read(bad, "f"), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn policies_differ_by_what_they_say_and_not_by_how() {
        let policy = |text: &str| toml::from_str::<Policy>(text).unwrap();
        let day = policy("max_lifetime = \"1d\"\nmax_inactive_days = 30");
        assert_eq!(day.differences(&policy("max_lifetime = \"24h\"\nmax_inactive_days = 30")), []);
        let none = |name: &str, there: &str| (name.to_owned(), None, Some(there.to_owned()));
        assert_eq!(
            Policy::default().differences(&day),
            [none("max_inactive_days", "30"), none("max_lifetime", "\"1d\"")]
        );
    }
}
