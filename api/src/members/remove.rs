use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, RemoveMember};

/// Remove a member
///
/// From the organization and all its projects or, with `project`, from that. The person's sessions lose what they held
/// through it at once, and end with the last role. The tokens that the person answers for (what it minted, and what
/// that minted) are kept, revoked or handed over as the request says, and listed as far as the caller may read them
/// (`tokens:read`). Whoever had the secret of one that is handed over still has it until it is rotated. Needs
/// `members:remove`, and
/// everything that the member could do. An organization keeps an owner.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/members/{user}/remove", operation_id = "members.remove",
    tag = "members",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("user" = String, Path, description = "The person's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the role's revision is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = Option<wire::RemoveMember>,
    responses((status = 200, body = wire::Departure), (status = "default", body = wire::Problem))
)]
pub(crate) async fn remove(
    State(app): State<App>,
    session: Session,
    Path((organization, user)): Path<(String, String)>,
    conditions: Conditions,
    body: Option<Json<wire::RemoveMember>>,
) -> Result<Answer<wire::Departure>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let id = super::read_user(&user)?;
    let command = Command::RemoveMember(RemoveMember {
        place: people::read_place(&organization, body.project.as_deref()),
        user: id,
        tokens: people::read_fate(body.tokens.as_deref(), body.to.as_deref())?,
    });
    let path = [organization.as_str(), user.as_str()];
    let done = app.change(&session, "members.remove", &path, &body, conditions, command).await?;
    let tokens = people::view_readable(&app, &session, &done.tokens);
    Ok(Answer::ok(wire::Departure { user: id.0, tokens }, done.position))
}
