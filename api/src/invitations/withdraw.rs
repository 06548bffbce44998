use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::Path;
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, Withdraw};

/// Withdraw an invitation
///
/// It can no longer be accepted. Needs `members:invite`. Withdrawing what is withdrawn changes nothing and answers 200.
#[utoipa::path(
    delete, path = "/v1/organizations/{organization}/invitations/{invitation}",
    operation_id = "invitations.withdraw", tag = "invitations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("invitation" = String, Path, description = "The invitation's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    responses((status = 200, body = wire::Invitation), (status = "default", body = wire::Problem))
)]
pub(crate) async fn withdraw(
    State(app): State<App>,
    session: Session,
    Path((organization, invitation)): Path<(String, String)>,
    conditions: Conditions,
) -> Result<Answer<wire::Invitation>, Problem> {
    let command = Command::Withdraw(Withdraw {
        organization: organization.clone(),
        invitation: people::read_id("invitation", &invitation)?,
    });
    let path = [organization.as_str(), invitation.as_str()];
    let done = app.change(&session, "invitations.withdraw", &path, &(), conditions, command).await?;
    super::changed(&app, done, false).await
}
