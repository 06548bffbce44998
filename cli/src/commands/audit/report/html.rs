//! The review as one HTML file: no script, nothing from elsewhere, everything escaped. Its one style sheet stands in it, and
//! its own policy allows nothing more.

use super::changes::Changes;
use super::{Report, advice, confirms, person, place};
use api::wire::{Member, ReviewedToken};
use std::borrow::Cow;
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");

pub(super) fn page(report: &Report, changes: Option<&Changes>) -> String {
    let mut out = String::new();
    let organization = escape(&report.organization);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Access review of {organization}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Access review of {organization}</h1>\n\
         <p class=\"about\">Made {} by {}. Uses are those of each token's whole life, as the log has them up to position \
         {}.</p>\n",
        escape(&day(&report.at)),
        escape(&report.authority),
        report.uses_through,
    );
    summary(&mut out, report);
    if let Some(changes) = changes {
        list_changes(&mut out, changes);
    }
    let _ = writeln!(out, "<h2>Tokens</h2>");
    if report.tokens.is_empty() {
        let _ = writeln!(out, "<p>There are none.</p>");
    }
    for token in &report.tokens {
        section(&mut out, token);
    }
    members(&mut out, &report.members);
    out.push_str(
        "<section class=\"sign\"><h2>Confirmation</h2>\n<p>I have read this review. What is not marked is needed as it \
         is.</p>\n<dl><dt>Name</dt><dd></dd><dt>Date</dt><dd></dd><dt>Signature</dt><dd></dd></dl></section>\n\
         </body>\n</html>\n",
    );
    out
}

fn summary(out: &mut String, report: &Report) {
    let count = |is: &dyn Fn(&ReviewedToken) -> bool| report.tokens.iter().filter(|token| is(token)).count();
    let numbers = [
        ("live tokens", report.tokens.len()),
        ("never used", count(&|one| one.token.last_used_at.is_none())),
        ("hold more than they used", count(&|one| !one.never_used.is_empty())),
        ("never expire", count(&|one| one.token.expires_at.is_none())),
        ("memberships", report.members.len()),
    ];
    out.push_str("<ul class=\"numbers\">");
    for (what, number) in numbers {
        let _ = write!(out, "<li><b>{number}</b> {what}</li>");
    }
    out.push_str("</ul>\n");
}

fn list_changes(out: &mut String, changes: &Changes) {
    let _ = writeln!(out, "<h2>What changed since {}</h2>", escape(&day(&changes.since)));
    if changes.sentences.is_empty() {
        out.push_str("<p>Nothing.</p>\n");
        return;
    }
    out.push_str("<ul>\n");
    for sentence in &changes.sentences {
        let _ = writeln!(out, "<li>{}</li>", escape(sentence));
    }
    out.push_str("</ul>\n");
}

fn section(out: &mut String, one: &ReviewedToken) {
    let token = &one.token;
    let _ = writeln!(
        out,
        "<section class=\"token\"><h3>{} <code>{}</code></h3>",
        escape(&token.name),
        escape(&token.prefix)
    );
    if let Some(description) = &token.description {
        let _ = writeln!(out, "<p>{}</p>", escape(description));
    }
    out.push_str("<dl>\n");
    let mut pair = |name: &str, value: &str| {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{value}</dd>");
    };
    pair("Id", &format!("<code>{}</code>", token.id));
    pair("Acts in", &escape(&place(&token.scope)));
    pair("Holds", &escape(&token.grants.join(", ")));
    let made = format!("{} by {}", day(&token.created_at), token.created_by);
    pair("Made", &escape(&made));
    if let Some(answers) = &one.answers_for {
        pair("Answered for by", &escape(&person(answers)));
    }
    pair("Expires", &escape(&token.expires_at.as_deref().map_or_else(|| "never".to_owned(), day)));
    pair("Last used", &escape(&token.last_used_at.as_deref().map_or_else(|| "never".to_owned(), day)));
    for held in &one.held {
        let name = format!("May, at {}", escape(&place(&held.place)));
        pair(&name, &codes(&held.permissions));
    }
    let used: Vec<_> = one.used.iter().map(|used| used.permission.clone()).collect();
    pair("Used", &codes(&used));
    pair("Never used", &format!("<span class=\"unused\">{}</span>", codes(&one.never_used)));
    pair("Least privilege", &codes(&one.needed));
    out.push_str("</dl>\n");
    let _ = write!(
        out,
        "<p class=\"advice\">{}</p>\n<p class=\"confirm\">To be confirmed by {}: <span>&#9744; keep</span> \
         <span>&#9744; narrow</span> <span>&#9744; revoke</span> <span class=\"line\">Signature</span></p></section>\n",
        escape(&advice(one)),
        escape(&confirms(one))
    );
}

fn members(out: &mut String, members: &[Member]) {
    out.push_str("<h2>Members</h2>\n");
    if members.is_empty() {
        out.push_str("<p>There are none.</p>\n");
        return;
    }
    out.push_str(
        "<table><thead><tr><th>Member</th><th>Of</th><th>Role</th><th>Since</th><th>Keep</th></tr></thead><tbody>\n",
    );
    for member in members {
        let names = (member.name.as_deref(), member.email.as_deref());
        let who = super::who(member.user, names, (&member.erased, &member.altered));
        let of = member
            .project
            .as_ref()
            .map_or_else(|| member.organization.clone(), |project| format!("project {project}"));
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>&#9744;</td></tr>",
            escape(&who),
            escape(&of),
            escape(&member.role),
            escape(&day(&member.since))
        );
    }
    out.push_str("</tbody></table>\n");
}

fn codes(all: &[String]) -> String {
    if all.is_empty() {
        return "nothing".to_owned();
    }
    all.iter().map(|one| format!("<code>{}</code>", escape(one))).collect::<Vec<_>>().join(" ")
}

/// The day of a time, in UTC.
fn day(time: &str) -> String {
    time.get(..10).unwrap_or(time).to_owned()
}

/// Text as it stands in HTML, in elements and attributes.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_stays_text() {
        assert_eq!(escape("a<script>\"&'"), "a&lt;script&gt;&quot;&amp;&#39;");
        assert_eq!(escape("plain"), "plain");
        let report = Report {
            version: 1,
            authority: "https://a".to_owned(),
            organization: "<b>".to_owned(),
            at: "2026-11-22T10:15:00.123456Z".to_owned(),
            uses_through: 7,
            tokens: Vec::new(),
            members: Vec::new(),
        };
        let changes = Changes { since: "2026-08".to_owned(), sentences: vec!["<i>".to_owned()] };
        let page = page(&report, Some(&changes));
        assert!(!page.contains("<b>acme") && !page.contains("<i>") && page.contains("&lt;b&gt;"));
        for elsewhere in ["src=", "href=", "url(", "@import", "<script"] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
    }
}
