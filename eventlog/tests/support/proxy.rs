//! Stands between a node and its Postgres, and breaks the connection at a chosen moment.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

use super::Database;
use sqlx::postgres::PgConnectOptions;

/// What to do with the next thing that the client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Pass it on.
    Never,
    /// Cut the connection instead of passing it on.
    BeforeRequest,
    /// Pass it on, wait for the answer, and cut the connection instead of passing that on.
    BeforeReply,
    /// Pass it on and cut the client off at once: the server is still busy with it.
    WhileBusy,
    /// Cut the client off at once, and pass it on only when told to.
    Late,
}

/// A proxy of one database.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    socket: PathBuf,
    /// How many requests to pass on before the cut.
    next: Mutex<(u32, Cut)>,
    down: Mutex<bool>,
    deliver: Notify,
    delivered: Notify,
}

impl State {
    fn next_cut(&self) -> Cut {
        let mut next = self.next.lock().unwrap();
        if next.0 > 0 {
            next.0 -= 1;
            return Cut::Never;
        }
        std::mem::replace(&mut next.1, Cut::Never)
    }
}

impl Proxy {
    /// Listens on a port of its own.
    pub(crate) async fn start(database: &Database) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            socket: database.cluster.socket(),
            next: Mutex::new((0, Cut::Never)),
            down: Mutex::new(false),
            deliver: Notify::new(),
            delivered: Notify::new(),
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !*accepting.down.lock().unwrap() {
                    tokio::spawn(pass(client, Arc::clone(&accepting)));
                }
            }
        });
        Proxy { port, state }
    }

    /// How to connect to the database through it.
    pub(crate) fn options(&self, database: &Database) -> PgConnectOptions {
        // A socket path would win over the host, so these options are built anew.
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(super::cluster::OWNER)
            .database(&database.name)
            .ssl_mode(sqlx::postgres::PgSslMode::Disable)
    }

    /// Arms the proxy for the next thing that any client says.
    pub(crate) fn cut(&self, cut: Cut) {
        self.cut_after(0, cut);
    }

    /// The same, for the thing after so many others.
    pub(crate) fn cut_after(&self, others: u32, cut: Cut) {
        *self.state.next.lock().unwrap() = (others, cut);
    }

    /// Refuses new connections, or no longer.
    pub(crate) fn down(&self, down: bool) {
        *self.state.down.lock().unwrap() = down;
    }

    /// Passes on what was held back by [`Cut::Late`] and waits for the server's answer.
    pub(crate) async fn deliver(&self) {
        self.state.deliver.notify_one();
        self.state.delivered.notified().await;
    }
}

/// Returning cuts both connections. A request of the tests is small enough to come in one piece.
async fn pass(mut client: TcpStream, state: Arc<State>) {
    let mut server = UnixStream::connect(&state.socket).await.unwrap();
    let (mut request, mut reply) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
                let cut = state.next_cut();
                match cut {
                    Cut::BeforeRequest => return,
                    Cut::Late => {
                        drop(client);
                        state.deliver.notified().await;
                        // The server may have been stopped meanwhile: that is an answer too.
                        let _ = server.write_all(&request[..length]).await;
                        let _ = server.read(&mut reply).await;
                        state.delivered.notify_one();
                        return;
                    }
                    Cut::Never | Cut::BeforeReply | Cut::WhileBusy => {
                        server.write_all(&request[..length]).await.unwrap();
                    }
                }
                if cut == Cut::WhileBusy {
                    drop(client);
                    let _ = server.read(&mut reply).await;
                    return;
                }
                if cut == Cut::BeforeReply {
                    let _ = server.read(&mut reply).await;
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
