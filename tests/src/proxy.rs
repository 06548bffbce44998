//! Stands between a node and its Postgres, and cuts it off.

use crate::cluster::OWNER;
use crate::database::Database;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Returning cuts both connections.
async fn pass(mut client: TcpStream, socket: PathBuf, state: Arc<State>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let (mut request, mut reply) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut cut = std::pin::pin!(state.cut.notified());
    cut.as_mut().enable();
    loop {
        tokio::select! {
            () = &mut cut => return,
            read = client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
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
                if client.write_all(&reply[..length]).await.is_err() { return }
            }
        }
    }
}
