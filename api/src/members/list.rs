use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::page::{self, IdPage, Page};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// List an organization's members
///
/// One item for each role that a person has in the organization or one of its projects, as far as the caller may read
/// it (`members:read`).
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/members", operation_id = "members.list", tag = "members",
    params(("organization" = String, Path, description = "Name or id."), IdPage),
    responses((status = 200, body = Page<wire::Member>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<IdPage>,
) -> Result<Answer<Page<wire::Member>>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, query.after()?);
    let look = |state: &_, caller: &_| {
        let found = query::members(state, caller, &organization, after, limit + 1)?;
        let key = |found: &std::sync::Arc<domain::state::Member>| (found.user, found.place.project());
        Ok(page::cut(found, limit, key, |found| super::view(state, found)))
    };
    let read = Read::Members(organization.clone());
    let (mut page, position) = app.read(session, "members.list", read, query.at_least, look).await?;
    people::open(&app, &mut page.items).await;
    Ok(Answer::ok(page, position))
}
