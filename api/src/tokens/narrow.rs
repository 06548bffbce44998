use super::{read_expiry, read_time};
use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::limits::Limited;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Narrow, Particulars};

/// Narrow the caller's token
///
/// Mints a child with a subset of the caller's grants, networks and time. Every holder may; no permission is needed.
/// The child ends with the caller and never comes to do more. A token can be narrowed seven times in a row.
#[utoipa::path(
    post, path = "/v1/tokens/narrow", operation_id = "tokens.narrow", tag = "tokens",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect.")),
    request_body = wire::NarrowToken,
    responses((status = 201, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn narrow(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::NarrowToken>,
) -> Result<Answer<wire::Token>, Problem> {
    let expires_at = body.expires_at.as_deref().map(Some);
    let command = Command::Narrow(Narrow {
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
    let done = app.change(&session, "tokens.narrow", &[], &body, conditions, command).await?;
    super::changed(&app, done, true)
}
