use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;

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
    Json(body): Json<wire::Verify>,
) -> Result<Answer<wire::Verdict>, Problem> {
    let inquiry = super::read(&app, body)?;
    let (verdicts, position) = super::answer(&app, session.call("verify"), vec![inquiry]).await?;
    let (verdict, line) = verdicts.into_iter().next().expect("each question has an answer");
    let view = app.node().live().read(|state| super::view(state, &verdict, line));
    Ok(Answer::ok(view, position))
}
