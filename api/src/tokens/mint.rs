use super::{read_expiry, read_scope, read_time};
use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::limits::Limited;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Mint, Particulars};

/// Mint a token
///
/// Needs `tokens:mint` at its scope, and everything that the token will be able to do. The answer holds its `secret`,
/// this once; under the same `Idempotency-Key` it is handed out again for 10 minutes.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "tokens.mint", tag = "tokens",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect.")),
    request_body = wire::NewToken,
    responses((status = 201, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn mint(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::NewToken>,
) -> Result<Answer<wire::Token>, Problem> {
    let expires_at = body.expires_at.as_ref().map(Option::as_deref);
    let command = Command::Mint(Mint {
        scope: read_scope(&body.scope)?,
        grants: body.grants.clone(),
        particulars: Particulars {
            id: app.new_token_id(),
            entropy: app.new_entropy(),
            name: body.name.clone(),
            description: body.description.clone(),
            metadata: body.metadata.clone(),
            not_before: body.not_before.as_deref().map(|time| read_time("not_before", time)).transpose()?,
            expiry: read_expiry(body.expires_in.as_deref(), expires_at)?.unwrap_or_default(),
            allowed_networks: body.allowed_networks.clone(),
        },
    });
    app.limit(Limited::Mints, Some(&session), session.address())?;
    let done = app.change(&session, "tokens.mint", &[], &body, conditions, command).await?;
    super::changed(&app, done, true)
}
