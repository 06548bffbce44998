use super::read_id;
use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Revoke};

/// Revoke a token
///
/// In force on every node once it is answered, and final. Needs `tokens:revoke` at its scope; every token may revoke
/// itself. Revoking what is revoked changes nothing and answers 200.
#[utoipa::path(
    post, path = "/v1/tokens/{id}/revoke", operation_id = "tokens.revoke", tag = "tokens",
    params(
        ("id" = String, Path, description = "The token's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = Option<wire::Revoke>,
    responses((status = 200, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    conditions: Conditions,
    body: Option<Json<wire::Revoke>>,
) -> Result<Answer<wire::Token>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    end(&app, &session, "tokens.revoke", &id, conditions, &body).await
}

/// Revoke a token
///
/// As `POST /v1/tokens/{id}/revoke` without a body.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", operation_id = "tokens.delete", tag = "tokens",
    params(
        ("id" = String, Path, description = "The token's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    responses((status = 200, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    conditions: Conditions,
) -> Result<Answer<wire::Token>, Problem> {
    end(&app, &session, "tokens.delete", &id, conditions, &wire::Revoke::default()).await
}

async fn end(
    app: &App,
    session: &Session,
    operation: &'static str,
    id: &str,
    conditions: Conditions,
    body: &wire::Revoke,
) -> Result<Answer<wire::Token>, Problem> {
    let command = Command::Revoke(Revoke {
        token: read_id(id)?,
        reason: body.reason.clone(),
        note: body.note.clone(),
        cascade: body.cascade,
    });
    let done = app.change(session, operation, &[id], body, conditions, command).await?;
    super::changed(app, done, false)
}
