use super::{failed, no_tile, read_index, unchanging};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Path;
use crate::error::invalid;
use crate::wire;
use axum::extract::State;
use axum::response::Response;
use domain::query::Read;
use eventlog::tree::tile::TileId;

/// The highest level that a path may name.
const HIGHEST: u8 = 63;

/// Fetch hashes of the tree
///
/// A tile, or the beginning of one, as C2SP tlog-tiles has it. `index` is `x001/x234/067`, and `067.p/8` for the first
/// eight hashes. Needs `audit:read`, anywhere.
#[utoipa::path(
    get, path = "/log/tile/{level}/{*index}", operation_id = "log.tile", tag = "log",
    params(
        ("level" = String, Path, description = "From 0, the leaves, to 63."),
        ("index" = String, Path, description = "Which tile of its level, and how much of it.")
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn tile(
    State(app): State<App>,
    session: Session,
    Path((level, index)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let number = level.parse().ok().filter(|number: &u8| *number <= HIGHEST && number.to_string() == level);
    let number = number.ok_or_else(|| invalid("level", &level, "a number from 0 to 63, or entries"))?;
    let wanted = read_index(&index)?;
    app.readable(&session, "log.tile", Read::Tree, None).await?;
    let (tree, id) = (app.node().tree(), TileId { level: number, index: wanted.index });
    if id.width_at(tree.size().await.map_err(failed)?) < wanted.width {
        return Err(no_tile(&level, wanted));
    }
    let hashes = tree.tile(id).await.map_err(failed)?.unwrap_or_default();
    let part = hashes.get(..wanted.width).ok_or_else(|| no_tile(&level, wanted))?;
    Ok(unchanging(part.iter().flat_map(|hash| hash.0).collect()))
}
