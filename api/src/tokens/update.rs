use super::{read_expiry, read_id};
use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Update};

/// Change a token
///
/// Name, description, metadata, grants and expiry. Needs `tokens:update` at its scope; grants that are added and time
/// that is added need everything that the token can do with them. What has ended is not changed.
#[utoipa::path(
    patch, path = "/v1/tokens/{id}", operation_id = "tokens.update", tag = "tokens",
    params(
        ("id" = String, Path, description = "The token's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::UpdateToken,
    responses((status = 200, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn update(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::UpdateToken>,
) -> Result<Answer<wire::Token>, Problem> {
    let expires_at = body.expires_at.as_ref().map(Option::as_deref);
    let command = Command::Update(Update {
        token: read_id(&id)?,
        name: body.name.clone(),
        description: body.description.clone(),
        metadata: body.metadata.clone(),
        grants: body.grants.clone(),
        expiry: read_expiry(body.expires_in.as_deref(), expires_at)?,
    });
    let done = app.change(&session, "tokens.update", &[&id], &body, conditions, command).await?;
    super::changed(&app, done, false)
}
