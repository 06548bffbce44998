//! The review as CSV.

use super::{Report, advice, confirms, place};
use crate::failure::Failure;

pub(super) fn tokens(report: &Report) -> Result<String, Failure> {
    let names = [
        "id",
        "name",
        "prefix",
        "place",
        "grants",
        "permissions",
        "created_at",
        "created_by",
        "answers_for",
        "expires_at",
        "last_used_at",
        "used",
        "never_used",
        "least_privilege",
        "advice",
        "confirmed_by",
        "decision",
        "date",
    ];
    let rows = report.tokens.iter().map(|one| {
        let token = &one.token;
        let held =
            one.held.iter().map(|held| format!("{}: {}", place(&held.place), held.permissions.join(" ")));
        let used: Vec<_> = one.used.iter().map(|used| used.permission.as_str()).collect();
        vec![
            token.id.to_string(),
            token.name.clone(),
            token.prefix.clone(),
            place(&token.scope),
            token.grants.join(" "),
            held.collect::<Vec<_>>().join("; "),
            token.created_at.clone(),
            token.created_by.clone(),
            one.answers_for.as_ref().map(super::person).unwrap_or_default(),
            token.expires_at.clone().unwrap_or_default(),
            token.last_used_at.clone().unwrap_or_default(),
            used.join(" "),
            one.never_used.join(" "),
            one.needed.join(" "),
            advice(one),
            confirms(one),
            String::new(),
            String::new(),
        ]
    });
    written(&names, rows)
}

pub(super) fn members(report: &Report) -> Result<String, Failure> {
    let rows = report.members.iter().map(|member| {
        vec![
            member.user.to_string(),
            member.email.clone().unwrap_or_default(),
            member.name.clone().unwrap_or_default(),
            member.project.clone().unwrap_or_default(),
            member.role.clone(),
            member.since.clone(),
        ]
    });
    written(&["user", "email", "name", "project", "role", "since"], rows)
}

fn written(names: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Other(format!("cannot write CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names).map_err(|error| failed(&error))?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| guarded(cell))).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// A text that a spreadsheet would take for a formula gets an apostrophe in front.
fn guarded(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}
