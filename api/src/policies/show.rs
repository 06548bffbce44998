use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};
use std::sync::Arc;

/// Show an organization's policy
///
/// With what it hits today. Needs `policies:read`.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/policy", operation_id = "policies.show", tag = "policies",
    params(("organization" = String, Path, description = "Name or id."), AtLeast),
    responses((status = 200, body = wire::OrganizationPolicy), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::OrganizationPolicy>, Problem> {
    let read = Read::Policy(organization.clone());
    let look = |state: &_, caller: &_| query::policy(state, caller, &organization).map(Arc::clone);
    let (found, position) = app.read(session, "policies.show", read, query.at_least, look).await?;
    let policy = super::view(&app, &found, &found.policy).await?;
    Ok(Answer::ok(policy, position).revision(found.revision))
}
