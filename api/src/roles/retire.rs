use crate::app::App;
use crate::auth::Session;
use crate::change::{Conditions, ConditionsBesideQuery};
use crate::edge::extract::{Path, Query};
use crate::edge::{Problem, codes};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, RetireRole};
use domain::event::Subject;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// What takes a role's place.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Retirement {
    /// The role that its holders have from then on in its place, of the same level. Absent, the role must not be held.
    #[serde(skip_serializing_if = "Option::is_none")]
    replacement: Option<String>,
}

/// Retire a role of an organization's own
///
/// A role that live tokens hold goes only with a `replacement`, which takes its place in all of them at once. Needs
/// `roles:retire` at the organization, and there what the replacement may do beyond the role.
#[utoipa::path(
    delete, path = "/v1/organizations/{organization}/roles/{role}", operation_id = "roles.retire", tag = "roles",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("role" = String, Path, description = "Its name."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
        Retirement
    ),
    responses((status = 200, body = wire::RetiredRole), (status = "default", body = wire::Problem))
)]
pub(crate) async fn retire(
    State(app): State<App>,
    session: Session,
    Path((organization, role)): Path<(String, String)>,
    ConditionsBesideQuery(conditions): ConditionsBesideQuery,
    Query(query): Query<Retirement>,
) -> Result<Answer<wire::RetiredRole>, Problem> {
    end(&app, &session, "roles.retire", (Some(organization), role), conditions, query).await
}

/// Retire a role of the instance's own
///
/// A role that live tokens hold, in any organization, goes only with a `replacement`. Needs `roles:retire` at the
/// instance, and there what the replacement may do beyond the role.
#[utoipa::path(
    delete, path = "/v1/roles/{role}", operation_id = "instance.roles.retire", tag = "roles",
    params(
        ("role" = String, Path, description = "Its name."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
        Retirement
    ),
    responses((status = 200, body = wire::RetiredRole), (status = "default", body = wire::Problem))
)]
pub(crate) async fn retire_shared(
    State(app): State<App>,
    session: Session,
    Path(role): Path<String>,
    ConditionsBesideQuery(conditions): ConditionsBesideQuery,
    Query(query): Query<Retirement>,
) -> Result<Answer<wire::RetiredRole>, Problem> {
    end(&app, &session, "instance.roles.retire", (None, role), conditions, query).await
}

async fn end(
    app: &App,
    session: &Session,
    operation: &'static str,
    (organization, role): (Option<String>, String),
    conditions: Conditions,
    query: Retirement,
) -> Result<Answer<wire::RetiredRole>, Problem> {
    let path: Vec<&str> = organization.as_deref().into_iter().chain([role.as_str()]).collect();
    let command = Command::RetireRole(RetireRole {
        organization: organization.clone(),
        role: role.clone(),
        replacement: query.replacement.clone(),
    });
    let done = app.change(session, operation, &path, &query, conditions, command).await?;
    let Subject::Roles(owner) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let name_of = |id| {
        app.node().live().read(|state| state.organization(id).map(|found| found.naming.name.to_string()))
    };
    let retired = wire::RetiredRole {
        name: role,
        organization: owner.and_then(name_of),
        replacement: query.replacement,
    };
    Ok(Answer::ok(retired, done.position))
}
