//! The socket side: accepts connections, within limits, and hands their requests to a router.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::Service;

use super::activity::{Connections, Order, Seat};
use super::connection::drive;
use super::metrics::Metrics;
use super::tls::Tls;

/// Bounds on what clients can make the server hold, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections (10,000). Past it the server does not accept: clients wait in the kernel's queue.
    pub connections: usize,
    /// Bytes of a request's head (16 KiB; at least 8 KiB). Over HTTP/1.1 a larger one is answered 431 without a
    /// body, a target longer than 64 KiB 414, and one with more than 100 headers 431. The bound is on what is
    /// buffered, so a head that comes in one piece may be up to twice as large. Over HTTP/2 it bounds the
    /// decoded header list, and a larger one is answered 431 by the protocol's own means.
    pub header_bytes: u32,
    /// Number of headers over HTTP/1.1 (100).
    pub header_count: usize,
    /// From the first byte of a request's head to its last, and from a connection's start to its first request
    /// (10 s).
    pub header_read: Duration,
    /// Between two requests on one connection (75 s).
    pub idle: Duration,
    /// For which a client may leave its answer unread before the connection is dropped (30 s).
    pub write_stall: Duration,
    /// For the TLS handshake (10 s).
    pub handshake: Duration,
    /// Concurrent requests on one HTTP/2 connection (256).
    pub http2_streams: u32,
    /// Between two pings that tell whether an HTTP/2 peer is still there (30 s). It has 20 s to answer.
    pub http2_ping: Duration,
    /// For requests to finish after shutdown began (20 s).
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_bytes: 16 * 1024,
            header_count: 100,
            header_read: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            write_stall: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            http2_streams: 256,
            http2_ping: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// How often connections are looked at: a limit is overrun by at most a quarter of the shortest of them.
    fn tick(&self) -> Duration {
        let shortest = self.header_read.min(self.idle).min(self.write_stall);
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_secs(5))
    }
}

/// How to serve.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// TLS; without it, cleartext.
    pub tls: Option<Arc<Tls>>,
    /// Bounds on connections.
    pub limits: Limits,
    /// Where connections are counted.
    pub metrics: Option<Arc<Metrics>>,
}

/// What is known of the connection that a request came on. Found in the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The other end of the socket, which may be a proxy.
    pub peer: SocketAddr,
    /// Whether this server ended the TLS of it.
    pub tls: bool,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Connections that still had something to finish when the time for it was over.
    pub cut: usize,
}

/// Serves `service` on `listener` until `shutdown` is cancelled, then lets connections finish what they
/// accepted, within [`Limits::drain`].
///
/// Nothing that a client or the operating system does ends it early. To be awaited to its end: where it is
/// dropped, connections that are open go on without limits.
pub async fn serve<S: Serves>(
    listener: TcpListener,
    service: S,
    options: Options,
    shutdown: CancellationToken,
) -> Ended {
    let limits = options.limits;
    let connections = Arc::new(Connections::default());
    let places = u32::try_from(limits.connections).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32);
    let free = Arc::new(Semaphore::new(places as usize));
    let shared = Arc::new(Shared {
        builder: builder(&limits),
        service,
        tls: options.tls,
        handshake: limits.handshake,
        metrics: options.metrics,
    });
    let sweeper = AbortOnDropHandle::new(tokio::spawn(sweep(Arc::clone(&connections), limits.clone())));
    while let Some((stream, peer, place)) = until(&shutdown, next(&listener, &free)).await {
        let seat = connections.enter();
        tokio::spawn(attend(Arc::clone(&shared), stream, peer, seat, place));
    }
    drop(listener);
    connections.tell_all(Order::Finish);
    let cut = match timeout(limits.drain, free.acquire_many(places)).await {
        Ok(_) => 0,
        Err(_) => connections.tell_all(Order::Drop),
    };
    drop(sweeper);
    Ended { cut }
}

