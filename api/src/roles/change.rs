use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{ChangeRole, Command};

/// Change what a role of an organization's own may do
///
/// In force for every holder, on every node, once it is answered. Needs `roles:update` at the organization, and there
/// every permission that is added. A caller whose token expires, or is bound to networks, adds nothing to a role whose
/// holders are not bound alike.
#[utoipa::path(
    patch, path = "/v1/organizations/{organization}/roles/{role}", operation_id = "roles.change", tag = "roles",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("role" = String, Path, description = "Its name."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::RoleChange,
    responses((status = 200, body = wire::Role), (status = "default", body = wire::Problem))
)]
pub(crate) async fn change(
    State(app): State<App>,
    session: Session,
    Path((organization, role)): Path<(String, String)>,
    conditions: Conditions,
    Json(body): Json<wire::RoleChange>,
) -> Result<Answer<wire::Role>, Problem> {
    adjust(&app, &session, "roles.change", (Some(organization), &role), conditions, &body).await
}

/// Change what a role of the instance's own may do
///
/// In force for every holder, in every organization and on every node, once it is answered. Needs `roles:update` at the
/// instance, and there every permission that is added.
#[utoipa::path(
    patch, path = "/v1/roles/{role}", operation_id = "instance.roles.change", tag = "roles",
    params(
        ("role" = String, Path, description = "Its name."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::RoleChange,
    responses((status = 200, body = wire::Role), (status = "default", body = wire::Problem))
)]
pub(crate) async fn change_shared(
    State(app): State<App>,
    session: Session,
    Path(role): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::RoleChange>,
) -> Result<Answer<wire::Role>, Problem> {
    adjust(&app, &session, "instance.roles.change", (None, &role), conditions, &body).await
}

async fn adjust(
    app: &App,
    session: &Session,
    operation: &'static str,
    (organization, role): (Option<String>, &str),
    conditions: Conditions,
    body: &wire::RoleChange,
) -> Result<Answer<wire::Role>, Problem> {
    let path: Vec<&str> = organization.as_deref().into_iter().chain([role]).collect();
    let command = Command::ChangeRole(ChangeRole {
        organization: organization.clone(),
        role: role.to_owned(),
        permissions: body.permissions.clone(),
        add: body.add.clone(),
        remove: body.remove.clone(),
    });
    let done = app.change(session, operation, &path, body, conditions, command).await?;
    let role = super::changed(app, &done, role)?;
    let revision = role.revision;
    Ok(Answer::ok(role, done.position).revision(revision))
}
