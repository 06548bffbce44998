//! Putting a node together, and taking it apart again.

use super::admin;
use super::limits;
use super::settings::Settings;
use anyhow::{Context, Result, anyhow, bail};
use api::edge::{self, RequestIds, Tls, TrustedProxies};
use api::{App, Mailer};
use eventlog::private::{self, PrivatePostgres};
use eventlog::{Log, LogKey, Random};
use projections::{Fatal, Node, Options, Starting};
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A node that serves.
pub(crate) struct Running {
    app: App,
    settings: Settings,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    postgres: Option<PrivatePostgres>,
    shutdown: CancellationToken,
    servers: Vec<JoinHandle<edge::serve::Ended>>,
    /// Held so that no second node keeps its mark in the same folder.
    _lock: Option<File>,
}

/// The database of a node.
struct Database {
    log: Log,
    postgres: Option<PrivatePostgres>,
    lock: Option<File>,
}

impl Running {
    /// Starts everything; when it returns, the node answers.
    pub(crate) async fn start(settings: Settings) -> Result<Self> {
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("listening on {} (another address: --listen)", settings.listen))?;
        let address = listener.local_addr()?;
        let tls = settings
            .tls
            .as_ref()
            .map(|(certificate, key)| Tls::load(certificate, key))
            .transpose()?
            .map(Arc::new);
        let database = open(&settings).await?;
        let random = Random::system();
        let node = match start_node(&settings, database.log.clone(), &random, None).await {
            Ok(node) => node,
            Err(error) => {
                stop_postgres(database.postgres).await?;
                return Err(error);
            }
        };
        let admin = admin::read(&settings, &random)?;
        if admin.is_none() {
            tracing::warn!("there is no admin token: only tokens can administer this authority");
        }
        let shutdown = CancellationToken::new();
        let (app, servers) = serve(&settings, node, admin, &random, listener, tls.clone(), &shutdown).await?;
        let (postgres, lock) = (database.postgres, database.lock);
        publish(&settings.data_dir, address)?;
        Ok(Self { app, settings, address, tls, postgres, shutdown, servers, _lock: lock })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The command that opens the log in psql, where it is the private Postgres's.
    pub(crate) fn psql(&self) -> Option<String> {
        let postgres = self.postgres.as_ref()?;
        Some(format!("psql -h {} -U chancery chancery", postgres.socket_dir().display()))
    }

    /// Says where everything is.
    pub(crate) fn announce(&self) {
        let (url, data) = (self.url(), self.settings.data_dir.display());
        let mut lines = vec![
            format!("chancery serves {url}"),
            format!("  API reference  {url}/docs/"),
            format!("  data           {data}"),
        ];
        if self.settings.database_url.is_none() && admin::made_file(&self.settings).exists() {
            lines.push(format!("  admin token    {}", admin::made_file(&self.settings).display()));
        }
        if let Some(psql) = self.psql() {
            lines.push(format!("  the log        {psql} -c 'SELECT * FROM chancery.events'"));
        }
        crate::print_lines(&lines);
    }

    /// Returns when the node has stopped by itself.
    pub(crate) async fn failed(&self) {
        self.app.node().failing().await;
    }

    /// Reads the TLS certificate again.
    pub(crate) fn reload(&self) {
        if let Some(tls) = &self.tls {
            match tls.reload() {
                Ok(()) => tracing::info!("the TLS certificate was read again"),
                Err(error) => tracing::error!(%error, "the TLS certificate stays as it was"),
            }
        }
    }

    /// Finishes what was accepted, then stops everything in the order that it depends on each other.
    pub(crate) async fn stop(self) -> Result<()> {
        tracing::info!("stopping: what was accepted is finished");
        self.shutdown.cancel();
        for server in self.servers {
            let ended = server.await?;
            if ended.cut > 0 {
                tracing::warn!(connections = ended.cut, "cut off what did not finish in time");
            }
        }
        let _ = fs::remove_file(self.settings.data_dir.join("address"));
        let failure = self.app.node().failure();
        if let Some(node) = self.app.into_node() {
            node.stop().await?;
        } else {
            tracing::warn!("a request outlived its connection: the node is dropped as it is");
        }
        stop_postgres(self.postgres).await?;
        match failure {
            Some(fatal) => Err(anyhow!("the node stopped by itself: {fatal}")),
            None => Ok(()),
        }
    }
}

/// Accepts a database that does not contain what this node has seen.
pub(crate) async fn accept(settings: Settings) -> Result<()> {
    let database = open(&settings).await?;
    let random = Random::system();
    let accepted = async {
        let head = database.log.head().await?;
        let origin = settings.origin.clone().unwrap_or_else(|| {
            format!("resumed.invalid/{}-{:016x}", head.size, u64::from_le_bytes(random.bytes()))
        });
        let node = start_node(&settings, database.log.clone(), &random, Some(origin)).await?;
        let given_up = node.given_up();
        node.stop().await?;
        Ok::<_, anyhow::Error>(given_up)
    };
    let given_up = accepted.await;
    stop_postgres(database.postgres).await?;
    crate::print_lines(&[match given_up? {
        Some(size) => {
            format!("accepted: this node had seen {size} lines; the log goes on from what the database holds")
        }
        None => "nothing to accept: the database contains what this node has seen".to_owned(),
    }]);
    Ok(())
}

