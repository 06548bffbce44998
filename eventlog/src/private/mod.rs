//! The private Postgres of the embedded default: a real, durable server of one node's own.
//!
//! Without `DATABASE_URL`, `chancery serve` runs the Postgres that the machine has installed, in `<data_dir>/postgres`,
//! reachable over a Unix socket only and by the node's own user only.
//!
//! What holds, and rests on this module:
//! - one node at a time works on a data folder, by a lock that the kernel frees when its holder dies;
//! - the server never outlives the node: killed outright, the node's last act is the kernel's SIGINT to the server;
//! - after any kill, of the node or of the server, the next start recovers by itself;
//! - durability is on, and no setting turns it off but [`Options::durable`].
//!
//! The parts: `binaries` finds the server, `account` runs things as the user that it runs as, `lock` and
//! `cluster` are the folders, `socket` is where it listens, `stale` clears up after an earlier one, `process`
//! runs it and runs it again, `roles` connects to it and prepares the database.

mod account;
mod binaries;
mod cluster;
mod error;
mod lock;
mod log;
mod process;
mod roles;
mod socket;
mod stale;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::{sleep, timeout};

use self::account::Account;
use self::lock::Lock;
use self::log::Log;
use self::process::{Launch, Supervisor};

pub use self::binaries::{find_binaries, find_or_install};
pub use self::error::Error;
pub use self::process::Exit;

/// How long a fast shutdown may take before an immediate one is asked for, and how long that may take.
const FAST_SHUTDOWN: Duration = Duration::from_secs(30);
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(15);

/// How often a starting server is asked whether it answers, and how many times it may not even say that it starts.
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ASKS: u32 = 1_200;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How many times a starting server may end because of what a killed one still holds.
const FALSE_STARTS: u64 = 12;

/// How often the log's size is looked at, and for how long a server must live to count as steady.
const TICK: Duration = Duration::from_secs(30);

/// How the private server is found, where it keeps its data, and whether its durability is on.
#[derive(Debug, Clone)]
pub struct Options {
    /// Chancery's own data folder, made when missing. Postgres lives in `postgres` inside it.
    pub data_dir: PathBuf,
    /// The folder of `postgres` and `initdb`; when none, the usual places are looked at.
    pub bin_dir: Option<PathBuf>,
    /// The user to run Postgres as when this is root; when none, `postgres`.
    pub user: Option<String>,
    /// Off only for throw-away test clusters: then `fsync` and `full_page_writes` are off.
    pub durable: bool,
    /// Further settings of the server, such as `("shared_buffers", "1GB")`. Those that the node relies on stay as
    /// they are.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server on a data folder, everything else by default.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), bin_dir: None, user: None, durable: true, settings: Vec::new() }
    }
}

/// A running private server. [`PrivatePostgres::stop`] ends it in order; dropping it asks it to end and does not wait.
#[derive(Debug)]
pub struct PrivatePostgres {
    supervisor: Supervisor,
    socket_dir: PathBuf,
    log: Log,
    housekeeping: tokio::task::AbortHandle,
}

