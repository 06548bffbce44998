use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, DefineRole};
use domain::role::Level;

/// Define a role of an organization's own
///
/// Needs `roles:create` at the organization, and there every permission that the role is to have.
#[utoipa::path(
    post, path = "/v1/organizations/{organization}/roles", operation_id = "roles.define", tag = "roles",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::NewRole,
    responses((status = 201, body = wire::Role), (status = "default", body = wire::Problem))
)]
pub(crate) async fn define(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::NewRole>,
) -> Result<Answer<wire::Role>, Problem> {
    make(&app, &session, "roles.define", Some(organization), conditions, &body).await
}

/// Define a role of the instance's own
///
/// One that can be held in every organization, in every project, or on the instance, as its level says. Needs
/// `roles:create` at the instance, and there every permission that the role is to have. No organization may have a role
/// of that name.
#[utoipa::path(
    post, path = "/v1/roles", operation_id = "instance.roles.define", tag = "roles",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::NewRole,
    responses((status = 201, body = wire::Role), (status = "default", body = wire::Problem))
)]
pub(crate) async fn define_shared(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::NewRole>,
) -> Result<Answer<wire::Role>, Problem> {
    make(&app, &session, "instance.roles.define", None, conditions, &body).await
}

async fn make(
    app: &App,
    session: &Session,
    operation: &'static str,
    organization: Option<String>,
    conditions: Conditions,
    body: &wire::NewRole,
) -> Result<Answer<wire::Role>, Problem> {
    let path: Vec<&str> = organization.as_deref().into_iter().collect();
    let command = Command::DefineRole(DefineRole {
        organization: organization.clone(),
        name: body.name.clone(),
        level: match body.level {
            wire::Level::Instance => Level::Instance,
            wire::Level::Organization => Level::Organization,
            wire::Level::Project => Level::Project,
        },
        permissions: body.permissions.clone(),
    });
    let done = app.change(session, operation, &path, body, conditions, command).await?;
    let role = super::changed(app, &done, &body.name)?;
    let (location, revision) = (super::path_of(&role), role.revision);
    Ok(Answer::created(role, done.position, location).revision(revision))
}
