//! One throw-away Postgres for the whole test process, and the migrated template that databases are copied from.

use crate::database::connect;
use eventlog::Log;
use eventlog::private::{self, Options, PrivatePostgres};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use tokio::runtime::Runtime;

/// The cluster's superuser.
pub const POSTGRES: &str = "postgres";
/// The role that owns databases, as the one of a private Postgres does.
pub(crate) const OWNER: &str = "chancery";
/// The migrated database.
pub(crate) const TEMPLATE: &str = "template_chancery";

/// A running server. It lives as long as the process.
pub(crate) struct Cluster {
    runtime: Runtime,
    postgres: PrivatePostgres,
    binaries: PathBuf,
    /// `STRATEGY file_copy`, where the server knows it: copying files is quicker than logging every page.
    pub(crate) strategy: &'static str,
    /// Ends when its standard input does, which comes however this process ends.
    _sweeper: Child,
}

/// Waits for the server to end, as it does with this process, and removes what it leaves.
const SWEEPER: &str = r#"
trap '' INT TERM HUP
read -r _
while kill -0 "$SERVER" 2>/dev/null; do sleep 0.1; done
rm -rf "$FOLDER"
rmdir "$SOCKET" 2>/dev/null
"#;

/// The process's cluster, started by whoever asks first.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    // On a thread of its own, because a runtime cannot be blocked on inside another.
    SHARED.get_or_init(|| std::thread::spawn(Cluster::start).join().expect("the cluster starts"))
}

impl Cluster {
    fn start() -> Cluster {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::Builder::new().prefix("chancery-tests-").tempdir().unwrap().keep();
        let (postgres, binaries, strategy) = runtime.block_on(async {
            let binaries = private::find_or_install(None, |_| ()).await.unwrap();
            let settings = [
                ("max_connections", "400"),
                ("shared_buffers", "64MB"),
                ("autovacuum", "off"),
                ("max_wal_size", "256MB"),
            ];
            let options = Options {
                durable: false,
                bin_dir: Some(binaries.clone()),
                settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                ..Options::new(&folder)
            };
            let postgres = PrivatePostgres::start(options).await.unwrap();
            let strategy = prepare(&postgres).await;
            (postgres, binaries, strategy)
        });
        let sweeper = Command::new("sh")
            .args(["-c", SWEEPER])
            .env("SERVER", postgres.pid().unwrap().to_string())
            .env("FOLDER", &folder)
            .env("SOCKET", postgres.socket_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Cluster { runtime, postgres, binaries, strategy, _sweeper: sweeper }
    }

    /// How to connect to one of its databases.
    pub(crate) fn options(&self, role: &str, database: &str) -> PgConnectOptions {
        options(&self.postgres, role, database)
    }

    /// The folder of its socket.
    pub(crate) fn socket_dir(&self) -> PathBuf {
        self.postgres.socket_dir().to_owned()
    }

    /// Runs something that outlives the test that asks for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

/// A program of the server's own version, such as `pg_dump`.
pub fn postgres_program(name: &str) -> PathBuf {
    shared().binaries.join(name)
}

fn options(postgres: &PrivatePostgres, role: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(postgres.socket_dir())
        .port(5432)
        .username(role)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

/// Makes the template, and finds out how databases are best copied.
async fn prepare(postgres: &PrivatePostgres) -> &'static str {
    let mut connection = connect(&options(postgres, POSTGRES, "postgres")).await;
    let create = format!("CREATE DATABASE {TEMPLATE} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8'");
    connection.execute(AssertSqlSafe(create)).await.unwrap();
    let log = Log::connect(options(postgres, OWNER, TEMPLATE), 1).await.unwrap();
    log.migrate().await.unwrap();
    log.pool().close().await;
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::int")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    if version >= 150_000 { "STRATEGY file_copy" } else { "" }
}
