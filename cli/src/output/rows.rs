//! How the things of the API are shown to people.

use super::people::kept;
use super::table::Tone;
use super::times::{ago, exact, relative};
use api::wire::{
    Imported, Leak, Organization, OrganizationPolicy, OrganizationStatus, Presentation, Project, Scope,
    Status, StatusChange, SweptToken, Token,
};
use domain::time::Timestamp;

/// Something that can stand in a table.
pub(crate) trait Row {
    /// The header of its table.
    const COLUMNS: &'static [&'static str];
    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)>;
    /// All that is known of it, in words.
    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)>;
    fn id(&self) -> String;
    fn secret(&self) -> Option<&str> {
        None
    }
}

pub(crate) fn plain(text: impl Into<String>) -> (String, Tone) {
    (text.into(), Tone::Plain)
}

impl Row for Organization {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "DISPLAY NAME", "STATUS", "CREATED"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(self.id),
            plain(&self.name),
            plain(self.display_name.as_deref().unwrap_or_default()),
            match self.status {
                OrganizationStatus::Active => plain("active"),
                OrganizationStatus::Suspended => ("suspended".to_owned(), Tone::Ended),
                OrganizationStatus::Deleted => ("deleted".to_owned(), Tone::Ended),
            },
            plain(ago(&self.created_at, now)),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut details = vec![
            ("ID", self.id.to_string()),
            ("NAME", self.name.clone()),
            ("DISPLAY NAME", self.display_name.clone().unwrap_or_default()),
            ("CREATED", exact(&self.created_at, now)),
        ];
        details.extend(change(["SUSPENDED", "SUSPENDED BY"], self.suspended.as_ref(), now));
        details.extend(change(["DELETED", "DELETED BY"], self.deleted.as_ref(), now));
        details.push(("REVISION", self.revision.to_string()));
        details
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// How something was suspended or deleted, if it was.
fn change(
    [time, by]: [&'static str; 2],
    change: Option<&StatusChange>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    change.map_or_else(Vec::new, |change| {
        vec![
            (time, exact(&change.at, now)),
            (by, change.by.clone()),
            ("NOTE", change.note.clone().unwrap_or_default()),
        ]
    })
}

impl Row for OrganizationPolicy {
    const COLUMNS: &'static [&'static str] = &["ORGANIZATION", "LIVE TOKENS", "REVISION"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(&self.organization),
            plain(self.hits.map_or_else(String::new, |hits| hits.live_tokens.to_string())),
            plain(self.revision.to_string()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        let hits = self.hits.unwrap_or_default();
        let live = self.hits.map_or_else(String::new, |hits| format!(" ({} live)", hits.live_tokens));
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "off".to_owned());
        let number = |number: u32, unit: &str| match number {
            0 => "off".to_owned(),
            number => format!("{number}{unit}"),
        };
        let list = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(", ") };
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        // What a setting hits is said where there is anything.
        let hit = |value: String, count: u64, what: &str| match count {
            0 => value,
            1 => format!("{value} (1 live token {what})"),
            count => format!("{value} ({count} live tokens {what})"),
        };
        vec![
            ("POLICY OF", self.organization.clone()),
            ("MAX LIFETIME", hit(text(&self.max_lifetime), hits.beyond_max_lifetime, "beyond it")),
            ("DEFAULT LIFETIME", text(&self.default_lifetime)),
            ("EXPIRY REQUIRED", hit(yes(self.expiry_required), hits.without_expiry, "without")),
            (
                "MAX INACTIVE",
                hit(number(self.max_inactive_days, " days"), hits.inactive, "revoked at the next sweep"),
            ),
            ("NETWORKS", hit(list(&self.allowed_networks), hits.outside_networks, "usable from nowhere")),
            ("MAX MINTS", number(self.max_mints_per_hour, " an hour")),
            ("MAX LIVE TOKENS", number(self.max_live_tokens, "") + &live),
            ("ROTATION DUE", hit(number(self.rotation_due_days, " days"), hits.rotation_overdue, "overdue")),
            ("ROTATION ENFORCED", yes(self.rotation_enforced)),
            ("ROLES", hit(list(&self.allowed_roles), hits.role_not_allowed, "with another")),
            ("LEAK RESPONSE", self.leak_response.clone()),
            ("REVISION", self.revision.to_string()),
        ]
    }

