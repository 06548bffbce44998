use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::authority::{Caller, permissions_at};
use domain::query::Read;

/// Show the caller
///
/// Who it is, what it may do and until when. Every holder of a token may.
#[utoipa::path(
    get, path = "/v1/whoami", operation_id = "whoami", tag = "tokens", params(AtLeast),
    responses((status = 200, body = wire::Whoami), (status = "default", body = wire::Problem))
)]
pub(crate) async fn whoami(
    State(app): State<App>,
    session: Session,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Whoami>, Problem> {
    let at = app.now();
    let look = |state: &domain::state::State, caller: &Caller| {
        // As it is now, not as it was when the call was recorded.
        let token = caller.token().and_then(|token| state.tokens().get(token.id));
        let permissions = match token {
            None => vec!["*".to_owned()],
            Some(token) => {
                let held = permissions_at(state, token, token.scope);
                held.patterns().iter().map(ToString::to_string).collect()
            }
        };
        let token = token.map(|token| super::view(state, token, at));
        Ok(wire::Whoami { actor: caller.by().to_string(), token, permissions })
    };
    let (whoami, position) = app.read(session, "whoami", Read::Whoami, query.at_least, look).await?;
    Ok(Answer::ok(whoami, position))
}
