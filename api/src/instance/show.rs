use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::Read;
use serde::Deserialize;
use utoipa::IntoParams;

/// A read that may ask for an answer at least as new as another.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AtLeast {
    /// Answer from a log of at least this position (a `Chancery-Position`); waits up to 5 s.
    pub(crate) at_least: Option<u64>,
}

/// Show the instance
///
/// Needs `instance:read`.
#[utoipa::path(
    get, path = "/v1/instance", operation_id = "instance.show", tag = "instance", params(AtLeast),
    responses((status = 200, body = wire::Instance), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::Instance>, Problem> {
    let now = app.now();
    let look = |state: &_, _: &_| super::view(state, now);
    let (instance, position) =
        app.read(session, "instance.show", Read::Instance, query.at_least, look).await?;
    let revision = instance.revision;
    Ok(Answer::ok(instance, position).revision(revision))
}
