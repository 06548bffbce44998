use super::{TEXT, failed};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::error::problem;
use crate::wire;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::query::Read;
use domain::rejection::Rejection;
use eventlog::receipt::Receipt;
use eventlog::tree::ranges;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::IntoParams;

/// Of which line.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The line's position.
    position: u64,
}

/// Give a receipt for a line
///
/// A checkpoint and the proof that the line at the position is in its tree, as C2SP tlog-proof has it: kept beside the
/// line as a `.tlog-proof`, it proves without a server that the line was on the log. Needs `audit:read`, anywhere.
#[utoipa::path(
    get, path = "/log/proof/receipt", operation_id = "log.receipt", tag = "log", params(Asked),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn receipt(
    State(app): State<App>,
    session: Session,
    Query(Asked { position }): Query<Asked>,
) -> Result<Response, Problem> {
    app.readable(&session, "log.receipt", Read::Tree, None).await?;
    if position >= app.node().live().position() {
        return Err(problem(&Rejection::not_found("line", &position).into()));
    }
    let published = app.published(position + 1).await?;
    let proof = ranges::inclusion(position, published.checkpoint.size);
    let proof = app.node().tree().roots(&proof).await.map_err(failed)?;
    let receipt = Receipt { position, proof, note: published.note };
    Ok(([(CONTENT_TYPE, TEXT)], receipt.to_string()).into_response())
}
