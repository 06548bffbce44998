//! How roles are shown to people. A role has no id: its name names it.

use crate::output::rows::Row;
use crate::output::table::Tone;
use crate::output::times::exact;
use api::wire::{Level, RetiredRole, Role};
use domain::time::Timestamp;

fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Instance => "instance",
        Level::Organization => "organization",
        Level::Project => "project",
    }
}

/// Whose own it is.
fn owner(role: &Role) -> &str {
    if role.built_in { "built in" } else { role.organization.as_deref().unwrap_or("instance") }
}

fn count(count: Option<u64>) -> String {
    count.map(|count| count.to_string()).unwrap_or_default()
}

impl Row for Role {
    const COLUMNS: &'static [&'static str] = &["NAME", "LEVEL", "OF", "TOKENS", "MEMBERS", "PERMISSIONS"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(&self.name),
            plain(level(self.level)),
            plain(owner(self)),
            plain(count(self.holders)),
            plain(count(self.members)),
            plain(self.permissions.join(", ")),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("NAME", self.name.clone()),
            ("LEVEL", level(self.level).to_owned()),
            ("OF", owner(self).to_owned()),
            ("PERMISSIONS", self.permissions.join(", ")),
            ("TOKENS", count(self.holders)),
            ("MEMBERS", count(self.members)),
            ("CREATED", exact(&self.created_at, now)),
            ("CREATED BY", self.created_by.clone()),
            ("REVISION", self.revision.to_string()),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Row for RetiredRole {
    const COLUMNS: &'static [&'static str] = &["NAME", "OF", "REPLACED BY"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(&self.name),
            plain(self.organization.as_deref().unwrap_or("instance")),
            plain(self.replacement.as_deref().unwrap_or_default()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("NAME", self.name.clone()),
            ("OF", self.organization.clone().unwrap_or_else(|| "instance".to_owned())),
            ("REPLACED BY", self.replacement.clone().unwrap_or_default()),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table;

    fn role(name: &str, organization: Option<&str>, built_in: bool) -> Role {
        Role {
            name: name.to_owned(),
            organization: organization.map(str::to_owned),
            organization_id: None,
            level: Level::Project,
            permissions: vec!["deployments:create".to_owned(), "projects:read".to_owned()],
            built_in,
            holders: Some(3),
            members: Some(1),
            created_at: "2026-11-19T10:15:00.000000Z".to_owned(),
            created_by: "admin-token".to_owned(),
            revision: 17,
        }
    }

    #[test]
    fn roles_stand_in_a_table() {
        let now = Timestamp::parse("2026-11-22T12:00:00Z").unwrap();
        let shown = Role { holders: None, members: None, ..role("shared", None, false) };
        let rows = [role("deployer", Some("acme"), false), role("project-writer", None, true), shown];
        let rows = rows.iter().map(|role| role.cells(now)).collect();
        insta::assert_snapshot!(table::columns(Role::COLUMNS, rows, false), @r"
        NAME            LEVEL    OF        TOKENS  MEMBERS  PERMISSIONS
        deployer        project  acme      3       1        deployments:create, projects:read
        project-writer  project  built in  3       1        deployments:create, projects:read
        shared          project  instance  -       -        deployments:create, projects:read
        ");
    }
}
