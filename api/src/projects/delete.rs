use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, DeleteProject};

/// Delete a project
///
/// For good. Its tokens are revoked with the reason `project-deleted`, and grants at it that other tokens of the
/// organization hold end, on every node once it is answered. `confirm` is the project's name, which is free at once.
/// It stays readable by its id. Needs `projects:delete`. `GET …/contents` says what would end.
#[utoipa::path(
    delete, path = "/v1/organizations/{organization}/projects/{project}", operation_id = "projects.delete",
    tag = "projects",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("project" = String, Path, description = "Name or id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::Delete,
    responses((status = 200, body = wire::Project), (status = "default", body = wire::Problem))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    session: Session,
    Path((organization, project)): Path<(String, String)>,
    conditions: Conditions,
    Json(body): Json<wire::Delete>,
) -> Result<Answer<wire::Project>, Problem> {
    let command = Command::DeleteProject(DeleteProject {
        organization: organization.clone(),
        project: project.clone(),
        confirm: body.confirm.clone(),
        note: body.note.clone(),
    });
    let path = [organization.as_str(), project.as_str()];
    let done = app.change(&session, "projects.delete", &path, &body, conditions, command).await?;
    let project = super::changed(&app, &done)?;
    let revision = project.revision;
    Ok(Answer::ok(project, done.position).revision(revision))
}
