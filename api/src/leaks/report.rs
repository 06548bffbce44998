use super::partner::{self, Match, PARTNER};
use crate::app::App;
use crate::auth::{self, Session};
use crate::edge::extract::{JsonBytes, from_json};
use crate::edge::{Problem, RequestContext};
use crate::error::invalid;
use crate::limits::Limited;
use crate::wire;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::decide::{Command, ReportLeak, Request};
use domain::event::Evidence;
use domain::import::{Algorithm, Digest, Hashes};
use domain::secret::SecretHash;
use domain::text;
use futures_util::future::join_all;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use projections::{Call, Outsider, Work};
use std::time::Duration;

/// Answers leave at whole multiples of this time after their requests came, so that how long one takes does not tell
/// whether there is such a token.
const STEP: Duration = Duration::from_millis(50);
/// The most bytes of what a partner says about a place.
const SOURCE: usize = 128;
const URL: usize = 2_048;

/// Report a leaked secret
///
/// Needs no credential; one that is in force is named as the reporter. The secret itself revokes its token with
/// everything that it minted, for the reason `leaked`; a hash only flags it for its owners. Always answered with the
/// same empty 202, whatever there is. The signed form of GitHub's secret-scanning partner programme is taken as well: a
/// JSON array with the headers `Github-Public-Key-Identifier` and `Github-Public-Key-Signature`.
#[utoipa::path(
    post, path = "/v1/leaks", operation_id = "leaks.report", tag = "leaks", security(()),
    request_body = wire::LeakReport,
    responses((status = 202, description = "Taken."), (status = "default", body = wire::Problem))
)]
pub(crate) async fn report(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Problem> {
    let clock = app.node().live().clock();
    let came = clock.monotonic();
    let session = auth::bearer(&headers, &AUTHORIZATION).ok().map(|text| Session::of(&app, text, &context));
    app.limit(Limited::Leaks, session.as_ref(), context.address())?;
    if partner::is_signed(&headers) {
        let matches = app.partner_keys().open(&headers, &body)?;
        let call = auth::outsider(&app, &context, Outsider::Partner(PARTNER), "leaks.report");
        let taken = matches.iter().map(|found| submit(&app, call.clone(), of_partner(&app, found)));
        join_all(taken).await.into_iter().collect::<Result<(), _>>()?;
    } else {
        let report: wire::LeakReport = from_json(&body)?;
        let call = || auth::outsider(&app, &context, Outsider::Anonymous, "leaks.report");
        let known = session.map(|session| session.call("leaks.report"));
        let is_named = known.is_some();
        let taken = submit(&app, known.unwrap_or_else(call), read(&app, &report)?).await;
        match taken {
            // Nobody is kept from reporting by a credential that has ended.
            Err(problem) if is_named && problem.code().status == 401 => {
                submit(&app, call(), read(&app, &report)?).await?;
            }
            taken => taken?,
        }
    }
    let took = clock.monotonic().saturating_sub(came);
    let over = Duration::from_nanos((took.as_nanos() % STEP.as_nanos()) as u64);
    tokio::time::sleep(STEP.saturating_sub(over)).await;
    // Without a position: how far the log grew by the report would tell as well.
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn submit(app: &App, call: Call, report: ReportLeak) -> Result<(), Problem> {
    // A report that is repeated tells nothing new, so it needs no key to have its effect once.
    let request = Request { command: Command::ReportLeak(report), expected_revision: None, repeat: None };
    app.submit(call, Work::Command(Box::new(request), None)).await.map(drop)
}

fn read(app: &App, report: &wire::LeakReport) -> Result<ReportLeak, Problem> {
    let (hashes, evidence) = match (&report.token, &report.hash) {
        (Some(text), None) => {
            if app.holds_admin_token(text) {
                tracing::error!("the break-glass token was reported as leaked: replace it now");
            }
            (app.hashes(text), Evidence::Secret)
        }
        (None, Some(digits)) => {
            let wrong = || {
                invalid(
                    "hash",
                    digits,
                    "BLAKE3 of a secret, or the hash of an imported key, 64 hexadecimal digits",
                )
            };
            (of_digest(app, SecretHash::from_hex(digits).ok_or_else(wrong)?), Evidence::Hash)
        }
        _ => return Err(invalid("token", "", "exactly one of a token's text and its hash")),
    };
    let kept = |text: &Option<String>| text.as_deref().map(|text| app.mask(text).into_owned());
    Ok(ReportLeak { hashes, evidence, source: kept(&report.source), url: kept(&report.url) })
}

/// A hash alone may also be that of an imported key.
fn of_digest(app: &App, hash: SecretHash) -> Hashes {
    let key = app.node().import_key();
    let imported = Algorithm::ALL.map(|algorithm| key.hash(algorithm, &Digest(hash.0)));
    Hashes { own: hash, imported: Some(imported) }
}

/// What a partner says about a place is kept as far as it can be: its report is not refused for it.
fn of_partner(app: &App, found: &Match) -> ReportLeak {
    let kept = |text: &Option<String>, most| {
        // Masked before it is cut: the beginning of a secret is one as well.
        let text = text.as_deref().map(|text| text::cut(&app.mask(text), most));
        text.filter(|text| !text.trim().is_empty())
    };
    ReportLeak {
        hashes: app.hashes(&found.token),
        evidence: Evidence::Signature,
        source: kept(&found.source, SOURCE),
        url: kept(&found.url, URL),
    }
}
