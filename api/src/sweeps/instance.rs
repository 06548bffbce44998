use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;

/// Revoke the instance's own forgotten tokens
///
/// Those of the scope `instance` that are unused for longer than the instance's policy allows, as every hour. With
/// `dry_run` nothing is revoked. Needs `tokens:revoke` at the instance.
#[utoipa::path(
    post, path = "/v1/instance/sweep", operation_id = "instance.sweep", tag = "policies",
    request_body = Option<wire::Sweep>,
    responses((status = 200, body = wire::Swept), (status = "default", body = wire::Problem))
)]
pub(crate) async fn sweep(
    State(app): State<App>,
    session: Session,
    body: Option<Json<wire::Sweep>>,
) -> Result<Answer<wire::Swept>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    super::sweep(&app, &session, "instance.sweep", None, body).await
}
