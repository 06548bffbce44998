//! Reading the log: its head, and pages of its commits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use uuid::Uuid;

use crate::session::{self, Purpose};
use crate::{Error, Faults, Writer, migrate, pages};

/// Times and sizes of the connections to the database. The default is right for a server.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many connections the pool for reads may hold.
    pub max_connections: u32,
    /// How many connections [`Log::apart`] may hold.
    pub apart_connections: u32,
    /// `statement_timeout` of the reads of [`Log::apart`].
    pub apart_timeout: Duration,
    /// How long opening a connection, or waiting for one of the pool, may take.
    pub connect_timeout: Duration,
    /// `statement_timeout` of reads.
    pub read_timeout: Duration,
    /// `statement_timeout` of appends.
    pub append_timeout: Duration,
    /// `lock_timeout` of reads and appends.
    pub lock_timeout: Duration,
    /// How long an append whose connection broke goes on finding out what became of it before it answers
    /// [`Error::OutcomeUnknown`].
    pub resolve_deadline: Duration,
    /// How long a migration waits for another node that migrates.
    pub migration_patience: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_connections: 8,
            apart_connections: 4,
            apart_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            append_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(8),
            resolve_deadline: Duration::from_secs(5),
            migration_patience: Duration::from_mins(2),
        }
    }
}

/// The log of one database. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    options: Arc<PgConnectOptions>,
    settings: Settings,
    pool: PgPool,
    /// How long [`Log::run`] waits for an answer.
    answer_timeout: Duration,
    faults: Faults,
    altered: Arc<AtomicU64>,
}

/// How far the log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of lines; the position of the next one.
    pub size: u64,
    /// The number of lifecycle lines.
    pub version: u64,
    /// The id of the last commit that holds a lifecycle line; nil at the start.
    pub last_lifecycle: Uuid,
    /// The database's clock at the read: microseconds since the Unix epoch.
    pub time: i64,
}

/// One group commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: Uuid,
    /// The position of its first line.
    pub first: u64,
    /// The number of its lines.
    pub count: u32,
    /// The number of lifecycle lines before it.
    pub version: u64,
    /// The number of lifecycle lines in it.
    pub lifecycle: u32,
    /// The database's clock when it was inserted: microseconds since the Unix epoch.
    pub committed_at: i64,
    /// Its lines, separated by newlines, without one at the end.
    pub lines: String,
}

impl Commit {
    /// The size of the log with this commit as its last.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// The version of the log with this commit as its last.
    pub fn version_after(&self) -> u64 {
        self.version + u64::from(self.lifecycle)
    }

    /// Its lines, each with its position.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, &str)> {
        (self.first..).zip(self.lines.split('\n'))
    }
}

/// Where a commit stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The position of its first line.
    pub first: u64,
    /// The number of lifecycle lines before it.
    pub version: u64,
    /// The database's clock when it was inserted: microseconds since the Unix epoch.
    pub time: i64,
}

impl Log {
    /// Connects, and refuses a server that cannot carry a log. Needs no migrated database yet.
    pub async fn connect(options: PgConnectOptions, max_connections: u32) -> Result<Log, Error> {
        Log::connect_with(options, Settings { max_connections, ..Settings::default() }).await
    }

    /// The same with other times.
    pub async fn connect_with(options: PgConnectOptions, settings: Settings) -> Result<Log, Error> {
        let mut options = options;
        if options.get_application_name().is_none() {
            options = options.application_name("chancery");
        }
        // The pool hides why a connection was refused behind a timeout, so the first one is opened by hand.
        let mut first = session::open(&options, &settings, Purpose::Own).await?;
        warn_about_durability(&mut first).await?;
        session::close(first).await;
        let pool = reading_pool(&options, settings, settings.max_connections);
        let answer_timeout = settings.connect_timeout;
        Ok(Log {
            options: Arc::new(options),
            settings,
            pool,
            answer_timeout,
            faults: Faults::default(),
            altered: Arc::default(),
        })
    }

