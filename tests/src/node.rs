//! A node inside the test's own process, put together as the binary does it.

use crate::actor::Actor;
use crate::database::Database;
use api::edge::serve::Options as ServeOptions;
use api::edge::{self, Ended, RequestIds, TrustedProxies};
use api::{AdminToken, App, MailSettings, Mailer, PartnerKeys, Rates};
use domain::event::Answers;
use domain::state::State;
use eventlog::{Clock, Faults, Log, LogKey, Random, Settings};
use ipnet::IpNet;
use projections::{Fatal, Node, Options, Starting};
use reqwest::Client;
use sqlx::postgres::PgConnectOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The break-glass token of every authority of the tests.
pub const ADMIN: &str = "chancery-admin-of-the-tests-0123456789abcdef";
/// Where manual clocks begin: 2031-03-04T05:06:07.000000Z. Ahead of every real clock, so that what the database's own
/// time ends is not over before the test's time has come to it.
pub const START: i64 = 1_930_367_167_000_000;

/// A clock that only the test moves.
pub fn clock() -> Clock {
    Clock::manual(START)
}

/// How a node is started.
pub struct NodeOptions {
    /// How it connects.
    pub database: PgConnectOptions,
    /// Times and sizes of its connections.
    pub settings: Settings,
    /// The authority's clock; none is the database's time.
    pub clock: Option<Clock>,
    /// Its generator.
    pub random: Random,
    /// How a new authority answers.
    pub answers: Answers,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How much may wait.
    pub capacity: usize,
    /// How long a request may take.
    pub timeout: Duration,
    /// Where the mark is kept; none is a folder of its own.
    pub folder: Option<PathBuf>,
    /// The file of the key that signs checkpoints, made if it is not there; without a folder, in the node's. None signs
    /// none.
    pub log_key_file: Option<PathBuf>,
    /// Accept another database, under this origin.
    pub accept: Option<String>,
    /// After how many lifecycle events a snapshot of the state is taken.
    pub snapshot_every: u64,
    /// What goes wrong in it.
    pub faults: Faults,
    /// How often what may be asked; no limits unless a test sets them.
    pub rates: Rates,
    /// Whose signatures on reports of leaks are believed.
    pub partner_keys: PartnerKeys,
    /// How it sends mail; none unless a test has a server.
    pub mail: Option<MailSettings>,
}

/// A node that serves on a port of its own.
pub struct TestNode {
    app: App,
    url: String,
    client: Client,
    folder: PathBuf,
    _own_folder: Option<TempDir>,
    shutdown: CancellationToken,
    server: JoinHandle<Ended>,
}

impl NodeOptions {
    /// On a database, with the real clock and randomness that no other node of this process has.
    pub fn on(database: &Database) -> NodeOptions {
        static SEED: AtomicU64 = AtomicU64::new(1_000);
        NodeOptions {
            database: database.options(),
            settings: Settings { max_connections: 3, ..Settings::default() },
            clock: None,
            random: Random::seeded(SEED.fetch_add(1, Ordering::Relaxed)),
            answers: Answers::Committed,
            trusted_proxies: Vec::new(),
            capacity: 16_384,
            timeout: Duration::from_secs(10),
            folder: None,
            log_key_file: None,
            accept: None,
            snapshot_every: projections::Options::SNAPSHOT_EVERY,
            faults: Faults::default(),
            rates: Rates::default(),
            partner_keys: PartnerKeys::default(),
            mail: None,
        }
    }

    /// With a clock that the test moves.
    #[must_use]
    pub fn clock(self, clock: &Clock) -> NodeOptions {
        NodeOptions { clock: Some(clock.clone()), ..self }
    }

    /// With answers from memory, if it begins the authority.
    #[must_use]
    pub fn bounded(self) -> NodeOptions {
        NodeOptions { answers: Answers::Bounded, ..self }
    }

    /// With a database that may go away: a commit in doubt is given up after half a second rather than after five.
    #[must_use]
    pub fn impatient(mut self) -> NodeOptions {
        self.settings = Settings {
            connect_timeout: Duration::from_secs(2),
            resolve_deadline: Duration::from_millis(500),
            ..self.settings
        };
        self
    }

    /// With faults that the test plans.
    #[must_use]
    pub fn faults(self, faults: &Faults) -> NodeOptions {
        NodeOptions { faults: faults.clone(), ..self }
    }

