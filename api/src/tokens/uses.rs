use super::read_time;
use crate::app::App;
use crate::audit;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::error::{invalid, problem};
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::permission::Permission;
use domain::query::{self, Read};
use domain::scope::Scope;
use domain::verify::Code;
use projections::audit::{Summary, UseFilter, UseOutcome};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which uses are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UseQuery {
    /// Only uses with this outcome: `valid`, the code of a refusal, or `asked`, where it asked about another token.
    outcome: Option<String>,
    /// Only uses for this permission.
    permission: Option<String>,
    /// Only uses from then on (RFC 3339).
    from: Option<String>,
    /// Only uses before then (RFC 3339).
    to: Option<String>,
    /// Items on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Answer from views of a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// List a token's uses
///
/// Each time that it was presented, and each time that it asked about another one; the newest first. Needs `tokens:read`
/// and `audit:read` at its scope. A page may hold fewer than `limit` while there are more: `next_cursor` says so.
#[utoipa::path(
    get, path = "/v1/tokens/{id}/uses", operation_id = "tokens.uses", tag = "tokens",
    params(("id" = String, Path, description = "The token's id."), UseQuery),
    responses((status = 200, body = Page<wire::AuditEvent>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn uses(
    State(app): State<App>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<UseQuery>,
) -> Result<Answer<Page<wire::AuditEvent>>, Problem> {
    let (id, limit, filter) = (super::read_id(&id)?, page::limit(query.limit)?, query.filter()?);
    let before: Option<u64> = page::decode(query.cursor.as_deref())?;
    app.readable(&session, "tokens.uses", Read::Uses(id), None).await?;
    audit::reached(&app, query.at_least).await?;
    let place = audit::look(&app, &session, |state, caller| {
        query::used_token(state, caller, id).map(|token| token.scope)
    })?;
    let may_show = |line: &Summary<'_>| is_inside(&app, place, line);
    let found = app.node().audit().uses(id, &filter, before, limit, may_show).await;
    let found = found.map_err(|error| audit::failed(&error))?;
    let next_cursor = found.next.map(|before| page::encode(&before));
    let items = audit::view(&app, found.lines, |_| true).await?;
    Ok(Answer::ok(Page { items, next_cursor }, found.position))
}

/// Whether a use lies where the reader may look: a project's token may ask about one of its organization.
fn is_inside(app: &App, place: Scope, line: &Summary<'_>) -> bool {
    let of = |state: &domain::state::State| {
        line.token.and_then(|token| state.tokens().get(token)).map(|token| token.scope)
    };
    app.node().live().read(of).is_some_and(|scope| place.contains(scope))
}

impl UseQuery {
    fn filter(&self) -> Result<UseFilter, Problem> {
        let time =
            |field, text: &Option<String>| text.as_deref().map(|text| read_time(field, text)).transpose();
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(invalid("to", self.to.as_deref().unwrap_or_default(), "a time after `from`"));
        }
        let permission = self.permission.as_deref().map(read_permission).transpose()?;
        let outcome = self.outcome.as_deref().map(read_outcome).transpose()?;
        Ok(UseFilter { outcome, permission, from, to })
    }
}

fn read_permission(text: &str) -> Result<String, Problem> {
    let read = Permission::parse("permission", text).map_err(|rejection| problem(&rejection.into()))?;
    Ok(read.as_str().to_owned())
}

fn read_outcome(text: &str) -> Result<UseOutcome, Problem> {
    let recorded = |code: &&Code| !matches!(code, Code::Malformed | Code::Unknown);
    let code = Code::ALL.iter().filter(recorded).find(|code| code.as_str() == text);
    match (text, code) {
        ("asked", _) => Ok(UseOutcome::Asked),
        (_, Some(code)) => Ok(UseOutcome::Answered(*code)),
        _ => Err(invalid("outcome", text, "`valid`, `asked`, or the code of a refusal such as `expired`")),
    }
}
