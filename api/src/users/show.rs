use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// Show a person
///
/// Needs `members:read` on the instance.
#[utoipa::path(
    get, path = "/v1/users/{user}", operation_id = "users.show", tag = "users",
    params(("user" = String, Path, description = "The person's id."), AtLeast),
    responses((status = 200, body = wire::User), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path(user): Path<String>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::User>, Problem> {
    let id = people::read_id("user", &user)?;
    let look =
        |state: &_, caller: &_| query::user(state, caller, id).map(|found| people::view_user(state, found));
    let (mut found, position) = app.read(session, "users.show", Read::User(id), query.at_least, look).await?;
    people::open(&app, [&mut found]).await;
    let revision = found.revision;
    Ok(Answer::ok(found, position).revision(revision))
}
