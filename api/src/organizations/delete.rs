use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, DeleteOrganization};

/// Delete an organization
///
/// For good, with its projects; all their tokens are revoked with the reason `organization-deleted`, on every node once
/// it is answered. `confirm` is the organization's name. It stays readable by its id for the instance's auditors, and
/// its name stays reserved for 90 days. Needs `organizations:delete`. `GET …/contents` says what would end.
#[utoipa::path(
    delete, path = "/v1/organizations/{organization}", operation_id = "organizations.delete", tag = "organizations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::Delete,
    responses((status = 200, body = wire::Organization), (status = "default", body = wire::Problem))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::Delete>,
) -> Result<Answer<wire::Organization>, Problem> {
    let command = Command::DeleteOrganization(DeleteOrganization {
        organization: organization.clone(),
        confirm: body.confirm.clone(),
        note: body.note.clone(),
    });
    let path = [organization.as_str()];
    let done = app.change(&session, "organizations.delete", &path, &body, conditions, command).await?;
    let organization = super::changed(&app, &done)?;
    let revision = organization.revision;
    Ok(Answer::ok(organization, done.position).revision(revision))
}
