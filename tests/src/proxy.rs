//! Stands between a node and its Postgres, and cuts it off.

use crate::cluster::OWNER;
use crate::database::Database;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

/// A proxy in front of the server of one database.
pub struct Proxy {
    port: u16,
    name: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    down: AtomicBool,
    cut: Notify,
    lost_reply: Mutex<Option<String>>,
    lost: Notify,
    cut_plan: Mutex<Option<Cut>>,
    /// How many such cuts have happened, and how many of them while a commit was under way.
    cuts: AtomicU64,
    commits_cut: AtomicU64,
}

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the node to the server.
    Request,
    /// From the server to the node.
    Reply,
}

/// Where a connection ends.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Which bytes are counted.
    pub way: Way,
    /// So many more of them come through, on whichever connection; the one that they end on is cut.
    pub after: usize,
    /// The connection is not closed; nothing comes through any more, either way, until one of both gives up.
    pub stalls: bool,
}

impl Proxy {
    /// Listens on a port of its own.
    pub async fn start(database: &Database) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let (accepting, socket) = (Arc::clone(&state), database.socket_dir().join(".s.PGSQL.5432"));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !accepting.down.load(Ordering::SeqCst) {
                    tokio::spawn(pass(client, socket.clone(), Arc::clone(&accepting)));
                }
            }
        });
        Proxy { port, name: database.name().to_owned(), state }
    }

    /// How to connect to the database through it.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(OWNER)
            .database(&self.name)
            .ssl_mode(PgSslMode::Disable)
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{}?sslmode=disable", self.port, self.name)
    }

    /// Cuts all connections and accepts no more.
    pub fn down(&self) {
        self.state.down.store(true, Ordering::SeqCst);
        self.state.cut.notify_waiters();
    }

    /// Accepts connections again.
    pub fn up(&self) {
        self.state.down.store(false, Ordering::SeqCst);
    }

    /// Lets the next request that contains `text` through, and goes down instead of passing on its reply.
    pub fn lose_reply_to(&self, text: &str) {
        *self.state.lost_reply.lock().unwrap() = Some(text.to_owned());
    }

    /// Plans one cut.
    pub fn cut(&self, cut: Cut) {
        *self.state.cut_plan.lock().unwrap() = Some(cut);
    }

    /// How many planned cuts have happened, and how many of them between a commit's first byte and its answer's last.
    pub fn cuts(&self) -> (u64, u64) {
        (self.state.cuts.load(Ordering::SeqCst), self.state.commits_cut.load(Ordering::SeqCst))
    }

    /// Waits until such a reply was lost.
    pub async fn lost(&self) {
        self.state.lost.notified().await;
    }
}

impl State {
    /// Whether this request is the one whose reply is to be lost.
    fn is_doomed(&self, request: &[u8]) -> bool {
        let mut wanted = self.lost_reply.lock().unwrap();
        let found = wanted
            .as_ref()
            .is_some_and(|text| request.windows(text.len()).any(|part| part == text.as_bytes()));
        if found {
            *wanted = None;
        }
        found
    }
}

impl State {
    /// Whether a cut is due within these bytes: then how many of them come through, and whether it is a stall.
    fn spend(&self, way: Way, length: usize) -> Option<(usize, bool)> {
        let mut plan = self.cut_plan.lock().unwrap();
        let cut = plan.as_mut().filter(|cut| cut.way == way)?;
        if cut.after >= length {
            cut.after -= length;
            return None;
        }
        let (kept, stalls) = (cut.after, cut.stalls);
        *plan = None;
        Some((kept, stalls))
    }

    fn happened(&self, in_commit: bool) {
        self.commits_cut.fetch_add(u64::from(in_commit), Ordering::SeqCst);
        self.cuts.fetch_add(1, Ordering::SeqCst);
    }
}

/// Lets nothing through any more, and waits until one side gives up.
async fn stall(mut client: TcpStream, mut server: UnixStream) {
    let (mut request, mut reply) = ([0; 1 << 12], [0; 1 << 12]);
    loop {
        let read = tokio::select! {
            read = client.read(&mut request) => read,
            read = server.read(&mut reply) => read,
        };
        if !matches!(read, Ok(1..)) {
            return;
        }
    }
}

/// How a line begins: what a request to append holds and no other.
const LINE: &[u8] = b"{\"v\":1,";

/// Returning cuts both connections.
async fn pass(mut client: TcpStream, socket: PathBuf, state: Arc<State>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let (mut request, mut reply) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut cut = std::pin::pin!(state.cut.notified());
    cut.as_mut().enable();
    // A commit is under way until the server has said that it is ready for the next request, in a message of its own.
    let mut in_commit = false;
    loop {
        tokio::select! {
            () = &mut cut => return,
            read = client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
                in_commit = request[..length].windows(LINE.len()).any(|part| part == LINE);
                if let Some((kept, stalls)) = state.spend(Way::Request, length) {
                    let _ = server.write_all(&request[..kept]).await;
                    state.happened(in_commit);
                    if stalls { stall(client, server).await }
                    return;
                }
                if server.write_all(&request[..length]).await.is_err() { return }
                if state.is_doomed(&request[..length]) {
                    state.down.store(true, Ordering::SeqCst);
                    // The reply is the proof that the server has done it.
                    let _ = server.read(&mut reply).await;
                    state.cut.notify_waiters();
                    state.lost.notify_one();
                    return;
                }
            }
            read = server.read(&mut reply) => {
                let Ok(length @ 1..) = read else { return };
                if let Some((kept, stalls)) = state.spend(Way::Reply, length) {
                    let _ = client.write_all(&reply[..kept]).await;
                    state.happened(in_commit);
                    if stalls { stall(client, server).await }
                    return;
                }
                if client.write_all(&reply[..length]).await.is_err() { return }
            }
        }
    }
}
