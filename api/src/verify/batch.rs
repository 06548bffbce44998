use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::invalid;
use crate::page;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;

/// Verify many tokens
///
/// Up to 1,000, answered by one commit, each as `POST /v1/verify` answers it. If the caller may not ask one of the
/// questions, none is answered.
#[utoipa::path(
    post, path = "/v1/verify/batch", operation_id = "verify.batch", tag = "verify",
    request_body = wire::VerifyBatch,
    responses((status = 200, body = wire::VerifyBatchAnswer), (status = "default", body = wire::Problem))
)]
pub(crate) async fn batch(
    State(app): State<App>,
    session: Session,
    Json(body): Json<wire::VerifyBatch>,
) -> Result<Answer<wire::VerifyBatchAnswer>, Problem> {
    let count = body.items.len();
    if !(1..=page::MOST).contains(&count) {
        return Err(invalid("items", &count.to_string(), "a list of 1 to 1000 questions"));
    }
    let inquiries =
        body.items.into_iter().map(|item| super::read(&app, item)).collect::<Result<Vec<_>, _>>()?;
    let (verdicts, position) = super::answer(&app, session.call("verify.batch"), inquiries).await?;
    let items = app
        .node()
        .live()
        .read(|state| verdicts.iter().map(|(verdict, line)| super::view(state, verdict, *line)).collect());
    Ok(Answer::ok(wire::VerifyBatchAnswer { items }, position))
}
