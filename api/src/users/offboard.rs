use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Offboard};

/// Offboard a person
///
/// Ends all memberships and sessions of the person, in every organization, at once. The tokens that the person answers
/// for are kept, revoked or handed over as the request says, and listed as far as the caller may read them (`tokens:read`).
/// Whoever had the secret of one that is handed over still has it until it is rotated. Needs `members:remove` on the instance, and
/// everything that the person could do. Whoever is the last owner of an organization stays until it has another.
#[utoipa::path(
    post, path = "/v1/users/{user}/offboard", operation_id = "users.offboard", tag = "users",
    params(
        ("user" = String, Path, description = "The person's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = Option<wire::Offboard>,
    responses((status = 200, body = wire::Departure), (status = "default", body = wire::Problem))
)]
pub(crate) async fn offboard(
    State(app): State<App>,
    session: Session,
    Path(user): Path<String>,
    conditions: Conditions,
    body: Option<Json<wire::Offboard>>,
) -> Result<Answer<wire::Departure>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let id = people::read_id("user", &user)?;
    let tokens = people::read_fate(body.tokens.as_deref(), body.to.as_deref())?;
    let command = Command::Offboard(Offboard { user: id, tokens });
    let done = app.change(&session, "users.offboard", &[&user], &body, conditions, command).await?;
    let tokens = people::view_readable(&app, &session, &done.tokens);
    Ok(Answer::ok(wire::Departure { user: id.0, tokens }, done.position))
}
