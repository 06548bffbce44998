use super::render::{Rendered, USUAL, respond};
use crate::app::App;
use crate::auth::Session;
use crate::edge::extract::{self, Json};
use crate::edge::{Problem, RequestContext};
use crate::wire;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;

/// Where it answers.
pub(crate) const PATH: &str = "/v1/verify";

/// Verify a token
///
/// Answered 200 whether it is valid or not: look at `valid`. The caller needs `tokens:verify` at the organization or
/// project in question. To an organization's caller, a token of another one is `unknown`, as one never issued.
#[utoipa::path(
    post, path = "/v1/verify", operation_id = "verify", tag = "verify", request_body = wire::Verify,
    responses((status = 200, body = wire::Verdict), (status = "default", body = wire::Problem))
)]
pub(crate) async fn verify(
    State(app): State<App>,
    session: Session,
    Json(question): Json<wire::Verify>,
) -> Result<Response, Problem> {
    answer(&app, &session, question).await
}

/// The same for a request as it comes from its connection.
pub(crate) async fn direct(app: &App, request: Request<Incoming>) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let context = RequestContext::of(&parts.extensions)?;
    let session = Session::read(app, &parts.headers, &context)?;
    let body = extract::json_body(&parts, &context, body).await?;
    answer(app, &session, extract::from_json(&body)?).await
}

async fn answer(app: &App, session: &Session, question: wire::Verify) -> Result<Response, Problem> {
    let inquiry = super::read(app, session.credential(), question)?;
    let (verdict, line, position) = super::answer_one(app, session.call("verify"), inquiry).await?;
    let mut body = Vec::with_capacity(USUAL);
    app.node()
        .live()
        .read(|state| {
            serde_json::to_writer(&mut body, &Rendered { state, verdict: &verdict, position: line })
        })
        .expect("a verdict is plain data");
    Ok(respond(body, position))
}
