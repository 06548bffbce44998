use crate::app::{App, counted};
use crate::auth::Session;
use crate::edge::{Problem, codes};
use crate::exports::look;
use crate::respond::POSITION;
use crate::seats::Seat;
use crate::wire;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::query::{self, Read};
use domain::scope::Scope;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use projections::snapshots::{Taken, write};
use std::io::{self, BufWriter, Write};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

/// Bytes that are handed on at a time.
const PIECE: usize = 1 << 20;
/// Pieces that wait to be taken.
const WAITING: usize = 2;
/// How long the client may take none.
const PATIENCE: Duration = Duration::from_secs(30);

/// Hand out the live state
///
/// The whole lifecycle state as this node has it in memory, for `chancery audit replay --live`, which folds the log by
/// itself and compares the two. It is in a form of the build's own that no other build reads, with the hashes and
/// commitments of the log and no secret. Needs `audit:read` on the instance. A node serves 8 exports at a time, 2 to one
/// caller; this is one.
#[utoipa::path(
    get, path = "/v1/audit/state", operation_id = "audit.state", tag = "audit",
    responses(
        (status = 200, body = String, content_type = "application/octet-stream"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn state(State(app): State<App>, session: Session) -> Result<Response, Problem> {
    app.readable(&session, "audit.state", Read::Export(None), None).await?;
    let counted = look(&app, &session, |state, caller| {
        query::exported(state, caller, None).map(|_| counted(state, caller))
    })?;
    let seat = app.exports().take(counted)?;
    let position = app.node().live().position();
    let (sender, receiver) = channel(WAITING);
    let (copied, handle) = (app.clone(), Handle::current());
    tokio::task::spawn_blocking(move || {
        // Whoever receives sees that the end is missing; and the copy is not held for one who takes nothing.
        if let Err(error) = send(&copied, Pieces { sender, handle }) {
            tracing::debug!(%error, "a copy of the state was not taken");
        }
    });
    let body = Body::from_stream(stream::try_unfold((app, session, receiver, seat), next));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(POSITION, HeaderValue::from(position));
    Ok(response)
}

type Sending = (App, Session, Receiver<io::Result<Bytes>>, Seat);

/// The next piece, if the caller may still have it.
async fn next(mut sending: Sending) -> io::Result<Option<(Bytes, Sending)>> {
    let (app, session, receiver, _) = &mut sending;
    let may = look(app, session, |state, caller| caller.require(state, "audit:read", Scope::Instance));
    may.map_err(|problem| io::Error::other(problem.code().code))?;
    let piece = receiver.recv().await.transpose()?;
    Ok(piece.map(|piece| (piece, sending)))
}

fn send(app: &App, pieces: Pieces) -> io::Result<()> {
    let mut state = app.node().live().read(domain::state::State::clone);
    while state.is_marking() {
        state.mark_some();
    }
    let taken = Taken::of(&state, app.node().live().position(), uuid::Uuid::nil());
    let failing = pieces.sender.clone();
    let mut to = BufWriter::with_capacity(PIECE, pieces);
    let written = write(&taken, &state, &mut to).and_then(|()| to.flush());
    if written.is_err() {
        // A body that only ends would look whole.
        let _ = failing.try_send(Err(io::Error::other(codes::INTERNAL.code)));
    }
    written
}

/// Where the blocking half writes to.
struct Pieces {
    sender: Sender<io::Result<Bytes>>,
    handle: Handle,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sending = timeout(PATIENCE, self.sender.send(Ok(Bytes::copy_from_slice(bytes))));
        match self.handle.block_on(sending) {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
