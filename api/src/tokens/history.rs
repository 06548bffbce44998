use crate::app::App;
use crate::audit;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::authority::Caller;
use domain::id::TokenId;
use domain::query::{self, AUDIT, Read};
use domain::rejection::Rejection;
use domain::scope::Scope;
use domain::state;
use projections::audit::TokenHistory;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of a token's history, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// `newest` first (when absent), or `oldest`.
    order: Option<String>,
    /// Items on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Answer from views of a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Show what happened to a token
///
/// The lifecycle events about it, and since its minting those that ended or suspended it from outside: the revocation of
/// a token that it descends from, or of many by a filter, the deletion of its project, the suspension, restoration and deletion of its
/// organization, as far as the caller may read these. Needs `tokens:read` at its scope; every token may read its own.
/// Personal values of the lines about the token are shown to callers with `audit:read` there.
#[utoipa::path(
    get, path = "/v1/tokens/{id}/history", operation_id = "tokens.history", tag = "tokens",
    params(("id" = String, Path, description = "The token's id."), HistoryQuery),
    responses((status = 200, body = Page<wire::AuditEvent>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn history(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Answer<Page<wire::AuditEvent>>, Problem> {
    let (id, limit) = (super::read_id(&id)?, page::limit(query.limit)?);
    let (order, after) = audit::read_order(query.order.as_deref(), query.cursor.as_deref())?;
    app.readable(&session, "tokens.history", Read::History(id), None).await?;
    audit::reached(&app, query.at_least).await?;
    let (of, is_opened) = audit::look(&app, &session, |state, caller| visible(state, caller, id))?;
    let found = app.node().audit().history(&of, order, after, limit).await;
    let found = found.map_err(|error| audit::failed(&error))?;
    let (page, position) =
        audit::view_page(&app, found, order, |line| is_opened && line.token == Some(id)).await?;
    Ok(Answer::ok(page, position))
}

/// What the caller may see of a token's history, and whether that includes personal values.
fn visible(state: &state::State, caller: &Caller, id: TokenId) -> Result<(TokenHistory, bool), Rejection> {
    let token = query::token(state, caller, id)?;
    let revocation = state.revocation(token);
    let cause = revocation.and_then(|(_, cause)| cause);
    let revoked = cause.and_then(|cause| state.tokens().get(cause)).unwrap_or(token);
    let whole = revoked.scope.organization().map_or(Scope::Instance, Scope::Organization);
    // A revocation by filter says how many there were: that is for who may see them all.
    let ended = revocation.filter(|_| caller.may(state, "tokens:read", whole));
    let organization = token
        .scope
        .organization()
        .filter(|organization| caller.may(state, "organizations:read", Scope::Organization(*organization)));
    let of = TokenHistory {
        token: id,
        cause: cause.filter(|cause| query::token(state, caller, *cause).is_ok()),
        organization,
        project: token.scope.project(),
        ended: ended.map(|(revocation, _)| (whole.organization(), revocation.at)),
    };
    Ok((of, caller.may(state, AUDIT, token.scope)))
}
