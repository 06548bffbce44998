use super::{failed, no_tile, read_index, unchanging};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Path;
use crate::wire;
use axum::extract::State;
use axum::response::Response;
use domain::query::Read;
use eventlog::Log;
use eventlog::tree::tile::{TileId, WIDTH, Wanted};

/// Commits that are read at once.
const PAGE: u32 = 256;

/// Fetch lines
///
/// An entry bundle as C2SP tlog-tiles has it: up to 256 lines, each after its length in two bytes. `index` is
/// `x001/x234/067`, and `067.p/8` for the first eight. Needs `audit:read` on the instance: the lines are everyone's.
#[utoipa::path(
    get, path = "/log/tile/entries/{*index}", operation_id = "log.entries", tag = "log",
    params(("index" = String, Path, description = "Which bundle, and how much of it.")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn entries(
    State(app): State<App>,
    session: Session,
    Path(index): Path<String>,
) -> Result<Response, Problem> {
    let wanted = read_index(&index)?;
    app.readable(&session, "log.entries", Read::Lines, None).await?;
    let leaves = TileId { level: 0, index: wanted.index };
    if leaves.width_at(app.node().tree().size().await.map_err(failed)?) < wanted.width {
        return Err(no_tile("entries", wanted));
    }
    bundle(app.node().audit_log(), wanted).await.map(unchanging).map_err(failed)
}

async fn bundle(log: &Log, wanted: Wanted) -> Result<Vec<u8>, eventlog::Error> {
    let mut next = wanted.index * WIDTH as u64;
    let end = next + wanted.width as u64;
    let mut bundle = Vec::new();
    while next < end {
        let commits = log.commits_from(next, PAGE).await?;
        if commits.is_empty() {
            // The tree has these lines, so the log had them.
            return Err(eventlog::Error::Unavailable {
                doing: "reading lines that the tree has",
                reason: "the log is shorter".into(),
            });
        }
        for (position, line) in commits.iter().flat_map(eventlog::Commit::numbered) {
            if (next..end).contains(&position) {
                let length = u16::try_from(line.len()).expect("a line has at most 65,535 bytes");
                bundle.extend(length.to_be_bytes());
                bundle.extend(line.as_bytes());
                next = position + 1;
            }
        }
    }
    Ok(bundle)
}
