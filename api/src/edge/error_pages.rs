//! The documentation pages of the error codes: `/docs/errors` and `/docs/errors/{code}`, which a problem's
//! `type` points at. They are rendered from the table, once, and need neither script nor outside resource.

use std::fmt::Write;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::codes::{self, CODES, Code};
use super::problem::Problem;

const STYLE: &str = include_str!("error_pages.css");

/// Nothing but the page's own style, which is named by its hash in [`policy`].
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the pages.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/docs/errors", get(index)).route("/docs/errors/{code}", get(one))
}

async fn index() -> Response {
    let mut body = String::from(
        "<h1>Error codes</h1><p>Every error is an <code>application/problem+json</code> document (RFC 9457). \
         Its <code>code</code> is one of these and stays; its wording may change.</p>",
    );
    let mut status = 0;
    for code in CODES {
        if code.status != status {
            body.push_str(if status == 0 { "" } else { "</ul>" });
            status = code.status;
            let reason = code.status().canonical_reason().unwrap_or_default();
            let _ = write!(body, "<h2>{status} {reason}</h2><ul>");
        }
        let _ = write!(
            body,
            "<li><a href=\"{}\"><code>{}</code></a><span>{}</span></li>",
            code.url(),
            code.code,
            escape(code.title)
        );
    }
    body.push_str("</ul>");
    page("Error codes", "<a href=\"/docs/\">API reference</a>", &body)
}

async fn one(Path(code): Path<String>) -> Response {
    let Some(code) = Code::find(&code) else { return Problem::new(codes::NOT_FOUND).into_response() };
    let body = format!(
        "<h1>{title}</h1><p class=\"key\"><code>{name}</code><b>{status} {reason}</b></p>\
         <h2>What it means</h2><p>{meaning}</p><h2>What to do</h2><p>{remedy}</p>\
         <h2>On the wire</h2><pre>{example}</pre>",
        title = escape(code.title),
        name = code.code,
        status = code.status,
        reason = code.status().canonical_reason().unwrap_or_default(),
        meaning = prose(code.meaning),
        remedy = prose(code.remedy),
        example = escape(&example(code)),
    );
    page(code.title, "<a href=\"/docs/errors\">Error codes</a>", &body)
}

fn example(code: &Code) -> String {
    format!(
        "HTTP/1.1 {} {}\nContent-Type: application/problem+json\n\n{{\n  \"type\": \"{}\",\n  \"title\": \"{}\",\n  \
         \"status\": {},\n  \"code\": \"{}\",\n  \"request_id\": \"5f0a12c3-1k9\"\n}}",
        code.status,
        code.status().canonical_reason().unwrap_or_default(),
        code.url(),
        code.title,
        code.status,
        code.code
    )
}

fn page(title: &str, up: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{} · Chancery</title><style>{STYLE}</style><nav><b>Chancery</b>{up}</nav><main>{body}</main></html>",
        escape(title)
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy()),
        (CACHE_CONTROL, "public, max-age=300".to_owned()),
    ];
    (headers, html).into_response()
}

/// The policy, with the hash of the one style that the pages carry.
fn policy() -> String {
    use base64::Engine;
    use sha2::Digest;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(STYLE));
    format!("{POLICY}; style-src 'sha256-{hash}'")
}

/// Escapes, and turns what stands between back-ticks into code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.fold(String::new(), |mut out, (place, part)| {
        let part = escape(part);
        let _ = if place % 2 == 1 { write!(out, "<code>{part}</code>") } else { write!(out, "{part}") };
        out
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
