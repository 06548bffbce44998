//! The task that drives one connection, and what it notes of its progress on the way.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::response::Response;
use bytes::Bytes;
use http::{Request, Version};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use pin_project_lite::pin_project;

use super::activity::{Activity, Order};
use super::serve::{Connection, Serves};

/// Serves one connection to its end.
///
/// To be awaited by a task of its own: the waker is registered once, on the first poll, because a task's waker
/// stays the same for its whole life.
pub(super) async fn drive<I, S>(
    io: I,
    builder: &Builder<TokioExecutor>,
    service: S,
    connection: Connection,
    activity: Arc<Activity>,
) where
    I: Read + Write + Unpin + Send + 'static,
    S: Serves,
{
    let io = Noting { io, activity: Arc::clone(&activity) };
    let service = Dispatch { service, connection, activity: Arc::clone(&activity) };
    let mut serving = pin!(builder.serve_connection(io, service));
    let (mut registered, mut finishing) = (false, false);
    poll_fn(|context| {
        if !registered {
            activity.is_driven_by(context.waker());
            registered = true;
        }
        match activity.order() {
            Order::Serve => {}
            Order::Finish if finishing => {}
            Order::Finish => {
                serving.as_mut().graceful_shutdown();
                finishing = true;
            }
            Order::Drop => return Poll::Ready(()),
        }
        serving.as_mut().poll(context).map(|ended| {
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection ended early");
            }
        })
    })
    .await;
}

/// Hands hyper's requests on, with the connection that they came on.
struct Dispatch<S> {
    service: S,
    connection: Connection,
    activity: Arc<Activity>,
}

impl<S: Serves> hyper::service::Service<Request<Incoming>> for Dispatch<S> {
    type Response = http::Response<Open<axum::body::Body>>;
    type Error = Infallible;
    type Future = Dispatched<S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Dispatched<S::Future> {
        self.activity.request_began(request.version() == Version::HTTP_2);
        let guard = OpenGuard(Arc::clone(&self.activity));
        request.extensions_mut().insert(self.connection);
        request.extensions_mut().insert(Ending(Some(Arc::clone(&self.activity))));
        Dispatched { answer: self.service.clone().call(request), guard: Some(guard) }
    }
}

/// Whether a connection is to end: then an answer that would go on for ever should not. Found in the request's
/// extensions; without a socket, never.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Option<Arc<Activity>>);

impl Ending {
    pub(crate) fn is_near(&self) -> bool {
        self.0.as_ref().is_some_and(|activity| activity.order() != Order::Serve)
    }
}

pin_project! {
    /// A request on its way.
    pub(super) struct Dispatched<F> {
        #[pin]
        answer: F,
        guard: Option<OpenGuard>,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Dispatched<F> {
    type Output = Result<http::Response<Open<axum::body::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer: Response = match ready!(this.answer.poll(context)) {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let guard = this.guard.take();
        Poll::Ready(Ok(answer.map(|body| Open { body, guard })))
    }
}

/// Counts a request as open until it is dropped.
#[derive(Debug)]
struct OpenGuard(Arc<Activity>);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

pin_project! {
    /// An answer's body; its request is open while it lasts.
    pub(super) struct Open<B> {
        #[pin]
        body: B,
        guard: Option<OpenGuard>,
    }
}

impl<B: Body<Data = Bytes>> Body for Open<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that notes its reads and writes.
struct Noting<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I: Read + Unpin> Read for Noting<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        // The end of the stream is noted as well: hyper closes the connection then, and nobody asks again.
        if read.is_ready() {
            this.activity.heard();
        }
        read
    }
}

impl<I: Write + Unpin> Write for Noting<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(context, buffer);
        this.activity.wrote(&written);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(context, buffers);
        this.activity.wrote(&written);
        written
    }
}