/// What answers requests: a router, or something before one. Cloned for each request.
pub trait Serves:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Serves for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// What all connections share.
struct Shared<S> {
    builder: Builder<TokioExecutor>,
    service: S,
    tls: Option<Arc<Tls>>,
    handshake: Duration,
    metrics: Option<Arc<Metrics>>,
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    // Hyper's own header timeout would set a timer for every request; the sweep does its work.
    builder.http1().header_read_timeout(None).max_buf_size(limits.header_bytes.max(8 * 1024) as usize);
    if limits.header_count != 100 {
        builder.http1().max_headers(limits.header_count);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(limits.header_bytes)
        // Streams that a peer opens and resets faster than they can be taken up, or that it makes this side
        // reset, end the connection (CVE-2023-44487, CVE-2025-8671).
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .keep_alive_interval(limits.http2_ping)
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn until<T>(shutdown: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        value = future => Some(value),
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(free).acquire_owned().await.expect("the semaphore is never closed");
    let mut pause = Duration::from_millis(10);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Most likely no file descriptor is free. Accepting fails at once until one is, so without a
                // pause this would spin.
                tracing::warn!(%error, ?pause, "a connection could not be accepted");
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn attend<S: Serves>(
    shared: Arc<Shared<S>>,
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    place: OwnedSemaphorePermit,
) {
    let _counted = shared.metrics.as_ref().map(|metrics| metrics.connection());
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "a connection was gone before it was served");
        return;
    }
    let service = shared.service.clone();
    let activity = Arc::clone(&seat.activity);
    let connection = Connection { peer, tls: shared.tls.is_some() };
    if let Some(tls) = &shared.tls {
        match timeout(shared.handshake, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => {
                drive(TokioIo::new(stream), &shared.builder, service, connection, activity).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    } else {
        drive(TokioIo::new(stream), &shared.builder, service, connection, activity).await;
    }
    // The seat goes before the place: whoever holds all places finds the table empty.
    drop(seat);
    drop(place);
}

async fn sweep(connections: Arc<Connections>, limits: Limits) {
    let tick = limits.tick();
    loop {
        sleep(tick).await;
        connections.sweep(tick, &limits);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::routing::{get, post};
    use bytes::Bytes;
    use http::StatusCode;
    use http_body_util::{BodyExt, Empty};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Server {
        address: SocketAddr,
        shutdown: CancellationToken,
        ended: JoinHandle<Ended>,
    }

    impl Server {
        async fn start(router: Router, limits: Limits, tls: Option<Arc<Tls>>) -> Self {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let shutdown = CancellationToken::new();
            let options = Options { tls, limits, metrics: None };
            let ended = tokio::spawn(serve(listener, router, options, shutdown.clone()));
            Self { address, shutdown, ended }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn stop(self) -> Ended {
            self.shutdown.cancel();
            within(self.ended).await.unwrap()
        }
    }

    async fn within<T>(future: impl Future<Output = T>) -> T {
        timeout(PATIENCE, future).await.expect("it comes within the test's patience")
    }

    fn hello() -> Router {
        Router::new().route("/", get(|| async { "hello" })).route("/", post(|body: Bytes| async { body }))
    }

    /// Sends `request` and reads until the server closes; a reset counts as closing.
    async fn exchange(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        String::from_utf8(answer).unwrap()
    }

    fn quick() -> Limits {
        let short = Duration::from_millis(60);
        Limits { header_read: short, idle: short, write_stall: short, handshake: short, ..Limits::default() }
    }

    #[tokio::test]
    async fn a_request_is_answered_and_the_peer_is_known() {
        let router = Router::new().route(
            "/",
            get(|axum::Extension(connection): axum::Extension<Connection>| async move {
                format!("{} {}", connection.peer.ip(), connection.tls)
            }),
        );
        let server = Server::start(router, Limits::default(), None).await;
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = exchange(&mut server.connect().await, request).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1 false"), "{answer}");
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }

    #[tokio::test]
    async fn silent_and_slow_clients_are_dropped() {
        let server = Server::start(hello(), quick(), None).await;
        for begun in ["", "PRI", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\nA: "] {
            assert_eq!(exchange(&mut server.connect().await, begun).await, "", "{begun}");
        }
        // After an answer, silence is idleness, and half a head is slowness again.
        let answer = exchange(&mut server.connect().await, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.ends_with("hello"), "{answer}");
        let answer = exchange(&mut server.connect().await, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET").await;
        assert!(answer.ends_with("hello"), "{answer}");
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_dropped_and_a_slow_handler_is_not() {
        let gate = Arc::new(Notify::new());
        let entered = Arc::new(Notify::new());
        let (inner, told) = (Arc::clone(&gate), Arc::clone(&entered));
        let router = Router::new().route("/large", get(|| async { vec![b'x'; 64 << 20] })).route(
            "/slow",
            get(|| async move {
                told.notify_one();
                inner.notified().await;
                "slow"
            }),
        );
        let server = Server::start(router, quick(), None).await;
        let mut slow = server.connect().await;
        slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        within(entered.notified()).await;
        let mut deaf = server.connect().await;
        deaf.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // The drop shows on this side as an error of writing: the socket is gone though nothing was read.
        within(async {
            while deaf.write_all(b"\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        gate.notify_one();
        let mut answer = String::new();
        within(slow.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("slow"), "{answer}");
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }

    #[tokio::test]
    async fn heads_are_bounded() {
        let server = Server::start(hello(), Limits::default(), None).await;
        let large = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(40_000));
        let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(101));
        for request in [large, many] {
            let answer = exchange(&mut server.connect().await, &request).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
        }
        let answer = exchange(&mut server.connect().await, "nonsense\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }

    #[tokio::test]
    async fn connections_wait_for_a_place() {
        let server = Server::start(hello(), Limits { connections: 1, ..Limits::default() }, None).await;
        let mut first = server.connect().await;
        first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        within(first.read_exact(&mut [0; 16])).await.unwrap();
        let mut second = server.connect().await;
        second.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        let early = timeout(Duration::from_millis(50), second.read_to_string(&mut answer)).await;
        assert!(early.is_err(), "{answer}");
        drop(first);
        within(second.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }

    #[tokio::test]
    async fn shutdown_finishes_what_was_accepted_and_cuts_what_takes_too_long() {
        for (drain, finishes) in [(PATIENCE, true), (Duration::from_millis(50), false)] {
            let gate = Arc::new(Notify::new());
            let entered = Arc::new(Notify::new());
            let (inner, told) = (Arc::clone(&gate), Arc::clone(&entered));
            let router = hello().route(
                "/slow",
                get(|| async move {
                    told.notify_one();
                    inner.notified().await;
                    "done"
                }),
            );
            let server = Server::start(router, Limits { drain, ..Limits::default() }, None).await;
            let mut idle = server.connect().await;
            idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            within(idle.read_exact(&mut [0; 16])).await.unwrap();
            let mut slow = server.connect().await;
            slow.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            within(entered.notified()).await;
            server.shutdown.cancel();
            // The idle connection is closed at once, although another still works.
            within(idle.read_to_end(&mut Vec::new())).await.unwrap();
            if finishes {
                gate.notify_one();
            }
            let mut answer = Vec::new();
            let _ = within(slow.read_to_end(&mut answer)).await;
            assert_eq!(answer.ends_with(b"done"), finishes);
            assert!(TcpStream::connect(server.address).await.is_err(), "nothing listens any more");
            assert_eq!(server.stop().await, Ended { cut: usize::from(!finishes) });
        }
    }

    async fn http2<I>(io: I) -> (hyper::client::conn::http2::SendRequest<Empty<Bytes>>, JoinHandle<()>)
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
        (sender, tokio::spawn(async move { drop(connection.await) }))
    }

    async fn get_over(
        sender: &mut hyper::client::conn::http2::SendRequest<Empty<Bytes>>,
    ) -> (StatusCode, Bytes) {
        let request = http::Request::get("http://localhost/").body(Empty::new()).unwrap();
        let answer = within(sender.send_request(request)).await.unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn http2_is_served_in_cleartext_and_bounded() {
        let server = Server::start(hello(), quick(), None).await;
        let (mut sender, connection) = http2(server.connect().await).await;
        assert_eq!(get_over(&mut sender).await, (StatusCode::OK, Bytes::from("hello")));
        // Idle past its limit, it is told to go away.
        within(connection).await.unwrap();
        let (mut sender, _connection) = http2(server.connect().await).await;
        let request = http::Request::get("http://localhost/").header("a", "a".repeat(20_000));
        let answer = within(sender.send_request(request.body(Empty::new()).unwrap())).await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 431));
        drop(sender);
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }

    /// Writes a fresh certificate for `localhost` and its key, and returns the certificate.
    fn certificate(folder: &std::path::Path) -> rustls::pki_types::CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    async fn handshake(
        address: SocketAddr,
        trusted: &rustls::pki_types::CertificateDer<'static>,
        protocol: &[u8],
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(address).await?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), stream).await
    }

    #[tokio::test]
    async fn tls_negotiates_http2_and_reloads_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let first = certificate(folder.path());
        let tls = Tls::load(&folder.path().join("cert.pem"), &folder.path().join("key.pem")).unwrap();
        let tls = Arc::new(tls);
        let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
        let server = Server::start(hello(), limits, Some(Arc::clone(&tls))).await;
        let stream = within(handshake(server.address, &first, b"h2")).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, _connection) = http2(stream).await;
        assert_eq!(get_over(&mut sender).await, (StatusCode::OK, Bytes::from("hello")));

        let second = certificate(folder.path());
        tls.reload().unwrap();
        assert!(handshake(server.address, &first, b"h2").await.is_err());
        let mut stream = within(handshake(server.address, &second, b"http/1.1")).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");

        // A broken file leaves what was read before in use.
        std::fs::write(folder.path().join("key.pem"), "nonsense").unwrap();
        assert!(tls.reload().is_err());
        assert!(within(handshake(server.address, &second, b"h2")).await.is_ok());
        // A client that never begins the handshake is dropped.
        assert_eq!(exchange(&mut server.connect().await, "").await, "");
        drop(sender);
        assert_eq!(server.stop().await, Ended { cut: 0 });
    }
}
