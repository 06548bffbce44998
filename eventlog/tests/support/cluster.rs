//! A throw-away Postgres of the test run's own, which ends with it, and a database of its own for each test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use eventlog::Log;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

/// The user whom nodes connect as: owns the databases and may create roles, but is no superuser.
pub(crate) const OWNER: &str = "authority";

/// A running server.
pub(crate) struct Cluster {
    folder: PathBuf,
    watchdog: Mutex<Child>,
}

/// Starts the server, restarts it with a signal for each line on its standard input, and at the end of that,
/// which comes however this process ends, stops it and removes its files.
const WATCHDOG: &str = r#"
trap '' INT
start() { "$@" -D "$FOLDER/data" -k "$FOLDER" -c listen_addresses= -c fsync=off -c max_connections=200 \
    >>"$FOLDER/log" 2>&1 & pid=$!; }
start "$@"
while read -r signal; do kill "-$signal" "$pid"; wait "$pid"; start "$@"; done
kill -QUIT "$pid"; wait "$pid"; rm -rf "$FOLDER"
"#;

impl Cluster {
    /// A new one, ready for queries.
    pub(crate) async fn start() -> Cluster {
        let folder = tempfile::Builder::new().prefix("elog").tempdir_in("/tmp").unwrap().keep();
        let binaries = binaries();
        if is_root() {
            // Postgres refuses to run as root.
            run(Command::new("chown").arg("postgres:").arg(&folder));
        }
        let initdb = binaries.join("initdb");
        run(unprivileged(&initdb)
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"])
            .stdout(Stdio::null()));
        let postgres = unprivileged(&binaries.join("postgres"));
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let cluster = Cluster { folder, watchdog: Mutex::new(watchdog) };
        let mut connection = cluster.superuser("postgres").await;
        connection.execute("CREATE ROLE authority LOGIN CREATEROLE CREATEDB").await.unwrap();
        connection.close().await.unwrap();
        cluster
    }

    /// Stops the server with a signal and starts it again, without waiting for it.
    pub(crate) fn restart(&self, signal: &str) {
        let mut watchdog = self.watchdog.lock().unwrap();
        writeln!(watchdog.stdin.as_mut().unwrap(), "{signal}").unwrap();
    }

    /// How to connect to one of its databases.
    pub(crate) fn options(&self, user: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.folder)
            .port(5432)
            .username(user)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// The socket's file.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// A connection that may do everything; waits for the server to be ready.
    pub(crate) async fn superuser(&self, database: &str) -> PgConnection {
        for _ in 0..600 {
            if let Ok(connection) = self.options("postgres", database).connect().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut watchdog = self.watchdog.lock().unwrap();
        drop(watchdog.stdin.take());
        watchdog.wait().unwrap();
    }
}

/// A database of one test.
pub(crate) struct Database {
    pub(crate) cluster: &'static Cluster,
    pub(crate) name: String,
}

impl Database {
    /// How a node connects to it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.cluster.options(OWNER, &self.name)
    }

    /// The log in it.
    pub(crate) async fn log(&self) -> Log {
        Log::connect(self.options(), 4).await.unwrap()
    }

    /// A connection that may do everything in it.
    pub(crate) async fn superuser(&self) -> PgConnection {
        self.cluster.superuser(&self.name).await
    }

    /// A connection as the user of the URL.
    pub(crate) async fn owner(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }

    /// What somebody with all rights and bad intentions, or a broken disk, might do.
    pub(crate) async fn tamper(&self, statements: &str) {
        let mut connection = self.superuser().await;
        connection
            .execute(AssertSqlSafe(format!(
                "BEGIN; ALTER TABLE chancery.commits DISABLE TRIGGER USER; {statements}; COMMIT"
            )))
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

/// The server that all tests share. It lives in a static, which is never dropped: the watchdog notices the
/// end.
pub(crate) async fn shared() -> &'static Cluster {
    static SHARED: tokio::sync::OnceCell<Cluster> = tokio::sync::OnceCell::const_new();
    SHARED.get_or_init(Cluster::start).await
}

/// A migrated database, copied from a template.
pub(crate) async fn database() -> Database {
    static TEMPLATE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let cluster = shared().await;
    TEMPLATE
        .get_or_init(async || {
            create(cluster, "template_log", "").await;
            let log = Log::connect(cluster.options(OWNER, "template_log"), 1).await.unwrap();
            log.migrate().await.unwrap();
            log.pool().close().await;
        })
        .await;
    let name = fresh_name();
    create(cluster, &name, "TEMPLATE template_log").await;
    Database { cluster, name }
}

/// A database without anything in it.
pub(crate) async fn empty_database(options: &str) -> Database {
    let cluster = shared().await;
    let name = fresh_name();
    create(cluster, &name, options).await;
    Database { cluster, name }
}

async fn create(cluster: &Cluster, name: &str, options: &str) {
    let mut connection = cluster.superuser("postgres").await;
    let version: String =
        sqlx::query_scalar("SHOW server_version_num").fetch_one(&mut connection).await.unwrap();
    let copying = options.contains("TEMPLATE template_log") && version.parse::<u32>().unwrap() >= 150_000;
    let strategy = if copying { "STRATEGY file_copy" } else { "" };
    let create = format!("CREATE DATABASE {name} OWNER authority {options} {strategy}");
    connection.execute(AssertSqlSafe(create)).await.unwrap();
    connection.close().await.unwrap();
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The newest installed server.
fn binaries() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let output = Command::new("sh")
            .args(["-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1; pg_config --bindir"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(PathBuf::from)
            .find(|folder| folder.join("initdb").exists())
            .expect("Postgres is installed")
    })
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
