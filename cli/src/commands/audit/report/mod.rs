//! `audit report`: who may do what in an organization, to be read, confirmed and signed.

mod changes;
mod html;
mod rows;

use crate::client::Client;
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::{self, Format};
use api::wire::{AccessReview, Member, ReviewedToken};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Tokens that are asked for at once.
const PAGE: &str = "500";

/// Write a review of an organization's access
///
/// Every live token and every member: what they may do, who made them, when they were last used, what they never used,
/// and what would be enough. Written as one HTML file to be read, printed and signed, as CSV, and as JSON: give that to the
/// next report with --since, and it says what has changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit report --organization acme --out review-2026-q4
  chancery audit report --organization acme --since review-2026-q3/access-review.json --out review-2026-q4")]
pub(crate) struct Args {
    /// The last report's access-review.json
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// The folder, which is made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A report, as the next one reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// Of this description.
    version: u32,
    authority: String,
    organization: String,
    at: String,
    /// The size of the log whose uses are known.
    uses_through: u64,
    tokens: Vec<ReviewedToken>,
    members: Vec<Member>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let last = args.since.as_deref().map(read).transpose()?;
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let report = gather(&client, &organization).await?;
    if let Some(last) = last.as_ref().filter(|last| last.organization != report.organization) {
        return Err(Failure::Usage(format!(
            "--since is a report of the organization {}, not of {}",
            last.organization, report.organization
        )));
    }
    let changes = last.as_ref().map(|last| changes::between(last, &report));
    let json = serde_json::to_string_pretty(&report).expect("a report is plain data");
    let files = [
        ("access-review.html", html::page(&report, changes.as_ref())),
        ("access-review.csv", rows::tokens(&report)?),
        ("access-review-members.csv", rows::members(&report)?),
        ("access-review.json", format!("{json}\n")),
    ];
    std::fs::create_dir_all(&args.out).map_err(|error| failed("make", &args.out, &error))?;
    for (name, text) in files {
        let path = args.out.join(name);
        std::fs::write(&path, text).map_err(|error| failed("write", &path, &error))?;
    }
    match context.output.format() {
        Format::Table => output::print(&format!(
            "{} tokens and {} memberships of {}; {}\n",
            report.tokens.len(),
            report.members.len(),
            report.organization,
            args.out.join("access-review.html").display()
        )),
        Format::Json | Format::Id | Format::Secret => context.output.json(&json),
    }
}

async fn gather(client: &Client, organization: &str) -> Result<Report, Failure> {
    let path = ["v1", "organizations", organization, "access-review"];
    let mut tokens = Vec::new();
    let mut cursor = None;
    let first = loop {
        let mut query = vec![("limit", PAGE.to_owned())];
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.get::<AccessReview>(&path, &query).await?.value;
        tokens.append(&mut page.items);
        cursor = page.next_cursor.take();
        if cursor.is_none() {
            break page;
        }
    };
    let members = client.list::<Member>(&["v1", "organizations", organization, "members"], &[], None).await?;
    Ok(Report {
        version: 1,
        authority: client.authority(),
        organization: first.organization,
        at: first.at,
        uses_through: first.uses_through,
        tokens,
        members: members.into_iter().map(|member| member.value).collect(),
    })
}

fn read(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read(path).map_err(|error| failed("read", path, &error))?;
    let report: Report = serde_json::from_slice(&text)
        .map_err(|error| Failure::Usage(format!("{} is no report: {error}", path.display())))?;
    if report.version != 1 {
        let text = format!(
            "{} is a report of version {}; this command reads version 1",
            path.display(),
            report.version
        );
        return Err(Failure::Usage(text));
    }
    Ok(report)
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("cannot {what} {}: {error}", path.display()))
}

/// Where a token acts, in one text.
fn place(scope: &api::wire::Scope) -> String {
    match (&scope.organization, &scope.project) {
        (Some(organization), Some(project)) => format!("{organization}/{project}"),
        (Some(organization), None) => organization.clone(),
        _ => "the instance".to_owned(),
    }
}

/// A person, as somebody is asked for.
fn person(person: &api::wire::Person) -> String {
    who(person.user, (person.name.as_deref(), person.email.as_deref()), (&person.erased, &person.altered))
}

/// Somebody by name and mail address; by id, and why, where neither can be shown.
fn who(
    user: uuid::Uuid,
    (name, email): (Option<&str>, Option<&str>),
    (erased, altered): (&[String], &[String]),
) -> String {
    match (name, email) {
        (Some(name), Some(email)) => format!("{name} <{email}>"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if !altered.is_empty() => format!("{user} (altered)"),
        (None, None) if !erased.is_empty() => format!("{user} (erased)"),
        (None, None) => user.to_string(),
    }
}

/// Who should confirm a token.
fn confirms(token: &ReviewedToken) -> String {
    if token.confirm.is_empty() {
        return "the instance's administrators".to_owned();
    }
    token.confirm.iter().map(person).collect::<Vec<_>>().join(", ")
}

/// What could be done about a token.
fn advice(token: &ReviewedToken) -> String {
    if token.token.last_used_at.is_none() {
        return "Never used: revoke it, unless it is new.".to_owned();
    }
    if token.never_used.is_empty() {
        return "Uses all that it has.".to_owned();
    }
    match &token.narrower_role {
        Some(role) => format!("The role {role} would be enough."),
        None if token.needed.is_empty() => "Used for nothing that needs a permission.".to_owned(),
        None => format!("A role with only {} would be enough.", token.needed.join(", ")),
    }
}
