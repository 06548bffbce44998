use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Query, no_query};
use crate::instance::show::AtLeast;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::Read;
use http::Uri;
use projections::audit::{AuditStatus, GenerationStatus};

/// Show how far the audit views have come
///
/// Needs `audit:read` at the instance.
#[utoipa::path(
    get, path = "/v1/audit/views", operation_id = "audit.views", tag = "audit", params(AtLeast),
    responses((status = 200, body = wire::AuditViews), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    State(app): State<App>,
    session: Session,
    Query(query): Query<AtLeast>,
) -> Result<Answer<wire::AuditViews>, Problem> {
    app.readable(&session, "audit.views", Read::AuditViews, None).await?;
    super::reached(&app, query.at_least).await?;
    super::look(&app, &session, |_, _| Ok(()))?;
    let status = app.node().audit().status().await.map_err(|error| super::failed(&error))?;
    Ok(answer(&app, status))
}

/// Rebuild the audit views
///
/// Another generation is made from the log, beside the one that is read, and takes its place when it has come as far.
/// While one is being built, that one is shown. Needs `instance:update`.
#[utoipa::path(
    post, path = "/v1/audit/rebuild", operation_id = "audit.rebuild", tag = "audit",
    responses((status = 200, body = wire::AuditViews), (status = "default", body = wire::Problem))
)]
pub(crate) async fn rebuild(
    State(app): State<App>,
    session: Session,
    uri: Uri,
) -> Result<Answer<wire::AuditViews>, Problem> {
    no_query(&uri)?;
    app.readable(&session, "audit.rebuild", Read::RebuildAuditViews, None).await?;
    let status = app.node().audit().rebuild().await.map_err(|error| super::failed(&error))?;
    Ok(answer(&app, status))
}

fn answer(app: &App, status: AuditStatus) -> Answer<wire::AuditViews> {
    let view =
        |of: GenerationStatus| wire::AuditGeneration { generation: of.generation, position: of.position };
    let log_position = app.node().live().position();
    let views =
        wire::AuditViews { live: view(status.live), building: status.building.map(view), log_position };
    Answer::ok(views, status.live.position)
}
