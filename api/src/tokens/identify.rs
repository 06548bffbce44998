use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::invalid;
use crate::limits::Limited;
use crate::page::Page;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read, Sought};
use domain::secret::PREFIX_LENGTH;

/// Find whose token a text is
///
/// By the whole text (one that a rotation replaced is found too) or by its beginning. Needs `tokens:read`; answers
/// those that the caller may read, at most 100. Not a use of the token that is found.
#[utoipa::path(
    post, path = "/v1/tokens/identify", operation_id = "tokens.identify", tag = "tokens",
    request_body = wire::Identify,
    responses((status = 200, body = Page<wire::Token>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn identify(
    State(app): State<App>,
    session: Session,
    Json(body): Json<wire::Identify>,
) -> Result<Answer<Page<wire::Token>>, Problem> {
    let sought = match (&body.token, &body.prefix) {
        (Some(text), None) => Sought::Secret(app.hashes(text)),
        (None, Some(prefix)) if (5..=PREFIX_LENGTH).contains(&prefix.len()) => Sought::Prefix(prefix.clone()),
        (None, Some(prefix)) => {
            return Err(invalid("prefix", prefix, "the first 5 to 12 characters of a token"));
        }
        _ => return Err(invalid("token", "", "exactly one of a token's text and its prefix")),
    };
    app.limit(Limited::Identify, Some(&session), session.address())?;
    let at = app.now();
    let look = |state: &_, caller: &_| {
        let found = query::identify(state, caller, &sought);
        Ok(found.iter().map(|token| super::view(state, token, at)).collect::<Vec<_>>())
    };
    let (mut items, position) = app.read_by(&session, "tokens.identify", Read::Identify, None, look).await?;
    super::add_last_used(&app, &session, &mut items).await;
    Ok(Answer::ok(Page { items, next_cursor: None }, position))
}
