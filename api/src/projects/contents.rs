use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::organizations::contents::{count, view};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::ScopeText;

/// Count what is in a project
///
/// Its tokens by what has become of them, the live tokens of the organization that hold a role at it and, if the caller
/// may read them (`members:read`), its members and open invitations: what a deletion would end. Needs `tokens:read`.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/projects/{project}/contents", operation_id = "projects.contents",
    tag = "projects",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("project" = String, Path, description = "Name or id."),
        AtLeast,
    ),
    responses((status = 200, body = wire::Contents), (status = "default", body = wire::Problem))
)]
pub(crate) async fn contents(
    State(app): State<App>,
    session: Session,
    Path((organization, project)): Path<(String, String)>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Contents>, Problem> {
    let scope = ScopeText::Project(organization, project);
    let (counted, position) = count(&app, &session, "projects.contents", &scope, query.at_least).await?;
    Ok(Answer::ok(wire::Contents { holders: Some(counted.holders), ..view(&counted) }, position))
}
