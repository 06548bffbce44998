use super::mail::{self, GivingOut};
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
/// organizations, may invite the first owner of one, and members. Where the authority sends mail, the invitation's text
/// goes to the mail address alone, and `mail` says what became of that. Elsewhere the answer holds it as `secret`, this
/// once; a provisioner is told only a first owner's.
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
    mail::require_sendable(&app, &session, &email.value)?;
    let command = Command::Invite(Invite {
        id: InvitationId(app.new_id()),
        place: people::read_place(&organization, body.project.as_deref()),
        role: body.role.clone(),
        email: email.encoded().into(),
        giving: giving(&app, body.expires_in.as_deref())?,
    });
    let conditions = conditions.personal([email]);
    let giving_out = GivingOut {
        session,
        operation: "invitations.create",
        path: vec![organization],
        body,
        conditions,
        command,
    };
    mail::give_out(app, giving_out).await
}

/// How an invitation is given out.
pub(super) fn giving(app: &App, expires_in: Option<&str>) -> Result<Giving, Problem> {
    let expiry = expires_in.map(|text| read_duration("expires_in", text).map(Expiry::In)).transpose()?;
    Ok(Giving {
        entropy: app.new_entropy(),
        expiry: expiry.unwrap_or_default(),
        by_mail: app.mail().is_some(),
    })
}
