use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Reissue};

/// Give an invitation another text
///
/// For a text that was lost, has expired, or that nobody was told; the one before is no longer accepted. Needs what
/// inviting needs. The answer holds the text as `secret`, this once.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/invitations/{invitation}/reissue",
    operation_id = "invitations.reissue", tag = "invitations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("invitation" = String, Path, description = "The invitation's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = Option<wire::ReissueInvitation>,
    responses((status = 200, body = wire::Invitation), (status = "default", body = wire::Problem))
)]
pub(crate) async fn reissue(
    State(app): State<App>,
    session: Session,
    Path((organization, invitation)): Path<(String, String)>,
    conditions: Conditions,
    body: Option<Json<wire::ReissueInvitation>>,
) -> Result<Answer<wire::Invitation>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let command = Command::Reissue(Reissue {
        organization: organization.clone(),
        invitation: people::read_id("invitation", &invitation)?,
        giving: super::create::giving(&app, body.expires_in.as_deref())?,
    });
    let path = [organization.as_str(), invitation.as_str()];
    let done = app.change(&session, "invitations.reissue", &path, &body, conditions, command).await?;
    super::changed(&app, done, false).await
}
