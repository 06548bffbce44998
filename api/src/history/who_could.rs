use super::{enter, find, one_moment, place, view_member, view_moment};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::error::problem;
use crate::respond::Answer;
use crate::{page, tokens, wire};
use axum::extract::State;
use domain::history::{Holder, who_could as find_holders};
use domain::permission::Permission;
use domain::query::Sight;
use projections::AsOf;
use serde::Deserialize;
use utoipa::IntoParams;

/// What, where and when.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhoCouldQuery {
    /// The permission.
    #[param(example = "deployments:create")]
    permission: String,
    /// At this organization, by its name now or its id; the caller's own scope when absent.
    organization: Option<String>,
    /// At this project of the organization, by its name now or its id.
    project: Option<String>,
    /// When; now when absent.
    time: Option<String>,
    /// In place of a time: a log of so many lines, at the time of the last one.
    position: Option<u64>,
    /// In place of a time: a log of so many lifecycle events, at the time of the last one.
    version: Option<u64>,
    /// Members and tokens together, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Find who could do something
///
/// The members and the tokens in force that could do `permission` at a place at a moment. Needs `audit:read` there, now.
/// Whoever audits an organization does not see the tokens of the instance, which may do things there as well; whoever
/// audits a project does not see those of the organization.
#[utoipa::path(
    get, path = "/v1/audit/who-could", operation_id = "audit.who_could", tag = "audit", params(WhoCouldQuery),
    responses((status = 200, body = wire::WhoCould), (status = "default", body = wire::Problem))
)]
pub(crate) async fn who_could(
    State(app): State<App>,
    session: Session,
    Query(query): Query<WhoCouldQuery>,
) -> Result<Answer<wire::WhoCould>, Problem> {
    let permission =
        Permission::parse("permission", &query.permission).map_err(|rejection| problem(&rejection.into()))?;
    let limit = page::limit(query.limit)?;
    let (field, moment) = one_moment(&app, query.time.as_deref(), query.position, query.version)?;
    let scope = place(query.organization, query.project)?;
    let sight = enter(&app, &session, "audit.who_could", scope, query.at_least).await?;
    let found = find(&app, field, moment).await?;
    let looking = app.compute(move || answer(&found, &permission, sight, limit));
    Ok(Answer::ok(looking.await?, app.node().live().position()))
}

fn answer(found: &AsOf, permission: &Permission, sight: Sight, limit: usize) -> wire::WhoCould {
    let (state, at) = (&*found.state, found.at);
    let mut holders = find_holders(state, permission.as_str(), sight.place, sight.visible, at, limit + 1);
    let cut = holders.len() > limit;
    holders.truncate(limit);
    let mut answer =
        wire::WhoCould { moment: view_moment(found), members: Vec::new(), tokens: Vec::new(), cut };
    for holder in &holders {
        match holder {
            Holder::Member(member) => answer.members.push(view_member(state, member)),
            Holder::Token(token) => answer.tokens.push(tokens::view(state, token, at)),
        }
    }
    answer
}
