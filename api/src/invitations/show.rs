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

/// Show an invitation
///
/// Needs `members:read` or `members:invite` where it invites to.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/invitations/{invitation}", operation_id = "invitations.show",
    tag = "invitations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("invitation" = String, Path, description = "The invitation's id."),
        AtLeast
    ),
    responses((status = 200, body = wire::Invitation), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path((organization, invitation)): Path<(String, String)>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Invitation>, Problem> {
    let (id, at) = (people::read_id("invitation", &invitation)?, app.now());
    let look = |state: &_, caller: &_| {
        query::invitation(state, caller, &organization, id).map(|found| super::view(state, found, at))
    };
    let read = Read::Invitation(organization.clone(), id);
    let (mut found, position) = app.read(session, "invitations.show", read, query.at_least, look).await?;
    people::open(&app, [&mut found]).await;
    let revision = found.revision;
    Ok(Answer::ok(found, position).revision(revision))
}
