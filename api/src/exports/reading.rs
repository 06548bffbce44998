//! Reading the positions of an export into its file, page by page.

use super::compression::Encoder;
use super::file::{File, Format, Unwritten};
use super::{Granted, look};
use crate::app::App;
use crate::auth::Session;
use crate::edge::{Problem, codes};
use crate::error::problem;
use crate::paced::Pieces;
use crate::seats::{Holder, Seat};
use bytes::Bytes;
use domain::scope::Scope;
use projections::Failure;
use std::io;
use std::ops::Range;

/// Commits that are read at a time; the log cuts a page at 8 MiB.
const PAGE: u32 = 2_000;

/// An export under way.
pub(super) struct Reading {
    app: App,
    session: Session,
    place: Scope,
    /// What is left.
    positions: Range<u64>,
    /// None while a page is written, and once all is.
    writing: Option<(File, Encoder)>,
    pub(super) lines: u64,
    _seat: Seat,
}

impl Reading {
    pub(super) fn new(
        app: App,
        session: Session,
        granted: Granted,
        format: Format,
        encoder: Encoder,
    ) -> Result<Self, Problem> {
        let holder = app.node().live().read(|state| Holder::of(state, &granted.caller));
        let seat = app.exports().take(holder)?;
        let file = File::new(format, granted.place.organization()).map_err(|error| unwritten(&error))?;
        let Granted { place, positions, .. } = granted;
        let writing = Some((file, encoder));
        Ok(Self { app, session, place, positions, writing, lines: 0, _seat: seat })
    }

    /// The next piece of the file; none after the last. The caller's authority is looked at before each.
    pub(super) async fn piece(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        while let Some((mut file, mut encoder)) = self.writing.take() {
            look(&self.app, &self.session, |state, caller| caller.require(state, "audit:read", self.place))?;
            let is_last = self.positions.is_empty();
            let commits = if is_last { Vec::new() } else { self.read().await? };
            let positions = self.positions.clone();
            self.positions.start = commits.last().map_or(self.positions.start, eventlog::Commit::end);
            // A page is milliseconds of work, and connections are served on this thread.
            let work = tokio::task::spawn_blocking(move || {
                for commit in &commits {
                    file.add(commit, &positions)?;
                }
                let plain = if is_last { file.finish()? } else { file.take()? };
                let piece = encoder.push(&plain, is_last)?;
                Ok::<_, Unwritten>((file, encoder, piece))
            });
            let written =
                work.await.map_err(|error| Unwritten(error.to_string())).and_then(|written| written);
            let (file, encoder, piece) = written.map_err(|error| unwritten(&error))?;
            self.lines = file.lines();
            if !is_last {
                self.writing = Some((file, encoder));
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    async fn read(&self) -> Result<Vec<eventlog::Commit>, Problem> {
        let read = self.app.node().audit_log().commits_from(self.positions.start, PAGE).await;
        let commits = read.map_err(|error| {
            tracing::warn!(%error, "the log could not be exported");
            problem(&Failure::Unavailable)
        })?;
        if commits.is_empty() {
            // What the node has folded was there: it goes on only where the log still holds that.
            return Err(problem(&Failure::Unavailable));
        }
        Ok(commits)
    }
}

/// What was begun as a success cannot become a problem: a body that is cut says that it is not whole.
impl Pieces for Reading {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let piece = self.piece().await.map_err(|problem| io::Error::other(problem.code().code));
        piece.map(|piece| piece.map(Bytes::from)).transpose()
    }

    fn too_late() -> io::Result<Bytes> {
        Err(io::Error::other(codes::TOO_SLOW.code))
    }
}

fn unwritten(error: &Unwritten) -> Problem {
    tracing::error!(error = error.0, "an export could not be written");
    Problem::new(codes::INTERNAL)
}
