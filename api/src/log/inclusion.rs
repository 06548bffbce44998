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

/// Which line, in the tree of which size.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The line's position.
    position: u64,
    /// The size of the tree: that of a checkpoint.
    size: u64,
}

/// Prove that a line is in the log
///
/// The inclusion proof of RFC 6962, section 2.1.1. Needs `audit:read`, anywhere.
#[utoipa::path(
    get, path = "/log/proof/inclusion", operation_id = "log.inclusion", tag = "log", params(Asked),
    responses((status = 200, body = wire::InclusionProof), (status = "default", body = wire::Problem))
)]
pub(crate) async fn inclusion(
    State(app): State<App>,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Answer<wire::InclusionProof>, Problem> {
    let (position, size) = (asked.position, asked.size);
    app.readable(&session, "log.inclusion", Read::Tree, None).await?;
    let reaches = app.tree_of("size", size).await?;
    if position >= size {
        return Err(invalid("position", &position.to_string(), &format!("less than the size, {size}")));
    }
    let mut wanted = ranges::inclusion(position, size);
    wanted.extend([position..position + 1, 0..size]);
    let mut hashes =
        app.node().tree().roots(&wanted).await.map_err(failed)?.into_iter().map(|h| h.to_string());
    let proof = hashes.by_ref().take(wanted.len() - 2).collect();
    let (leaf, root) = (hashes.next().unwrap_or_default(), hashes.next().unwrap_or_default());
    Ok(Answer::ok(wire::InclusionProof { position, size, leaf, root, proof }, reaches))
}
