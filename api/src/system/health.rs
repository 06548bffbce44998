use crate::app::App;
use crate::edge::{Problem, codes};
use crate::wire;
use axum::extract::State;
use axum::http::StatusCode;
use std::time::Duration;

/// A node that has not seen the log for so long should get no traffic.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Say that the process is alive
///
/// Needs no credential and tells nothing of the database: a node whose database is away should not be restarted.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "system", security(()),
    responses((status = 204, description = "It is."))
)]
pub(crate) async fn healthz() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Say whether the node can answer
///
/// Needs no credential. 204 when the node has seen the log within the last 5 seconds.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "system", security(()),
    responses((status = 204, description = "It can."), (status = 503, body = wire::Problem))
)]
pub(crate) async fn readyz(State(app): State<App>) -> Result<StatusCode, Problem> {
    let node = app.node();
    if node.failure().is_none() && node.live().staleness() < READY_WITHIN {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(codes::UNAVAILABLE).detail("The node has not seen the log for a while.").retry_after(1))
}
