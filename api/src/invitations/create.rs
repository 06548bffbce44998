use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::people;
use crate::respond::Answer;
use crate::tokens::read_duration;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Expiry, Giving, Invite};
use domain::id::InvitationId;

/// Invite somebody
///
/// Needs `members:invite`, and everything that the member will be able to do. A provisioner, which holds nothing inside
/// organizations, may invite the first owner of one, and members. The answer holds the invitation's text as `secret`,
/// this once; a provisioner is told only a first owner's.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/invitations", operation_id = "invitations.create",
    tag = "invitations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::NewInvitation,
    responses((status = 201, body = wire::Invitation), (status = "default", body = wire::Problem))
)]
pub(crate) async fn create(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::NewInvitation>,
) -> Result<Answer<wire::Invitation>, Problem> {
    let email = people::read_email(&app, &body.email)?;
    let command = Command::Invite(Invite {
        id: InvitationId(app.new_id()),
        place: people::read_place(&organization, body.project.as_deref()),
        role: body.role.clone(),
        email: email.encoded().into(),
        giving: giving(&app, body.expires_in.as_deref())?,
    });
    let conditions = conditions.personal([email]);
    let path = [organization.as_str()];
    let done = app.change(&session, "invitations.create", &path, &body, conditions, command).await?;
    super::changed(&app, done, true).await
}

/// How an invitation is given out.
pub(super) fn giving(app: &App, expires_in: Option<&str>) -> Result<Giving, Problem> {
    let expiry = expires_in.map(|text| read_duration("expires_in", text).map(Expiry::In)).transpose()?;
    Ok(Giving { entropy: app.new_entropy(), expiry: expiry.unwrap_or_default(), by_mail: false })
}