    /// The same log for reads that may take long, on few connections of their own: however many of them are asked for,
    /// they take none from the others. A statement whose caller has gone ends by the server's `statement_timeout`.
    #[must_use]
    pub fn apart(&self) -> Log {
        let read_timeout = self.settings.apart_timeout;
        let settings =
            Settings { max_connections: self.settings.apart_connections, read_timeout, ..self.settings };
        let pool = reading_pool(&self.options, settings, settings.max_connections);
        // The server ends a statement first, so that the connection is good for the next.
        let answer_timeout = read_timeout + Duration::from_secs(1);
        Log { settings, pool, answer_timeout, ..self.clone() }
    }

    /// Creates or updates the tables, and the role that nodes work as. Any number of nodes may do it at once.
    pub async fn migrate(&self) -> Result<(), Error> {
        migrate::log(self).await
    }

    /// Runs another crate's migrations under the same lock as the log's, as the user of the URL, in one
    /// transaction. Their list is kept in `<schema>.migrations`; the schema is created if it is missing. They
    /// name every schema, because the search path is empty. `rights` are tables and what
    /// [`RUNTIME_ROLE`](crate::RUNTIME_ROLE) may do with them, granted where that role exists and lacks them. Run
    /// [`Log::migrate`] first.
    pub async fn migrate_more(
        &self,
        migrations: sqlx::migrate::Migrator,
        schema: &'static str,
        rights: &'static [(&'static str, &'static str)],
    ) -> Result<(), Error> {
        migrate::more(self, migrations, schema, rights).await
    }

    /// The connections for reads. They have the rights of the runtime role: read everything, append, delete
    /// personal and sealed rows.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The same log, with faults for the writers and nodes that are made of it from now on.
    #[cfg(feature = "faults")]
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Log {
        Log { faults, ..self }
    }

    /// What a test may have planned.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A writer with a connection of its own.
    pub async fn writer(&self) -> Result<Writer, Error> {
        Writer::open(Arc::clone(&self.options), self.settings, self.faults.clone()).await
    }

    /// How far the log reaches now.
    pub async fn head(&self) -> Result<Head, Error> {
        let mut connection = self.acquire().await?;
        let result = timeout(self.read_ceiling(), pages::head(&mut connection)).await;
        finish(connection, result)
    }

    /// The commits that hold lifecycle lines, from a version on, in order: at most `limit` of them and about
    /// 8 MiB, never none while there is one. The page is complete and contiguous or an [`Error::Corrupt`].
    pub async fn lifecycle_from(&self, version: u64, limit: u32) -> Result<Vec<Commit>, Error> {
        let mut connection = self.acquire().await?;
        let reading = pages::lifecycle_from(&mut connection, version, None, limit);
        let result = timeout(self.read_ceiling(), reading).await;
        finish(connection, result)
    }

    /// The same for a follower who remembers the last lifecycle commit before that version (nil at the
    /// start): [`Error::WentBackwards`] if another one stands there now.
    pub async fn lifecycle_after(&self, version: u64, last: Uuid, limit: u32) -> Result<Vec<Commit>, Error> {
        let mut connection = self.acquire().await?;
        let reading = pages::lifecycle_from(&mut connection, version, Some(last), limit);
        let result = timeout(self.read_ceiling(), reading).await;
        finish(connection, result)
    }

    /// Every commit in order, beginning with the one that holds `position`: at most `limit` of them and about
    /// 8 MiB, never none while there is one. The page is complete and contiguous or an [`Error::Corrupt`].
    pub async fn commits_from(&self, position: u64, limit: u32) -> Result<Vec<Commit>, Error> {
        let mut connection = self.acquire().await?;
        let reading = pages::commits_from(&mut connection, position, None, limit);
        let result = timeout(self.read_ceiling(), reading).await;
        finish(connection, result)
    }

    /// The same for a follower who remembers the commit that ends at `size` (nil at the start):
    /// [`Error::WentBackwards`] if another one stands there now.
    pub async fn commits_after(&self, size: u64, last: Uuid, limit: u32) -> Result<Vec<Commit>, Error> {
        let mut connection = self.acquire().await?;
        let reading = pages::commits_from(&mut connection, size, Some(last), limit);
        let result = timeout(self.read_ceiling(), reading).await;
        finish(connection, result)
    }

