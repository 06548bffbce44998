//! How invitations, members and persons are shown to people.

use super::rows::{Row, plain, scope};
use super::table::Tone;
use super::times::{ago, exact, relative};
use api::wire::{Departure, Erasure, Invitation, Member, Memberships, Status, Token, User};
use domain::time::Timestamp;

/// `acme` or `acme/web`.
fn place(organization: &str, project: Option<&str>) -> String {
    project.map_or_else(|| organization.to_owned(), |project| format!("{organization}/{project}"))
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

/// A personal value; where there is none, a word that says why.
pub(crate) fn kept(name: &str, value: Option<&str>, erased: &[String], altered: &[String]) -> String {
    let names = |all: &[String]| all.iter().any(|one| one == name);
    match value {
        Some(value) => value.to_owned(),
        None if names(altered) => "altered".to_owned(),
        None if names(erased) => "erased".to_owned(),
        None => String::new(),
    }
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
            plain(kept("email", self.email.as_deref(), &self.erased, &self.altered)),
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
            ("EMAIL", kept("email", self.email.as_deref(), &self.erased, &self.altered)),
            ("PLACE", place(&self.organization, self.project.as_deref())),
            ("ROLE", self.role.clone()),
            ("STATUS", self.status.clone()),
            ("DELIVERY", self.delivery.clone()),
            ("MAIL", text(self.mail.as_deref())),
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
            plain(kept("email", self.email.as_deref(), &self.erased, &self.altered)),
            plain(kept("name", self.name.as_deref(), &self.erased, &self.altered)),
            plain(place(&self.organization, self.project.as_deref())),
            plain(&self.role),
            plain(ago(&self.since, now)),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("USER", self.user.to_string()),
            ("EMAIL", kept("email", self.email.as_deref(), &self.erased, &self.altered)),
            ("NAME", kept("name", self.name.as_deref(), &self.erased, &self.altered)),
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
        let own = |name, value: fn(&Member) -> &Option<String>| {
            let shown =
                |member: &Member| kept(name, value(member).as_deref(), &member.erased, &member.altered);
            first.map(shown).unwrap_or_default()
        };
        let mut all = vec![
            ("USER", self.user.to_string()),
            ("EMAIL", own("email", |member| &member.email)),
            ("NAME", own("name", |member| &member.name)),
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
        &["ID", "EMAIL", "NAME", "ORGANIZATIONS", "CREATED", "OFFBOARDED", "ERASED"];

    fn cells(&self, now: Timestamp) -> Vec<(String, Tone)> {
        let left = self.offboarded_at.as_deref().map(|time| ago(time, now)).unwrap_or_default();
        vec![
            plain(self.id),
            plain(kept("email", self.email.as_deref(), &self.erased, &self.altered)),
            plain(kept("name", self.name.as_deref(), &self.erased, &self.altered)),
            plain(self.organizations.join(" ")),
            plain(ago(&self.created_at, now)),
            (left, if self.offboarded_at.is_some() { Tone::Ended } else { Tone::Plain }),
            (self.erased_at.as_deref().map(|time| ago(time, now)).unwrap_or_default(), Tone::Ended),
        ]
    }

    fn details(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        vec![
            ("ID", self.id.to_string()),
            ("EMAIL", kept("email", self.email.as_deref(), &self.erased, &self.altered)),
            ("NAME", kept("name", self.name.as_deref(), &self.erased, &self.altered)),
            ("ORGANIZATIONS", self.organizations.join(" ")),
            ("CREATED", exact(&self.created_at, now)),
            ("REVISION", self.revision.to_string()),
        ]
    }

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Row for Erasure {
    const COLUMNS: &'static [&'static str] = &["PERSON", "INVITATIONS", "ORGANIZATIONS", "VALUES"];

    fn cells(&self, _: Timestamp) -> Vec<(String, Tone)> {
        vec![
            plain(self.id()),
            plain(self.invitations.to_string()),
            plain(self.organizations.join(" ")),
            plain(self.values.values().sum::<u64>().to_string()),
        ]
    }

    fn details(&self, _: Timestamp) -> Vec<(&'static str, String)> {
        let is_nothing = self.users.is_empty() && self.invitations == 0 && self.values.is_empty();
        let done = match (self.dry_run, is_nothing) {
            (_, true) => "nothing is kept: erased before, or never known",
            (true, _) => "nothing yet: this is what would be erased",
            (false, _) if self.more => "some of it: erase again for the rest",
            (false, _) => "erased",
        };
        let values = self.values.iter().map(|(kind, count)| format!("{count} {kind}"));
        vec![
            ("PERSON", self.id()),
            ("INVITATIONS", self.invitations.to_string()),
            ("ORGANIZATIONS", self.organizations.join(" ")),
            ("VALUES", values.collect::<Vec<_>>().join(", ")),
            ("STILL MEMBERS", self.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            ("DONE", done.to_owned()),
        ]
    }

    fn id(&self) -> String {
        self.users.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}
