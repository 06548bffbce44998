use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, CreateOrganization};
use domain::id::OrganizationId;

/// Create an organization
///
/// Needs `organizations:create` at the instance.
#[utoipa::path(
    post, path = "/v1/organizations", operation_id = "organizations.create", tag = "organizations",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect.")),
    request_body = wire::NewOrganization,
    responses((status = 201, body = wire::Organization), (status = "default", body = wire::Problem))
)]
pub(crate) async fn create(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::NewOrganization>,
) -> Result<Answer<wire::Organization>, Problem> {
    let command = Command::CreateOrganization(CreateOrganization {
        id: OrganizationId(app.new_id()),
        name: body.name.clone(),
        display_name: body.display_name.clone(),
    });
    let done = app.change(&session, "organizations.create", &[], &body, conditions, command).await?;
    let organization = super::changed(&app, &done)?;
    let (revision, location) = (organization.revision, format!("/v1/organizations/{}", organization.id));
    Ok(Answer::created(organization, done.position, location).revision(revision))
}
