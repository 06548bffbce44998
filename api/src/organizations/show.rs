use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// Show an organization
///
/// By name or id. Needs `organizations:read`.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}", operation_id = "organizations.show", tag = "organizations",
    params(("organization" = String, Path, description = "Name or id."), AtLeast),
    responses((status = 200, body = wire::Organization), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Organization>, Problem> {
    let read = Read::Organization(organization.clone());
    let look = |state: &_, caller: &_| {
        query::organization(state, caller, &organization).map(|found| super::view(found))
    };
    let (found, position) = app.read(session, "organizations.show", read, query.at_least, look).await?;
    let revision = found.revision;
    Ok(Answer::ok(found, position).revision(revision))
}
