use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, SuspendOrganization};

/// Suspend an organization
///
/// All its tokens are refused with `organization_suspended`, on every node once it is answered, until it is restored.
/// Needs `organizations:suspend` at the instance. Suspending what is suspended changes nothing and answers 200.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/suspend", operation_id = "organizations.suspend",
    tag = "organizations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = Option<wire::Suspend>,
    responses((status = 200, body = wire::Organization), (status = "default", body = wire::Problem))
)]
pub(crate) async fn suspend(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    body: Option<Json<wire::Suspend>>,
) -> Result<Answer<wire::Organization>, Problem> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let command = Command::SuspendOrganization(SuspendOrganization {
        organization: organization.clone(),
        note: body.note.clone(),
    });
    let path = [organization.as_str()];
    let done = app.change(&session, "organizations.suspend", &path, &body, conditions, command).await?;
    let organization = super::changed(&app, &done)?;
    let revision = organization.revision;
    Ok(Answer::ok(organization, done.position).revision(revision))
}