    fn id(&self) -> String {
        self.organization_id.to_string()
    }
}

impl Row for SweptToken {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "PREFIX", "UNUSED SINCE"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        vec![plain(self.id), plain(&self.name), plain(&self.prefix), plain(ago(&self.unused_since, now))]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("ID", self.id.to_string()),
            ("NAME", self.name.clone()),
            ("PREFIX", self.prefix.clone()),
            ("UNUSED SINCE", exact(&self.unused_since, now)),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Row for Project {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "ORGANIZATION", "DISPLAY NAME", "CREATED"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(self.id),
            plain(&self.name),
            plain(&self.organization),
            plain(self.display_name.as_deref().unwrap_or_default()),
            plain(ago(&self.created_at, now)),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut details = vec![
            ("ID", self.id.to_string()),
            ("NAME", self.name.clone()),
            ("ORGANIZATION", format!("{} ({})", self.organization, self.organization_id)),
            ("DISPLAY NAME", self.display_name.clone().unwrap_or_default()),
            ("CREATED", exact(&self.created_at, now)),
        ];
        details.extend(change(["DELETED", "DELETED BY"], self.deleted.as_ref(), now));
        details.push(("REVISION", self.revision.to_string()));
        details
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Row for Leak {
    const COLUMNS: &'static [&'static str] =
        &["TOKEN", "NAME", "SCOPE", "REPORTED", "REPORTED BY", "EVIDENCE", "SOURCE", "FOUND AT", "STATUS"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(self.token),
            plain(&self.name),
            plain(scope(&self.scope)),
            plain(ago(&self.at, now)),
            plain(&self.by),
            plain(&self.evidence),
            plain(self.source.as_deref().unwrap_or_default()),
            plain(self.url.as_deref().unwrap_or_default()),
            if self.revoked { plain("revoked") } else { ("in force".to_owned(), Tone::Ended) },
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn id(&self) -> String {
        self.token.to_string()
    }
}

/// Where an imported token comes from.
fn imported(imported: &Imported) -> String {
    let owner = kept("owner", imported.owner.as_deref(), &imported.erased, &imported.altered);
    let owner = if owner.is_empty() { owner } else { format!(", of {owner}") };
    let issued = imported.created_at.as_ref().map(|time| format!(", issued {time}")).unwrap_or_default();
    format!("by {}{owner}{issued}", imported.algorithm)
}

/// The days of use that people are shown.
const SHOWN_DAYS: usize = 7;

fn presentation(names: [&'static str; 3], of: &Presentation) -> [(&'static str, String); 3] {
    let [permission, address, agent] = names;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let own = |name, value: &Option<String>| kept(name, value.as_deref(), &of.erased, &of.altered);
    [
        (permission, text(&of.permission)),
        (address, own("address", &of.address)),
        (agent, own("agent", &of.agent)),
    ]
}

/// `instance`, `acme` or `acme/web`.
pub(crate) fn scope(scope: &Scope) -> String {
    match (&scope.organization, &scope.project) {
        (Some(organization), Some(project)) => format!("{organization}/{project}"),
        (Some(organization), None) => organization.clone(),
        _ => "instance".to_owned(),
    }
}

impl Row for Token {
    const COLUMNS: &'static [&'static str] =
        &["ID", "NAME", "SCOPE", "DESCRIPTION", "CREATED", "CREATED BY", "EXPIRES", "LAST USED", "REVOKED"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        let time = |time: &Option<String>| time.as_deref().map(|time| ago(time, now)).unwrap_or_default();
        let tone = |status| if self.status == status { Tone::Ended } else { Tone::Plain };
        vec![
            plain(self.id),
            plain(&self.name),
            plain(scope(&self.scope)),
            plain(self.description.as_deref().unwrap_or_default()),
            plain(ago(&self.created_at, now)),
            plain(&self.created_by),
            (
                self.expires_at.as_deref().map_or_else(|| "never".to_owned(), |time| relative(time, now)),
                tone(Status::Expired),
            ),
            plain(time(&self.last_used_at)),
            (
                self.revoked.as_ref().map(|revoked| ago(&revoked.at, now)).unwrap_or_default(),
                tone(Status::Revoked),
            ),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let time = |time: &Option<String>| time.as_deref().map(|time| exact(time, now)).unwrap_or_default();
        let status = match self.status {
            Status::Live => "live",
            Status::Expired => "expired",
            Status::Revoked => "revoked",
        };
        let mut details = vec![
            ("ID", self.id.to_string()),
            ("NAME", self.name.clone()),
            ("DESCRIPTION", self.description.clone().unwrap_or_default()),
            ("STATUS", status.to_owned()),
            ("PREFIX", self.prefix.clone()),
            ("SCOPE", scope(&self.scope)),
            ("GRANTS", self.grants.join(", ")),
            ("NETWORKS", self.allowed_networks.join(", ")),
            ("CREATED", exact(&self.created_at, now)),
            ("CREATED BY", self.created_by.clone()),
            (
                if self.narrowed { "NARROWED FROM" } else { "MINTED BY TOKEN" },
                self.parent.map(|id| id.to_string()).unwrap_or_default(),
            ),
            ("IMPORTED", self.imported.as_ref().map(imported).unwrap_or_default()),
            ("NOT BEFORE", time(&self.not_before)),
            (
                "EXPIRES",
                self.expires_at.as_deref().map_or_else(|| "never".to_owned(), |time| exact(time, now)),
            ),
            ("OLD SECRET UNTIL", time(&self.overlap_until)),
            ("ROTATION DUE", time(&self.rotation_due)),
            ("LAST USED", time(&self.last_used_at)),
        ];
        details.extend(
            self.last_used.iter().flat_map(|used| presentation(["USED FOR", "USED FROM", "USED BY"], used)),
        );
        if let Some(refused) = &self.last_refused {
            details.push(("LAST REFUSED", exact(&refused.at, now)));
            details.push(("REFUSED AS", refused.code.clone().unwrap_or_default()));
            details.extend(presentation(["REFUSED FOR", "REFUSED FROM", "REFUSED BY"], refused));
        }
        let days = self.days.iter().take(SHOWN_DAYS);
        let days = days.map(|day| format!("{} {}+{}", day.day, day.used, day.refused)).collect::<Vec<_>>();
        details.push(("USED+REFUSED", days.join(", ")));
        if let Some(revoked) = &self.revoked {
            details.extend([
                ("REVOKED", exact(&revoked.at, now)),
                ("REVOKED BY", revoked.by.clone()),
                ("REASON", revoked.reason.clone()),
                ("NOTE", revoked.note.clone().unwrap_or_default()),
                ("REVOKED WITH", revoked.cause.map(|id| id.to_string()).unwrap_or_default()),
            ]);
        }
        let metadata = self.metadata.as_ref().filter(|metadata| !metadata.is_empty());
        details.extend([
            ("METADATA", metadata.and_then(|all| serde_json::to_string(all).ok()).unwrap_or_default()),
            ("REVISION", self.revision.to_string()),
        ]);
        details
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;
    use api::wire::Revocation;
    use uuid::Uuid;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
    }

    fn token() -> Token {
        Token {
            id: Uuid::from_u128(0x0193_5000_0000_7000_8000_0000_0000_0001),
            name: "ci".to_owned(),
            description: Some("deploys\u{1b}[2J".to_owned()),
            prefix: "chyp_4fT9aQ1".to_owned(),
            secret: None,
            scope: Scope {
                organization: Some("acme".to_owned()),
                project: Some("web".to_owned()),
                instance: None,
            },
            organization_id: None,
            project_id: None,
            grants: vec!["project-writer".to_owned()],
            status: Status::Live,
            rotation_due: None,
            created_at: "2026-11-19T10:15:00.000000Z".to_owned(),
            created_by: "admin-token".to_owned(),
            parent: None,
            narrowed: false,
            imported: None,
            not_before: None,
            expires_at: Some("2026-12-19T10:15:00.000000Z".to_owned()),
            allowed_networks: vec!["10.0.0.0/8".to_owned()],
            metadata: serde_json::json!({"team": "web"}).as_object().cloned(),
            overlap_until: None,
            last_used_at: None,
            last_used: None,
            last_refused: None,
            days: Vec::new(),
            revoked: None,
            revision: 3,
        }
    }

    #[test]
    fn tokens_stand_in_a_table() {
        let revoked = Token {
            name: "old".to_owned(),
            description: None,
            expires_at: None,
            status: Status::Revoked,
            scope: Scope { instance: Some(true), ..Scope::default() },
            revoked: Some(Revocation {
                at: "2026-11-22T11:00:00.000000Z".to_owned(),
                by: "admin-token".to_owned(),
                reason: "leaked".to_owned(),
                note: None,
                cause: None,
            }),
            ..token()
        };
        let rows = vec![token().cells(now()), revoked.cells(now())];
        insta::assert_snapshot!(table::columns(Token::COLUMNS, rows, false), @r"
        ID                                    NAME  SCOPE     DESCRIPTION       CREATED     CREATED BY   EXPIRES     LAST USED  REVOKED
        01935000-0000-7000-8000-000000000001  ci    acme/web  deploys\u{1b}[2J  3 days ago  admin-token  in 27 days  -          -
        01935000-0000-7000-8000-000000000001  old   instance  -                 3 days ago  admin-token  never       -          60 minutes ago
        ");
    }

    #[test]
    fn a_token_is_told_in_full() {
        insta::assert_snapshot!(table::pairs(&token().details(now())), @r#"
        ID           01935000-0000-7000-8000-000000000001
        NAME         ci
        DESCRIPTION  deploys\u{1b}[2J
        STATUS       live
        PREFIX       chyp_4fT9aQ1
        SCOPE        acme/web
        GRANTS       project-writer
        NETWORKS     10.0.0.0/8
        CREATED      2026-11-19T10:15:00.000000Z (3 days ago)
        CREATED BY   admin-token
        EXPIRES      2026-12-19T10:15:00.000000Z (in 27 days)
        METADATA     {"team":"web"}
        REVISION     3
        "#);
    }

    #[test]
    fn organizations_and_projects_stand_in_tables() {
        let organization = Organization {
            id: Uuid::from_u128(1),
            name: "acme".to_owned(),
            display_name: Some("Acme\nCorporation".to_owned()),
            status: OrganizationStatus::Active,
            created_at: "2026-11-22T11:59:30.000000Z".to_owned(),
            suspended: None,
            deleted: None,
            revision: 0,
        };
        let project = Project {
            id: Uuid::from_u128(2),
            organization: "acme".to_owned(),
            organization_id: Uuid::from_u128(1),
            name: "web".to_owned(),
            display_name: None,
            created_at: "2026-11-22T11:59:30.000000Z".to_owned(),
            deleted: None,
            revision: 0,
        };
        let organizations = table::columns(Organization::COLUMNS, vec![organization.cells(now())], false);
        let projects = table::columns(Project::COLUMNS, vec![project.cells(now())], false);
        insta::assert_snapshot!(format!("{organizations}\n{projects}"), @r"
        ID                                    NAME  DISPLAY NAME       STATUS  CREATED
        00000000-0000-0000-0000-000000000001  acme  Acme\nCorporation  active  30 seconds ago

        ID                                    NAME  ORGANIZATION  DISPLAY NAME  CREATED
        00000000-0000-0000-0000-000000000002  web   acme          -             30 seconds ago
        ");
        assert_eq!(
            table::columns(Organization::COLUMNS, Vec::new(), false),
            "ID  NAME  DISPLAY NAME  STATUS  CREATED\n"
        );
    }
}
