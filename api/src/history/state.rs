use crate::app::App;
use crate::auth::Session;
use crate::edge::{Problem, codes};
use crate::exports::look;
use crate::paced::{self, Pieces};
use crate::respond::POSITION;
use crate::seats::{Holder, Seat};
use crate::wire;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::query::{self, Read};
use domain::scope::Scope;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use projections::snapshots::{Taken, write};
use std::io::{self, BufWriter, Write};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes that are handed on at a time.
const PIECE: usize = 1 << 20;
/// Pieces that wait to be taken.
const WAITING: usize = 2;
/// Hand out the live state
///
/// The whole lifecycle state as this node has it in memory, for `chancery audit replay --live`, which folds the log by
/// itself and compares the two. It is in a form of the build's own that no other build reads, with the hashes and
/// commitments of the log and no secret. Needs `audit:read` on the instance. A node hands it out to
/// one caller at a time, and copies it first: with a million tokens, everybody waits for some tens of milliseconds.
#[utoipa::path(
    get, path = "/v1/audit/state", operation_id = "audit.state", tag = "audit",
    responses(
        (status = 200, body = String, content_type = "application/octet-stream"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn state(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    app.readable(&session, "audit.state", Read::Export(None), None).await?;
    let holder = look(&app, &session, |state, caller| {
        query::exported(state, caller, None).map(|_| Holder::of(state, caller))
    })?;
    let seat = app.states().take(holder)?;
    let position = app.node().live().position();
    let (sender, receiver) = channel(WAITING);
    let (copied, clock) = (app.clone(), app.node().live().clock().clone());
    tokio::task::spawn_blocking(move || {
        // It ends early when nobody receives any more, and then nobody needs to be told.
        if let Err(error) = send(&copied, &sender) {
            tracing::debug!(%error, "a copy of the state was not taken");
            // A body that only ends would look whole.
            let _ = sender.blocking_send(Err(io::Error::other(codes::INTERNAL.code)));
        }
    });
    let mut response = paced::body(Sending { app, session, receiver, _seat: seat }, clock).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(POSITION, HeaderValue::from(position));
    Ok(response)
}

/// A state on its way.
struct Sending {
    app: App,
    session: Session,
    receiver: Receiver<io::Result<Bytes>>,
    _seat: Seat,
}

impl Pieces for Sending {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let may = look(&self.app, &self.session, |state, caller| {
            caller.require(state, "audit:read", Scope::Instance)
        });
        match may {
            Ok(()) => self.receiver.recv().await,
            Err(problem) => Some(Err(io::Error::other(problem.code().code))),
        }
    }

    fn too_late() -> io::Result<Bytes> {
        Err(io::Error::other(codes::TOO_SLOW.code))
    }
}

fn send(app: &App, sender: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut state = app.node().live().read(domain::state::State::clone);
    while state.is_marking() {
        state.mark_some();
    }
    let taken = Taken::of(&state, app.node().live().position(), uuid::Uuid::nil());
    let mut to = BufWriter::with_capacity(PIECE, Handing(sender));
    write(&taken, &state, &mut to)?;
    to.flush()
}

/// What the blocking half writes to.
struct Handing<'s>(&'s Sender<io::Result<Bytes>>);

impl Write for Handing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let handed = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        handed.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
