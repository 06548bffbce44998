use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::page::{self, IdPage, Page};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// List persons
///
/// All of the instance, in the order of their first coming. Needs `members:read` on the instance.
#[utoipa::path(
    get, path = "/v1/users", operation_id = "users.list", tag = "users", params(IdPage),
    responses((status = 200, body = Page<wire::User>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Query(query): Query<IdPage>,
) -> Result<Answer<Page<wire::User>>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, query.after()?);
    let look = |state: &_, _: &_| {
        let found = query::users(state, after, limit + 1);
        Ok(page::cut(found, limit, |found| found.id, |found| people::view_user(state, found)))
    };
    let (mut page, position) = app.read(session, "users.list", Read::Users, query.at_least, look).await?;
    people::open(&app, &mut page.items).await;
    Ok(Answer::ok(page, position))
}
