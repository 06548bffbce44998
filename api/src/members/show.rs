use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::authority::Caller;
use domain::query::{self, Read};
use domain::scope::Scope;

/// Show a member
///
/// The roles of a person in the organization and its projects, as far as the caller may read them (`members:read`), and
/// the tokens there that the person answers for, as far as the caller may read those (`tokens:read`).
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/members/{user}", operation_id = "members.show", tag = "members",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("user" = String, Path, description = "The person's id."),
        AtLeast
    ),
    responses((status = 200, body = wire::Memberships), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path((organization, user)): Path<(String, String)>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Memberships>, Problem> {
    let user = super::read_user(&user)?;
    let look = |state: &domain::state::State, caller: &Caller| {
        let found = query::member(state, caller, &organization, user)?;
        let place = found[0].place.organization().map_or(Scope::Instance, Scope::Organization);
        let mut tokens = people::answered_for(&app, state, user, place);
        tokens.retain(|id| query::token(state, caller, *id).is_ok());
        Ok(wire::Memberships {
            user: user.0,
            members: found.iter().map(|member| super::view(state, member)).collect(),
            tokens: people::view_tokens(&app, state, &tokens),
        })
    };
    let read = Read::Member(organization.clone(), user);
    let (mut found, position) = app.read(session, "members.show", read, query.at_least, look).await?;
    people::open(&app, &mut found.members).await;
    Ok(Answer::ok(found, position))
}
