use super::failed;
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::error::invalid;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::Read;
use eventlog::tree::ranges;
use serde::Deserialize;
use utoipa::IntoParams;

/// Between the trees of which sizes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The size of the earlier tree: that of a checkpoint.
    from: u64,
    /// The size of the later one.
    to: u64,
}

/// Prove that the log only grew
///
/// The consistency proof of RFC 6962, section 2.1.2. Needs `audit:read`, anywhere.
#[utoipa::path(
    get, path = "/log/proof/consistency", operation_id = "log.consistency", tag = "log", params(Asked),
    responses((status = 200, body = wire::ConsistencyProof), (status = "default", body = wire::Problem))
)]
pub(crate) async fn consistency(
    State(app): State<App>,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Answer<wire::ConsistencyProof>, Problem> {
    let (from, to) = (asked.from, asked.to);
    app.readable(&session, "log.consistency", Read::Tree, None).await?;
    let reaches = app.tree_of("to", to).await?;
    if from > to {
        return Err(invalid("from", &from.to_string(), &format!("at most `to`, {to}")));
    }
    let mut wanted = ranges::consistency(from, to);
    wanted.extend([0..from, 0..to]);
    let mut hashes =
        app.node().tree().roots(&wanted).await.map_err(failed)?.into_iter().map(|h| h.to_string());
    let proof = hashes.by_ref().take(wanted.len() - 2).collect();
    let (from_root, to_root) = (hashes.next().unwrap_or_default(), hashes.next().unwrap_or_default());
    Ok(Answer::ok(wire::ConsistencyProof { from, from_root, to, to_root, proof }, reaches))
}
