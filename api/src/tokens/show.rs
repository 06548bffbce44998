use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};

/// Show a token
///
/// Needs `tokens:read` at its scope. Every token may read itself.
#[utoipa::path(
    get, path = "/v1/tokens/{id}", operation_id = "tokens.show", tag = "tokens",
    params(("id" = String, Path, description = "The token's id."), AtLeast),
    responses((status = 200, body = wire::Token), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Token>, Problem> {
    let id = super::read_id(&id)?;
    let at = app.now();
    let look =
        |state: &_, caller: &_| query::token(state, caller, id).map(|token| super::view(state, token, at));
    let (mut token, position) =
        app.read_by(&session, "tokens.show", Read::Token(id), query.at_least, look).await?;
    super::add_last_used(&app, &session, std::slice::from_mut(&mut token)).await;
    super::import::add_owner(&app, &mut token, id).await;
    super::add_days(&app, &session, &mut token).await;
    let revision = token.revision;
    Ok(Answer::ok(token, position).revision(revision))
}