    /// Where the commit with this id stands.
    pub async fn find_commit(&self, id: Uuid) -> Result<Option<Place>, Error> {
        let mut connection = self.acquire().await?;
        let result = timeout(self.read_ceiling(), pages::find_commit(&mut connection, id)).await;
        finish(connection, result)
    }

    /// The commit that ends exactly at `size`.
    pub async fn commit_before(&self, size: u64) -> Result<Option<Commit>, Error> {
        let mut connection = self.acquire().await?;
        let result = timeout(self.read_ceiling(), pages::commit_before(&mut connection, size)).await;
        finish(connection, result)
    }

    /// Runs a statement on a connection of the pool, and gives the rows of its answer. A server that falls silent
    /// is given up (as soon as one that does not answer a connection, unless by [`Log::apart`]), and the connection with it: in the pool it would
    /// be in everyone's way. That holds as well when the caller does not wait for the end.
    pub async fn run(
        &self,
        doing: &'static str,
        query: Query<'static, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, Error> {
        let log = self.clone();
        let running = tokio::spawn(async move {
            let mut connection = log.acquire().await?;
            let running = query.fetch_all(&mut *connection);
            let result = timeout(log.answer_timeout, running).await;
            finish(connection, result.map(|rows| rows.map_err(|error| Error::from_sqlx(doing, &error))))
        });
        let ended = || Error::Unavailable { doing, reason: "its task was ended".into() };
        running.await.unwrap_or_else(|_| Err(ended()))
    }

    /// How often this process has met a personal value that is not the one that its commitment was made of.
    pub fn altered_values(&self) -> u64 {
        self.altered.load(Relaxed)
    }

    /// A personal value was met that is not the one that its commitment was made of.
    pub(crate) fn met_altered(&self) {
        self.altered.fetch_add(1, Relaxed);
    }

    /// A checked connection as the user of the URL, outside the pool: for migrations and repairs.
    pub(crate) async fn own_connection(&self) -> Result<PgConnection, Error> {
        session::open(&self.options, &self.settings, Purpose::Own).await
    }

    /// A pool of one connection for whoever keeps it for good and must not take one from the readers.
    pub(crate) fn pool_of_one(&self) -> PgPool {
        reading_pool(&self.options, self.settings, 1)
    }

    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.pool.acquire().await.map_err(|error| Error::from_sqlx("taking a connection", &error))
    }

    /// The client's own limit, for a server or network that falls silent: a little more than the server's.
    fn read_ceiling(&self) -> Duration {
        self.settings.read_timeout + Duration::from_secs(1)
    }
}

/// The end of a read. A connection that fell silent must not go back to the pool.
fn finish<T>(
    mut connection: PoolConnection<Postgres>,
    result: Result<Result<T, Error>, Elapsed>,
) -> Result<T, Error> {
    result.unwrap_or_else(|_| {
        connection.close_on_drop();
        Err(Error::Unavailable { doing: "reading", reason: "the server did not answer in time".into() })
    })
}

/// The options hold a password, and their own `Debug` prints it.
impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("host", &self.options.get_host())
            .field("port", &self.options.get_port())
            .field("database", &self.options.get_database())
            .finish_non_exhaustive()
    }
}

fn reading_pool(options: &PgConnectOptions, settings: Settings, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(settings.connect_timeout)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                session::prepare(connection, &settings, Purpose::Read)
                    .await
                    .map_err(|error| sqlx::Error::Configuration(Box::new(error)))
            })
        })
        .connect_lazy_with(options.clone())
}

/// What the log cannot set and an operator may have chosen knowingly: said once, not refused.
async fn warn_about_durability(connection: &mut PgConnection) -> Result<(), Error> {
    let (fsync, full_page_writes): (String, String) =
        sqlx::query_as("SELECT current_setting('fsync'), current_setting('full_page_writes')")
            .fetch_one(connection)
            .await
            .map_err(|error| Error::from_sqlx("checking a connection", &error))?;
    if fsync != "on" || full_page_writes != "on" {
        tracing::warn!(
            fsync,
            full_page_writes,
            "the server can lose or tear acknowledged events in a crash: set fsync and full_page_writes to on"
        );
    }
    Ok(())
}
