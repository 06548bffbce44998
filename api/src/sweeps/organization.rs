use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;

/// Revoke an organization's forgotten tokens
///
/// Those that are unused for longer than its policy allows (`max_inactive_days`), as every hour. Each is looked at again
/// on the log as it is where its revocation is appended: one that was used a moment ago stays. With `dry_run` nothing is
/// revoked. Repeating it changes nothing that is not due, so it takes no idempotency key. Needs `tokens:revoke`.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/sweep", operation_id = "organizations.sweep", tag = "policies",
    params(("organization" = String, Path, description = "Name or id.")),
    request_body = Option<wire::Sweep>,
    responses((status = 200, body = wire::Swept), (status = "default", body = wire::Problem))
)]
pub(crate) async fn sweep(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    body: Option<Json<wire::Sweep>>,
) -> Result<Answer<wire::Swept>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    super::sweep(&app, &session, "organizations.sweep", Some(&organization), body).await
}
