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

/// List an organization's invitations
///
/// Those that the caller may read (`members:read`), the oldest first, whatever has become of them.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/invitations", operation_id = "invitations.list",
    tag = "invitations",
    params(("organization" = String, Path, description = "Name or id."), IdPage),
    responses((status = 200, body = Page<wire::Invitation>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<IdPage>,
) -> Result<Answer<Page<wire::Invitation>>, Problem> {
    let (limit, after, at) = (page::limit(query.limit)?, query.after()?, app.now());
    let look = |state: &_, caller: &_| {
        let found = query::invitations(state, caller, &organization, after, limit + 1)?;
        Ok(page::cut(found, limit, |found| found.id, |found| super::view(state, found, at)))
    };
    let read = Read::Invitations(organization.clone());
    let (mut page, position) = app.read(session, "invitations.list", read, query.at_least, look).await?;
    people::open(&app, &mut page.items).await;
    Ok(Answer::ok(page, position))
}
