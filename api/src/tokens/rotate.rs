use super::{read_duration, read_id};
use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Rotate};

/// Rotate a token
///
/// Gives it a new secret; its id, name, grants and lineage stay. The answer holds the new `secret`, this once; under
/// the same `Idempotency-Key` it is handed out again for 10 minutes. Needs `tokens:rotate` at its scope, and every
/// grant that it holds. A second rotation ends an earlier overlap.
#[utoipa::path(
    post, path = "/v1/tokens/{id}/rotate", operation_id = "tokens.rotate", tag = "tokens",
    params(
        ("id" = String, Path, description = "The token's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = Option<wire::Rotate>,
    responses((status = 200, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn rotate(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    conditions: Conditions,
    body: Option<Json<wire::Rotate>>,
) -> Result<Answer<wire::Token>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let overlap = body.overlap.as_deref().map(|text| read_duration("overlap", text)).transpose()?;
    let command = Command::Rotate(Rotate {
        token: read_id(&id)?,
        entropy: app.new_entropy(),
        overlap: overlap.unwrap_or_default(),
    });
    let done = app.change(&session, "tokens.rotate", &[&id], &body, conditions, command).await?;
    super::changed(&app, done, false)
}