/// Does something with a node that does not serve, and stops it.
pub(super) async fn with_node<R>(
    settings: &Settings,
    act: impl AsyncFnOnce(&Node) -> Result<R>,
) -> Result<R> {
    let database = open(settings).await?;
    let acted = async {
        let node = start_node(settings, database.log.clone(), &Random::system(), None).await?;
        let acted = act(&node).await;
        node.stop().await?;
        acted
    };
    let acted = acted.await;
    stop_postgres(database.postgres).await?;
    acted
}

/// Opens the database that was given, or starts the private one.
async fn open(settings: &Settings) -> Result<Database> {
    if let Some(url) = &settings.database_url {
        fs::create_dir_all(&settings.data_dir)
            .with_context(|| format!("making the data folder {}", settings.data_dir.display()))?;
        let lock = lock(&settings.data_dir)?;
        let options = read_url(url.expose_secret())?;
        let log = connect(options, settings).await?;
        return Ok(Database { log, postgres: None, lock: Some(lock) });
    }
    let mut options = private::Options::new(&settings.data_dir);
    options.bin_dir.clone_from(&settings.pg_bin_dir);
    options.user.clone_from(&settings.pg_user);
    let postgres = PrivatePostgres::start(options).await?;
    let log = connect(postgres.connect_options(), settings).await?;
    Ok(Database { log, postgres: Some(postgres), lock: None })
}

/// The library takes any scheme, and for `mysql://…` would connect to whatever answers on this machine. Its own error
/// may quote the URL, and with it a password.
pub(crate) fn read_url(url: &str) -> Result<PgConnectOptions> {
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    let options = url.parse().ok().filter(|_| is_postgres);
    options.context("DATABASE_URL is not a postgres:// URL")
}

async fn connect(options: PgConnectOptions, settings: &Settings) -> Result<Log> {
    let settings = eventlog::Settings {
        max_connections: settings.database_connections,
        // What nobody waits for any more need not go on.
        apart_timeout: settings.request_timeout,
        ..eventlog::Settings::default()
    };
    Log::connect_with(options, settings).await.context("connecting to Postgres")
}

/// Writes where the node answers: whole or not at all, for whoever waits for the file.
fn publish(folder: &Path, address: SocketAddr) -> Result<()> {
    let partial = folder.join("address.new");
    fs::write(&partial, format!("{address}\n"))?;
    Ok(fs::rename(&partial, folder.join("address"))?)
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path)?;
    if file.try_lock().is_err() {
        bail!("another node runs in {}: give each node a --data-dir of its own", folder.display());
    }
    Ok(file)
}

async fn start_node(settings: &Settings, log: Log, random: &Random, accept: Option<String>) -> Result<Node> {
    let options = Options {
        folder: settings.data_dir.clone(),
        clock: None,
        log_key_file: Some(settings.log_key_file.clone()),
        random: random.clone(),
        capacity: settings.queue,
        accept,
        snapshot_every: Options::SNAPSHOT_EVERY,
    };
    let starting = || {
        admin::prepare(settings, random).map_err(|error| Fatal::Start(format!("{error:#}")))?;
        let key = LogKey::load_or_create(&settings.log_key_file, random)?;
        let name = u64::from_le_bytes(random.bytes());
        let origin = settings.origin.clone().unwrap_or_else(|| format!("chancery.invalid/{name:016x}"));
        Ok(Starting { origin, log_key: key.public(), answers: settings.answers })
    };
    match Node::start(log, options, starting).await {
        Ok(node) => Ok(node),
        Err(fatal @ Fatal::Log(eventlog::Error::WentBackwards { .. })) => Err(anyhow!(
            "{fatal}. This node does not go on by itself, because what it answered may be undone. If this is the \
             database to go on with, run once: chancery log accept --data-dir {}",
            settings.data_dir.display()
        )),
        Err(fatal) => Err(fatal.into()),
    }
}

async fn serve(
    settings: &Settings,
    node: Node,
    admin: Option<api::AdminToken>,
    random: &Random,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    shutdown: &CancellationToken,
) -> Result<(App, Vec<JoinHandle<edge::serve::Ended>>)> {
    let options = api::Options {
        admin,
        with_metrics: settings.metrics_listen.is_none(),
        rates: settings.rates,
        partner_keys: limits::partner_keys(settings.partner_keys_file.as_deref())?,
        mail: settings.mail.clone().map(Mailer::new).transpose().map_err(anyhow::Error::msg)?,
    };
    let (app, router, metrics) = api::router(node, options);
    let stack = |metrics| {
        let ids = RequestIds::new(u32::from_le_bytes(random.bytes()));
        let proxies = TrustedProxies::new(settings.trusted_proxies.iter().copied());
        app.stack(ids, proxies, settings.request_timeout, metrics)
    };
    let front = app.front(&stack(Some(Arc::clone(&metrics))), router);
    let options = edge::serve::Options { tls, metrics: Some(metrics), ..Default::default() };
    let mut servers = vec![tokio::spawn(edge::serve(listener, front, options, shutdown.clone()))];
    if let Some(address) = settings.metrics_listen {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
        let router = stack(None).wrap(api::app::metrics_router(app.clone()));
        let options = edge::serve::Options::default();
        servers.push(tokio::spawn(edge::serve(listener, router, options, shutdown.clone())));
    }
    Ok((app, servers))
}

async fn stop_postgres(postgres: Option<PrivatePostgres>) -> Result<()> {
    if let Some(postgres) = postgres {
        postgres.stop().await?;
    }
    Ok(())
}
