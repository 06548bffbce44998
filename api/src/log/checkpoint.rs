use super::TEXT;
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::instance::show::AtLeast;
use crate::wire;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::query::Read;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

/// Show the last checkpoint
///
/// The signed size and root of the log, as C2SP tlog-checkpoint has it. With `at_least`, one that holds so many lines.
/// Needs `audit:read`, anywhere.
#[utoipa::path(
    get, path = "/log/checkpoint", operation_id = "log.checkpoint", tag = "log", params(AtLeast),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn checkpoint(
    State(app): State<App>,
    session: Session,
    Query(query): Query<AtLeast>,
) -> Result<Response, Problem> {
    app.readable(&session, "log.checkpoint", Read::Tree, query.at_least).await?;
    let published = app.published(query.at_least.unwrap_or_default()).await?;
    Ok(([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-cache")], published.note).into_response())
}
