use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::error::problem;
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// Show a role
///
/// One that can be held in the organization, and how many live tokens hold it there. Needs `roles:read` there or in
/// one of its projects.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/roles/{role}", operation_id = "roles.show", tag = "roles",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("role" = String, Path, description = "Its name."),
        AtLeast
    ),
    responses((status = 200, body = wire::Role), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path((organization, role)): Path<(String, String)>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Role>, Problem> {
    one(&app, session, "roles.show", (Some(organization), role), query.at_least).await
}

/// Show a role of the instance
///
/// A built-in one or one of the instance's own, and how many live tokens hold it. Needs `roles:read` at the instance.
#[utoipa::path(
    get, path = "/v1/roles/{role}", operation_id = "instance.roles.show", tag = "roles",
    params(("role" = String, Path, description = "Its name."), AtLeast),
    responses((status = 200, body = wire::Role), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show_shared(
    State(app): State<App>,
    session: Session,
    Path(role): Path<String>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Role>, Problem> {
    one(&app, session, "instance.roles.show", (None, role), query.at_least).await
}

async fn one(
    app: &App,
    session: Session,
    operation: &'static str,
    (organization, role): (Option<String>, String),
    at_least: Option<u64>,
) -> Result<Answer<wire::Role>, Problem> {
    let of = organization.as_deref();
    app.readable(&session, operation, Read::Role(organization.clone(), role.clone()), at_least).await?;
    let position = app.node().live().position();
    let census = super::census(app, &session, of).await?;
    let found = app.node().live().read(|state| {
        let caller = app.again(state, &session)?;
        let role = query::role(state, &caller, of, &role).map_err(|rejection| problem(&rejection.into()))?;
        Ok::<_, Problem>(super::counted(state, &role, &census, of))
    })?;
    let revision = found.revision;
    Ok(Answer::ok(found, position).revision(revision))
}
