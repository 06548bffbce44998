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

/// List an organization's roles
///
/// Those that can be held in it, by name: its own and the instance's, each with how many live tokens and
/// members of the organization hold it, among those that the caller may read. Needs `roles:read` there or in one of its projects.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/roles", operation_id = "roles.list", tag = "roles",
    params(("organization" = String, Path, description = "Name or id."), NamedPage),
    responses((status = 200, body = Page<wire::Role>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<NamedPage>,
) -> Result<Answer<Page<wire::Role>>, Problem> {
    page(&app, session, "roles.list", Some(organization), &query).await
}

/// List the instance's roles
///
/// The built-in ones and the instance's own, by name, each with how many live tokens hold it. Needs `roles:read` at the
/// instance.
#[utoipa::path(
    get, path = "/v1/roles", operation_id = "instance.roles.list", tag = "roles", params(NamedPage),
    responses((status = 200, body = Page<wire::Role>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list_shared(
    State(app): State<App>,
    session: Session,
    Query(query): Query<NamedPage>,
) -> Result<Answer<Page<wire::Role>>, Problem> {
    page(&app, session, "instance.roles.list", None, &query).await
}

async fn page(
    app: &App,
    session: Session,
    operation: &'static str,
    organization: Option<String>,
    query: &NamedPage,
) -> Result<Answer<Page<wire::Role>>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, query.after()?);
    let of = organization.as_deref();
    app.readable(&session, operation, Read::Roles(organization.clone()), query.at_least).await?;
    let position = app.node().live().position();
    let census = super::census(app, &session, of).await?;
    let found = app.node().live().read(|state| {
        let caller = app.again(state, &session)?;
        let found = query::roles(state, &caller, of, after.as_ref(), limit + 1);
        let found = found.map_err(|rejection| crate::error::problem(&rejection.into()))?;
        let view = |role: &std::sync::Arc<domain::state::Role>| super::counted(state, role, &census, of);
        Ok::<_, Problem>(cut(found, limit, |role| &role.name, view))
    })?;
    Ok(Answer::ok(found, position))
}
