use super::{read_scope, read_time};
use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::extract::Json;
use crate::edge::{Problem, codes};
use crate::error::{invalid, problem};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, FilterText, RevokeTokens, read_why};
use domain::event::Subject;
use domain::preview::Preview;
use domain::query::Read;

/// Tokens that a preview shows.
const SHOWN: usize = 100;

/// Revoke all tokens that a filter chooses
///
/// One event, in force on every node once it is answered, and final. Needs `tokens:revoke` at the filter's scope. First
/// with `dry_run`, which says which tokens and how many; then with that count as `expected_count`.
#[utoipa::path(
    post, path = "/v1/tokens/revoke", operation_id = "tokens.revoke_all", tag = "tokens",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::RevokeTokens,
    responses((status = 200, body = wire::RevokedTokens), (status = "default", body = wire::Problem))
)]
pub(crate) async fn revoke_tokens(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::RevokeTokens>,
) -> Result<Answer<wire::RevokedTokens>, Problem> {
    let filter = read_filter(&body.filter)?;
    if body.dry_run {
        read_why(body.reason.as_deref(), body.note.as_deref())
            .map_err(|rejection| problem(&rejection.into()))?;
        return preview(&app, &session, filter).await;
    }
    let expected_count = body
        .expected_count
        .ok_or_else(|| invalid("expected_count", "", "the count of a preview, which dry_run makes"))?;
    let (reason, note) = (body.reason.clone(), body.note.clone());
    let command = Command::RevokeTokens(RevokeTokens { filter, expected_count, reason, note });
    let done = app.change(&session, "tokens.revoke_all", &[], &body, conditions, command).await?;
    let Subject::Tokens(_, count) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    Ok(Answer::ok(wire::RevokedTokens { dry_run: false, count, tokens: Vec::new() }, done.position))
}

async fn preview(
    app: &App,
    session: &Session,
    filter: FilterText,
) -> Result<Answer<wire::RevokedTokens>, Problem> {
    let at = app.now();
    app.readable(session, "tokens.revoke_all", Read::RevokeTokens(filter.clone()), None).await?;
    let live = app.node().live();
    let position = live.position();
    let mut preview = Preview::new(&filter, SHOWN);
    let mut step = |state: &_| {
        let caller = app.again(state, session)?;
        preview.step(state, &caller, at).map_err(|rejection| problem(&rejection.into()))
    };
    while live.read(&mut step)? {
        tokio::task::yield_now().await;
    }
    let mut tokens: Vec<wire::Token> =
        live.read(|state| preview.first.iter().map(|token| super::view(state, token, at)).collect());
    super::add_last_used(app, session, &mut tokens).await;
    Ok(Answer::ok(wire::RevokedTokens { dry_run: true, count: preview.count, tokens }, position))
}

fn read_filter(filter: &wire::TokenFilter) -> Result<FilterText, Problem> {
    let time = |field, text: &Option<String>| text.as_deref().map(|text| read_time(field, text)).transpose();
    Ok(FilterText {
        scope: read_scope(&filter.scope)?,
        created_by: filter.created_by.clone(),
        person: filter.person.clone(),
        created_from: time("created_from", &filter.created_from)?,
        created_before: time("created_before", &filter.created_before)?,
        role: filter.role.clone(),
    })
}
