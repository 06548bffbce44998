use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// Show a project
///
/// By name or id. Needs `projects:read`.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/projects/{project}", operation_id = "projects.show",
    tag = "projects",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("project" = String, Path, description = "Name or id."),
        AtLeast
    ),
    responses((status = 200, body = wire::Project), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path((organization, project)): Path<(String, String)>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Project>, Problem> {
    let read = Read::Project(organization.clone(), project.clone());
    let look = |state: &_, caller: &_| {
        query::project(state, caller, &organization, &project).map(|found| super::view(state, found))
    };
    let (found, position) = app.read(session, "projects.show", read, query.at_least, look).await?;
    let revision = found.revision;
    Ok(Answer::ok(found, position).revision(revision))
}
