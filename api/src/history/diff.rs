use super::{enter, find, place, read_moment, view_moment};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::respond::Answer;
use crate::tokens::view_scope;
use crate::{page, wire};
use axum::extract::State as Shared;
use domain::history::{Change, Principal, changes};
use domain::state::State;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which two moments.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiffQuery {
    /// The moment before: a time, `position:<lines>` or `version:<events>`.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: String,
    /// The moment after, said in the same way; now when absent.
    to: Option<String>,
    /// What changed in this organization, by its name now or its id; the caller's own scope when absent.
    organization: Option<String>,
    /// What changed in this project of the organization, by its name now or its id.
    project: Option<String>,
    /// Changes, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Compare two moments
///
/// Who gained and who lost what: for each member and each token, the permissions that it holds at a place at one moment
/// and not at the other. Needs `audit:read` there, now.
#[utoipa::path(
    get, path = "/v1/audit/diff", operation_id = "audit.diff", tag = "audit", params(DiffQuery),
    responses((status = 200, body = wire::AccessDiff), (status = "default", body = wire::Problem))
)]
pub(crate) async fn diff(
    Shared(app): Shared<App>,
    session: Session,
    Query(query): Query<DiffQuery>,
) -> Result<Answer<wire::AccessDiff>, Problem> {
    let limit = page::limit(query.limit)?;
    let from = read_moment(&app, "from", Some(&query.from))?;
    let to = read_moment(&app, "to", query.to.as_deref())?;
    let scope = place(query.organization, query.project)?;
    let place = enter(&app, &session, "audit.diff", scope, query.at_least).await?.place;
    let from = find(&app, "from", from).await?;
    let to = find(&app, "to", to).await?;
    let comparing = app.compute(move || {
        let mut found = changes((&from.state, from.at), (&to.state, to.at), place);
        let cut = found.len() > limit;
        found.truncate(limit);
        let view = |change: &Change| view_change(&from.state, &to.state, change);
        let changes = found.iter().map(view).collect();
        wire::AccessDiff { from: view_moment(&from), to: view_moment(&to), changes, cut }
    });
    let answer = comparing.await?;
    Ok(Answer::ok(answer, app.node().live().position()))
}

/// With the names of the later state, where it knows them.
fn view_change(from: &State, to: &State, change: &Change) -> wire::AccessChange {
    let (token, user, name) = match change.principal {
        Principal::Member(user) => (None, Some(user.0), None),
        Principal::Token(id) => {
            let token = to.tokens().get(id).or_else(|| from.tokens().get(id));
            (Some(id.0), None, token.map(|token| token.name.to_string()))
        }
    };
    let is_known = change.place.organization().is_none_or(|id| to.organization(id).is_some());
    wire::AccessChange {
        token,
        user,
        name,
        scope: view_scope(if is_known { to } else { from }, change.place),
        gained: change.gained.clone(),
        lost: change.lost.clone(),
    }
}
