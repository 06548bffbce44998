use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, NamingChange, RenameProject};

/// Rename a project
///
/// Needs `projects:update`.
#[utoipa::path(
    patch, path = "/v1/organizations/{organization}/projects/{project}", operation_id = "projects.rename",
    tag = "projects",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("project" = String, Path, description = "Name or id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::Rename,
    responses((status = 200, body = wire::Project), (status = "default", body = wire::Problem))
)]
pub(crate) async fn rename(
    State(app): State<App>,
    session: Session,
    Path((organization, project)): Path<(String, String)>,
    conditions: Conditions,
    Json(body): Json<wire::Rename>,
) -> Result<Answer<wire::Project>, Problem> {
    let command = Command::RenameProject(RenameProject {
        organization: organization.clone(),
        project: project.clone(),
        change: NamingChange { name: body.name.clone(), display_name: body.display_name.clone() },
    });
    let path = [organization.as_str(), project.as_str()];
    let done = app.change(&session, "projects.rename", &path, &body, conditions, command).await?;
    let project = super::changed(&app, &done)?;
    let revision = project.revision;
    Ok(Answer::ok(project, done.position).revision(revision))
}
