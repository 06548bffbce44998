use super::Answer;
use super::render::{Rendered, USUAL, Withheld, respond};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::invalid;
use crate::page;
use crate::wire;
use axum::extract::State;
use axum::response::Response;

/// How many verdicts are written at a time.
const STEP: usize = 16;

/// Verify many tokens
///
/// Up to 1,000, answered by one commit, each as `POST /v1/verify` answers it. If the caller may not ask one of the
/// questions, none is answered. An answer `unknown` that is one too many is withheld: its code is `rate_limited`, and
/// where no other answer is left, the call is refused as a whole.
#[utoipa::path(
    post, path = "/v1/verify/batch", operation_id = "verify.batch", tag = "verify",
    request_body = wire::VerifyBatch,
    responses((status = 200, body = wire::VerifyBatchAnswer), (status = "default", body = wire::Problem))
)]
pub(crate) async fn batch(
    State(app): State<App>,
    session: Session,
    Json(body): Json<wire::VerifyBatch>,
) -> Result<Response, Problem> {
    let count = body.items.len();
    if !(1..=page::MOST).contains(&count) {
        return Err(invalid("items", &count.to_string(), "a list of 1 to 1000 questions"));
    }
    let caller = session.credential();
    let inquiries =
        body.items.into_iter().map(|item| super::read(&app, caller, item)).collect::<Result<Vec<_>, _>>()?;
    let (answers, position) = super::answer(&app, session.call("verify.batch"), inquiries).await?;
    Ok(respond(written(&app, &answers), position))
}

/// The answer, from the state as it is. Other work gets at the state in between, however much is to be said.
fn written(app: &App, answers: &[Answer]) -> Vec<u8> {
    let mut body = Vec::with_capacity(32 + answers.len() * USUAL);
    body.extend_from_slice(br#"{"items":["#);
    for step in answers.chunks(STEP) {
        app.node().live().read(|state| {
            for answer in step {
                match answer {
                    Some((verdict, position)) => {
                        let rendered = Rendered { state, verdict, position: *position };
                        serde_json::to_writer(&mut body, &rendered)
                    }
                    None => serde_json::to_writer(&mut body, &Withheld),
                }
                .expect("verdicts are plain data");
                body.push(b',');
            }
        });
    }
    body.pop();
    body.extend_from_slice(b"]}");
    body
}
