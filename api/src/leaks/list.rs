use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::tokens::view_scope;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};
use domain::state::{self, Leak};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of the list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LeakQuery {
    /// Items on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// List reported leaks
///
/// The newest first, of tokens where the caller has `leaks:read`.
#[utoipa::path(
    get, path = "/v1/leaks", operation_id = "leaks.list", tag = "leaks", params(LeakQuery),
    responses((status = 200, body = Page<wire::Leak>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Query(query): Query<LeakQuery>,
) -> Result<Answer<Page<wire::Leak>>, Problem> {
    let limit = page::limit(query.limit)?;
    let before: Option<u64> = page::decode(query.cursor.as_deref())?;
    let look = |state: &_, caller: &_| {
        let (found, next) = query::leaks(state, caller, before, limit);
        let items = found.iter().filter_map(|leak| view(state, leak)).collect();
        Ok(Page { items, next_cursor: next.map(|number| page::encode(&number)) })
    };
    let (page, position) = app.read(session, "leaks.list", Read::Leaks, query.at_least, look).await?;
    Ok(Answer::ok(page, position))
}

fn view(state: &state::State, leak: &Leak) -> Option<wire::Leak> {
    let token = state.tokens().get(leak.token)?;
    Some(wire::Leak {
        token: token.id.0,
        name: token.name.to_string(),
        prefix: token.prefix.to_string(),
        scope: view_scope(state, token.scope),
        secret: leak.secret,
        evidence: leak.evidence.as_str().to_owned(),
        source: leak.source.as_deref().map(str::to_owned),
        url: leak.url.as_deref().map(str::to_owned),
        at: leak.at.to_string(),
        by: leak.by.to_string(),
        revoked: state.revocation(token).is_some(),
    })
}
