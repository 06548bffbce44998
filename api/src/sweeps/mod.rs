//! Sweeps: the end of tokens that went unused for longer than their policy allows, now rather than within the hour.

pub(crate) mod instance;
pub(crate) mod organization;

use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::error::problem;
use crate::respond::Answer;
use crate::wire;
use domain::query::{self, Read};
use domain::state::State;
use projections::Inactive;

/// The most tokens that an answer names.
const NAMED: usize = 1_000;

/// Sweeps, or only looks, as whoever calls. It is authorized before anything is looked for, and again with every step
/// of it that changes something.
async fn sweep(
    app: &App,
    session: &Session,
    operation: &'static str,
    organization: Option<&str>,
    body: wire::Sweep,
) -> Result<Answer<wire::Swept>, Problem> {
    app.readable(session, operation, Read::Sweep(organization.map(str::to_owned)), None).await?;
    let node = app.node();
    let (scope, days) = node.live().read(|state| {
        let caller = app.again(state, session)?;
        let scope =
            query::swept(state, &caller, organization).map_err(|rejection| problem(&rejection.into()))?;
        Ok::<_, Problem>((scope, state.max_inactive_days(scope)))
    })?;
    let found = if body.dry_run {
        node.inactive(scope, days).await
    } else {
        node.sweep(scope, &session.call(operation)).await
    };
    let found = found.map_err(|failure| problem(&failure))?;
    let tokens = node
        .live()
        .read(|state| found.iter().take(NAMED).filter_map(|inactive| view(state, inactive)).collect());
    let (dry_run, count) = (body.dry_run, found.len() as u64);
    let swept = wire::Swept { dry_run, max_inactive_days: days, count, tokens };
    Ok(Answer::ok(swept, node.live().position()))
}

fn view(state: &State, inactive: &Inactive) -> Option<wire::SweptToken> {
    state.tokens().get(inactive.token).map(|token| wire::SweptToken {
        id: token.id.0,
        name: token.name.to_string(),
        prefix: token.prefix.to_string(),
        unused_since: inactive.since.to_string(),
    })
}
