//! How invitations, members and persons are shown to people.

use super::rows::{Row, plain, scope};
use super::table::Tone;
use super::times::{ago, exact, relative};
use api::wire::{Departure, Invitation, Member, Memberships, Status, Token, User};
use domain::time::Timestamp;

/// `acme` or `acme/web`.
fn place(organization: &str, project: Option<&str>) -> String {
    project.map_or_else(|| organization.to_owned(), |project| format!("{organization}/{project}"))
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// A token in one line: `ID ci (acme/web)`, with what has become of it.
fn token(token: &Token) -> String {
    let end = match token.status {
        Status::Live => "",
        Status::Expired => ", expired",
        Status::Revoked => ", revoked",
    };
    format!("{} {} ({}{end})", token.id, token.name, scope(&token.scope))
}

impl Row for Invitation {
    const COLUMNS: &'static [&'static str] =
        &["ID", "EMAIL", "PLACE", "ROLE", "STATUS", "DELIVERY", "CREATED", "CREATED BY", "EXPIRES"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        let tone = if self.status == "open" { Tone::Plain } else { Tone::Ended };
        vec![
            plain(self.id),
            plain(text(self.email.as_deref())),
            plain(place(&self.organization, self.project.as_deref())),
            plain(&self.role),
            (self.status.clone(), tone),
            plain(&self.delivery),
            plain(ago(&self.created_at, now)),
            plain(&self.created_by),
            plain(relative(&self.expires_at, now)),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("ID", self.id.to_string()),
            ("EMAIL", text(self.email.as_deref())),
            ("PLACE", place(&self.organization, self.project.as_deref())),
            ("ROLE", self.role.clone()),
            ("STATUS", self.status.clone()),
            ("DELIVERY", self.delivery.clone()),
            ("CREATED", exact(&self.created_at, now)),
            ("CREATED BY", self.created_by.clone()),
            ("EXPIRES", exact(&self.expires_at, now)),
            ("REVISION", self.revision.to_string()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }
}

impl Row for Member {
    const COLUMNS: &'static [&'static str] = &["USER", "EMAIL", "NAME", "PLACE", "ROLE", "SINCE"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(self.user),
            plain(text(self.email.as_deref())),
            plain(text(self.name.as_deref())),
            plain(place(&self.organization, self.project.as_deref())),
            plain(&self.role),
            plain(ago(&self.since, now)),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("USER", self.user.to_string()),
            ("EMAIL", text(self.email.as_deref())),
            ("NAME", text(self.name.as_deref())),
            ("PLACE", place(&self.organization, self.project.as_deref())),
            ("ROLE", self.role.clone()),
            ("SINCE", exact(&self.since, now)),
            ("REVISION", self.revision.to_string()),
        ]
    }

    fn id(&self) -> String {
        self.user.to_string()
    }
}

impl Row for Memberships {
    const COLUMNS: &'static [&'static str] = &["USER", "ROLES", "TOKENS"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        vec![plain(self.user), plain(self.members.len().to_string()), plain(self.tokens.len().to_string())]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        let first = self.members.first();
        let mut all = vec![
            ("USER", self.user.to_string()),
            ("EMAIL", text(first.and_then(|member| member.email.as_deref()))),
            ("NAME", text(first.and_then(|member| member.name.as_deref()))),
        ];
        let role = |member: &Member| {
            format!("{} ({})", member.role, place(&member.organization, member.project.as_deref()))
        };
        all.extend(self.members.iter().map(|member| ("ROLE", role(member))));
        all.extend(self.tokens.iter().map(|one| ("TOKEN", token(one))));
        all
    }

    fn id(&self) -> String {
        self.user.to_string()
    }
}

impl Row for Departure {
    const COLUMNS: &'static [&'static str] = &["USER", "TOKENS"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        vec![plain(self.user), plain(self.tokens.len().to_string())]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        let mut all = vec![("USER", self.user.to_string())];
        all.extend(self.tokens.iter().map(|one| ("TOKEN", token(one))));
        all
    }

    fn id(&self) -> String {
        self.user.to_string()
    }
}

impl Row for User {
    const COLUMNS: &'static [&'static str] =
        &["ID", "EMAIL", "NAME", "ORGANIZATIONS", "CREATED", "OFFBOARDED"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        let left = self.offboarded_at.as_deref().map(|time| ago(time, now)).unwrap_or_default();
        vec![
            plain(self.id),
            plain(text(self.email.as_deref())),
            plain(text(self.name.as_deref())),
            plain(self.organizations.join(" ")),
            plain(ago(&self.created_at, now)),
            (left, if self.offboarded_at.is_some() { Tone::Ended } else { Tone::Plain }),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("ID", self.id.to_string()),
            ("EMAIL", text(self.email.as_deref())),
            ("NAME", text(self.name.as_deref())),
            ("ORGANIZATIONS", self.organizations.join(" ")),
            ("CREATED", exact(&self.created_at, now)),
            ("REVISION", self.revision.to_string()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}