    /// Keeps its mark there.
    #[must_use]
    pub fn folder(self, folder: &Path) -> NodeOptions {
        NodeOptions { folder: Some(folder.to_owned()), ..self }
    }

    /// Takes a snapshot of the state whenever there are so many more lifecycle events.
    #[must_use]
    pub fn snapshot_every(self, events: u64) -> NodeOptions {
        NodeOptions { snapshot_every: events, ..self }
    }

    /// Signs checkpoints with the key of a file, made if it is not there.
    #[must_use]
    pub fn log_key(self, file: &Path) -> NodeOptions {
        NodeOptions { log_key_file: Some(file.to_owned()), ..self }
    }

    /// Signs checkpoints with a key of its own.
    #[must_use]
    pub fn signing(self) -> NodeOptions {
        self.log_key(Path::new("log-key"))
    }

    /// Starts it.
    pub async fn start(self) -> TestNode {
        self.try_start().await.unwrap()
    }

    /// Starts it, if it starts.
    pub async fn try_start(self) -> Result<TestNode, Fatal> {
        let own_folder = self.folder.is_none().then(|| tempfile::tempdir().unwrap());
        let folder = self.folder.unwrap_or_else(|| own_folder.as_ref().unwrap().path().to_owned());
        let log_key_file = self.log_key_file.map(|file| folder.join(file));
        let log = Log::connect_with(self.database, self.settings).await?.with_faults(self.faults);
        let options = Options {
            folder: folder.clone(),
            clock: self.clock,
            log_key_file: log_key_file.clone(),
            random: self.random.clone(),
            capacity: self.capacity,
            accept: self.accept,
            snapshot_every: self.snapshot_every,
        };
        let answers = self.answers;
        let starting = || {
            let origin = "chancery.invalid/tests".to_owned();
            let log_key = match &log_key_file {
                Some(file) => LogKey::load_or_create(file, &self.random)?.public(),
                None => "a key of the tests".to_owned(),
            };
            Ok(Starting { origin, log_key, answers })
        };
        let node = Node::start(log, options, starting).await?;
        let admin = AdminToken::new(ADMIN, &Random::system());
        let (rates, partner_keys) = (self.rates, self.partner_keys);
        let mail = self.mail.map(|settings| Mailer::new(settings).unwrap());
        let (app, router, metrics) =
            api::router(node, api::Options { admin, with_metrics: true, rates, partner_keys, mail });
        let ids = RequestIds::new(u32::from_le_bytes(self.random.bytes()));
        let proxies = TrustedProxies::new(self.trusted_proxies);
        let stack = app.stack(ids, proxies, self.timeout, Some(Arc::clone(&metrics)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let serving = ServeOptions { metrics: Some(metrics), ..Default::default() };
        let server =
            tokio::spawn(edge::serve(listener, app.front(&stack, router), serving, shutdown.clone()));
        Ok(TestNode { app, url, client: client(), folder, _own_folder: own_folder, shutdown, server })
    }
}

/// A client that waits long enough for every answer and says who it is.
pub(crate) fn client() -> Client {
    Client::builder()
        .no_proxy()
        .user_agent("chancery-tests/1")
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

impl TestNode {
    /// Somebody without a credential.
    pub fn anon(&self) -> Actor {
        Actor::anonymous(self.client.clone(), &self.url)
    }

    /// The holder of the break-glass token.
    pub fn admin(&self) -> Actor {
        self.anon().with(ADMIN)
    }

    /// The holder of a token.
    pub fn token(&self, secret: &str) -> Actor {
        self.anon().with(secret)
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        self.app.node()
    }

    /// Where it keeps its mark.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Looks at its state.
    pub fn state<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        self.node().live().read(look)
    }

    /// Waits until it has folded everything that another node has.
    pub async fn catches_up_with(&self, other: &TestNode) {
        let position = other.node().log().head().await.unwrap().size;
        let reached = self.node().live().reaches(position, Duration::from_secs(30)).await;
        assert!(reached, "the node comes to position {position}");
    }

    /// Where its state differs from another's.
    pub fn difference(&self, other: &TestNode) -> Option<String> {
        self.state(|mine| other.state(|theirs| mine.difference(theirs)))
    }

    /// Stops it in order. The folder of its mark goes with it, unless it was given.
    pub async fn stop(self) {
        self.shutdown.cancel();
        let ended = self.server.await.unwrap();
        assert_eq!(ended.cut, 0, "every connection finishes");
        let node = self.app.into_node().expect("nothing serves from the node any more");
        node.stop().await.unwrap();
    }
}
