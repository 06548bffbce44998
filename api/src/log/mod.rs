//! The log as an auditor checks it: checkpoints, tiles and proofs.
//!
//! Whoever holds `audit:read` anywhere may have all of it but the lines: it tells how much is written and nothing of what.
//! The lines of everyone are for auditors of the instance.

pub(crate) mod checkpoint;
pub(crate) mod consistency;
pub(crate) mod entries;
pub(crate) mod inclusion;
pub(crate) mod receipt;
pub(crate) mod tile;

use crate::app::App;
use crate::edge::{Problem, codes};
use crate::error::{behind, invalid, problem};
use axum::response::{IntoResponse, Response};
use domain::rejection::Rejection;
use eventlog::tree::tile::Wanted;
use eventlog::{Checkpoint, Error};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use projections::Failure;

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// A checkpoint as it was published, and what it says.
struct Published {
    note: String,
    checkpoint: Checkpoint,
}

impl App {
    /// The last checkpoint, one of at least so many lines.
    async fn published(&self, at_least: u64) -> Result<Published, Problem> {
        let found = self.node().checkpoint(at_least).await.map_err(failed)?;
        let read = found.and_then(|note| {
            let checkpoint = Checkpoint::of_note(&note)?;
            Some(Published { note, checkpoint })
        });
        let absent = || problem(&Rejection::not_found("checkpoint", "a size").into());
        let published = read.ok_or_else(absent)?;
        if published.checkpoint.size < at_least {
            return Err(behind(at_least, published.checkpoint.size));
        }
        Ok(published)
    }

    /// The size of the tree, if it is at least what the value of a field says.
    async fn tree_of(&self, field: &'static str, size: u64) -> Result<u64, Problem> {
        let reaches = self.node().tree().size().await.map_err(failed)?;
        if size > reaches {
            let expected = format!("at most {reaches}, the size of the tree now");
            return Err(invalid(field, &size.to_string(), &expected));
        }
        Ok(reaches)
    }
}

fn failed(error: Error) -> Problem {
    match error {
        Error::Unavailable { .. } => problem(&Failure::Unavailable),
        error => {
            tracing::error!(%error, "the tree cannot answer");
            Problem::new(codes::INTERNAL)
        }
    }
}

fn read_index(index: &str) -> Result<Wanted, Problem> {
    let expected = "groups of three digits, all but the last after an x, and .p/1 to .p/255 for a part, such as \
                    x001/x234/067 or 067.p/8";
    Wanted::parse(index).ok_or_else(|| invalid("index", index, expected))
}

fn no_tile(level: &str, wanted: Wanted) -> Problem {
    problem(&Rejection::not_found("tile", &format!("{level}/{wanted}")).into())
}

/// What stands at a place in the tree never changes, so whoever may read it may keep it.
fn unchanging(body: Vec<u8>) -> Response {
    let headers = [(CONTENT_TYPE, BYTES), (CACHE_CONTROL, "private, max-age=31536000, immutable")];
    (headers, body).into_response()
}
