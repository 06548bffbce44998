use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::organizations::list::{NamedPage, cut};
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// List an organization's projects
///
/// Those that the caller may read (`projects:read`), by name.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/projects", operation_id = "projects.list", tag = "projects",
    params(("organization" = String, Path, description = "Name or id."), NamedPage),
    responses((status = 200, body = Page<wire::Project>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<NamedPage>,
) -> Result<Answer<Page<wire::Project>>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, query.after()?);
    let read = Read::Projects(organization.clone());
    let look = |state: &_, caller: &_| {
        let found = query::projects(state, caller, &organization, after.as_ref(), limit + 1)?;
        Ok(cut(found, limit, |found| &found.naming.name, |found| super::view(state, found)))
    };
    let (page, position) = app.read(session, "projects.list", read, query.at_least, look).await?;
    Ok(Answer::ok(page, position))
}
