use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, CreateProject};
use domain::id::ProjectId;

/// Create a project
///
/// Needs `projects:create` at the organization.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/projects", operation_id = "projects.create", tag = "projects",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::NewProject,
    responses((status = 201, body = wire::Project), (status = "default", body = wire::Problem))
)]
pub(crate) async fn create(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::NewProject>,
) -> Result<Answer<wire::Project>, Problem> {
    let command = Command::CreateProject(CreateProject {
        id: ProjectId(app.new_id()),
        organization: organization.clone(),
        name: body.name.clone(),
        display_name: body.display_name.clone(),
    });
    let done = app.change(&session, "projects.create", &[&organization], &body, conditions, command).await?;
    let project = super::changed(&app, &done)?;
    let location = format!("/v1/organizations/{}/projects/{}", project.organization_id, project.id);
    let revision = project.revision;
    Ok(Answer::created(project, done.position, location).revision(revision))
}
