use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::error::problem;
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::contents::Contents;
use domain::decide::ScopeText;
use domain::query::Read;

/// Count what is in an organization
///
/// Its projects, its tokens by what has become of them, and, if the caller may read them (`members:read`), its members
/// and open invitations: what a deletion would end. Needs `tokens:read`.
#[utoipa::path(
    get, path = "/v1/organizations/{organization}/contents", operation_id = "organizations.contents",
    tag = "organizations",
    params(("organization" = String, Path, description = "Name or id."), AtLeast),
    responses((status = 200, body = wire::Contents), (status = "default", body = wire::Problem))
)]
pub(crate) async fn contents(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Contents>, Problem> {
    let scope = ScopeText::Organization(organization);
    let (counted, position) = count(&app, &session, "organizations.contents", &scope, query.at_least).await?;
    Ok(Answer::ok(wire::Contents { projects: Some(counted.projects), ..view(&counted) }, position))
}

/// Counts in steps, so that whoever waits for the state has its turn in between.
pub(crate) async fn count(
    app: &App,
    session: &Session,
    operation: &'static str,
    scope: &ScopeText,
    at_least: Option<u64>,
) -> Result<(Contents, u64), Problem> {
    app.readable(session, operation, Read::Contents(scope.clone()), at_least).await?;
    let (live, at) = (app.node().live(), app.now());
    let position = live.position();
    let mut counted = Contents::default();
    let mut step = |state: &_| {
        let caller = app.again(state, session)?;
        counted.step(state, &caller, scope, at).map_err(|rejection| problem(&rejection.into()))
    };
    while live.read(&mut step)? {
        tokio::task::yield_now().await;
    }
    Ok((counted, position))
}

/// The tokens and the people of what was counted.
pub(crate) fn view(counted: &Contents) -> wire::Contents {
    let Contents { live, expired, revoked, people, .. } = *counted;
    wire::Contents {
        projects: None,
        tokens: wire::TokenCounts { live, expired, revoked },
        holders: None,
        members: people.map(|heads| heads.members),
        invitations: people.map(|heads| heads.invitations),
    }
}