impl PrivatePostgres {
    /// Starts the server and resolves when it answers queries; makes its cluster, role and database where missing.
    ///
    /// Waits up to a minute for an earlier server on the same data that still shuts down, and as long as it takes for
    /// crash recovery. Needs a Tokio runtime with its timer on.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let prepared = tokio::task::spawn_blocking(move || prepare(&options)).await;
        let (launch, lock) = prepared.expect("the preparation does not panic")?;
        let (socket_dir, log) = (launch.socket_dir.clone(), launch.log.clone());
        let supervisor = Supervisor::begin(launch, lock)?;
        let housekeeping = tokio::spawn(keep_house(&supervisor, log.clone())).abort_handle();
        let server = Self { supervisor, socket_dir, log, housekeeping };
        match server.make_ready().await {
            Ok(()) => {
                server.supervisor.announced();
                Ok(server)
            }
            Err(error) => {
                // The first error is the one that says what to do.
                let _ = server.stop().await;
                Err(error)
            }
        }
    }

    /// How to connect: the database `chancery`, as the role `chancery`, which owns it and may create roles.
    pub fn connect_options(&self) -> PgConnectOptions {
        roles::connect_options(&self.socket_dir, roles::OWNER, roles::OWNER)
    }

    /// The postmaster's process id; none while it is down and about to be started again.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.watch().borrow().pid
    }

    /// The folder of the socket: `psql -h <it> -U chancery` works for the node's user.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The server's log file.
    pub fn log_path(&self) -> &Path {
        self.log.path()
    }

    /// Resolves when a run of the postmaster ends that had not ended when this was called. It is started again
    /// without anybody's help; this is for those who want to know.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + use<> {
        let mut status = self.supervisor.watch();
        // Read here rather than at the first poll, which may come after an end that the caller waits for.
        let seen = status.borrow().exits;
        async move {
            match status.wait_for(|status| status.exits > seen).await {
                Ok(status) => status.last.clone().expect("a run that ended has said how"),
                Err(_) => Exit::NotRun { reason: "it has been stopped".into() },
            }
        }
    }

    /// Resolves when a query is answered: at once while the server is up, else after its restart.
    pub async fn answers(&self) {
        while !matches!(timeout(ANSWER, roles::greet(&self.socket_dir)).await, Ok(Ok(_))) {
            sleep(ASK_AGAIN).await;
        }
    }

    /// Ends the server: SIGINT (who is connected is sent away, so drain first), after 30 s SIGQUIT.
    ///
    /// When this returns without an error, the data folder is free for a next start.
    pub async fn stop(self) -> Result<(), Error> {
        for (signal, patience) in [(Signal::INT, FAST_SHUTDOWN), (Signal::QUIT, IMMEDIATE_SHUTDOWN)] {
            self.supervisor.stop(signal);
            if timeout(patience, self.supervisor.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(
                pid = self.pid(),
                ?signal,
                "the private Postgres did not stop in {} s",
                patience.as_secs()
            );
        }
        Err(Error::StopTimedOut { pid: self.pid().unwrap_or_default(), log: self.log.path().to_path_buf() })
    }

    /// Waits until the server answers, then prepares the role and the database.
    async fn make_ready(&self) -> Result<(), Error> {
        let connection = self.first_answer().await?;
        roles::prepare(connection).await.map_err(Error::Setup)
    }

    async fn first_answer(&self) -> Result<PgConnection, Error> {
        let (mut asks, mut status) = (0, self.supervisor.watch());
        let mut exits = 0;
        loop {
            let now = status.borrow_and_update().clone();
            if now.exits > exits {
                exits = now.exits;
                self.judge_exit(now)?;
            }
            let last = match timeout(ANSWER, roles::greet(&self.socket_dir)).await {
                Ok(Ok(connection)) => return Ok(connection),
                // Crash recovery takes what it takes; it is under way.
                Ok(Err(error)) if roles::is_starting(&error) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("it takes longer than {} s", ANSWER.as_secs())),
            };
            if let Some(last) = last {
                asks += 1;
                if asks >= ASKS {
                    return Err(Error::NotReady { last, log: self.log.path().to_path_buf() });
                }
            }
            // An end of the server is looked at right away.
            let _ = timeout(ASK_AGAIN, status.changed()).await;
        }
    }

    /// A server that ended before it answered is an error, except where a killed one still holds its shared memory or
    /// its files: then the supervisor's next start may succeed.
    fn judge_exit(&self, status: process::Status) -> Result<(), Error> {
        let exit = match status.last.expect("a run that ended has said how") {
            Exit::NotRun { reason } => return Err(Error::NotRun { reason }),
            ended @ Exit::Ended { .. } => ended,
        };
        let tail = self.log.tail_from(status.log_start);
        let passing =
            ["pre-existing shared memory block", "lock file \""].iter().any(|text| tail.contains(text));
        if passing && status.exits < FALSE_STARTS {
            tracing::warn!(%exit, "what an earlier private Postgres left is still in use: trying again");
            return Ok(());
        }
        Err(Error::Exited { exit, log: self.log.path().to_path_buf(), tail })
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.housekeeping.abort();
        self.supervisor.stop(Signal::INT);
    }
}

/// Everything before the server itself: the lock, then binaries, cluster and socket folder.
fn prepare(options: &Options) -> Result<(Launch, Lock), Error> {
    let account = Account::resolve(options.user.as_deref())?;
    let data_dir = lock::make_data_dir(&options.data_dir, &account)?;
    let lock = Lock::take(&data_dir)?;
    let folder = cluster::folder(&data_dir);
    let found = cluster::version(&folder)?;
    let wanted = found.as_deref().and_then(|found| found.parse().ok());
    let binaries = binaries::find(options.bin_dir.as_deref(), wanted)?;
    let program = binaries.postgres();
    account.check_reach(&program, &data_dir)?;
    cluster::remove_unfinished(&data_dir)?;
    match found {
        Some(found) => cluster::check(&folder, &found, &binaries, &account)?,
        None => cluster::create(&data_dir, &binaries, &account, options.durable)?,
    }
    cluster::write_access(&folder, &account)?;
    let socket_dir = socket::prepare(&account, &data_dir)?;
    let compression = cluster::wal_compression(&folder, &binaries, &account);
    let arguments = cluster::arguments(&folder, &socket_dir, compression, &options.settings, options.durable);
    let log = Log::new(&data_dir);
    Ok((Launch { account, program, arguments, folder, socket_dir, log }, lock))
}

/// Keeps the log bounded, and lets the pause before a restart be short again after a steady while.
fn keep_house(supervisor: &Supervisor, log: Log) -> impl Future<Output = ()> + use<> {
    let (status, steady) = (supervisor.watch(), supervisor.steady());
    async move {
        loop {
            let before = status.borrow().pid;
            sleep(TICK).await;
            let now = status.borrow().pid;
            if now.is_some() && now == before {
                steady();
            }
            if let Err(error) = log.trim() {
                tracing::warn!(%error, log = %log.path().display(), "cannot shorten the private Postgres's log");
            }
        }
    }
}
