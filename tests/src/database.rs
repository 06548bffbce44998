//! A database of one test, and the log in it as an auditor reads it.

use crate::cluster::{self, OWNER, POSTGRES, TEMPLATE};
use crate::wait::eventually_async;
use eventlog::{Log, personal};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use std::sync::atomic::{AtomicU32, Ordering};

/// A database with an empty, migrated log. Dropped with its value.
#[derive(Debug)]
pub struct Database {
    name: String,
}

/// One line of the log, as the view of events shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place.
    pub position: u64,
    /// Its type.
    pub kind: String,
    /// Its exact text.
    pub text: String,
    /// The same, read.
    pub line: Value,
}

impl Database {
    /// A new one.
    pub async fn new() -> Database {
        let name = fresh_name();
        let cluster = cluster::shared();
        let strategy = cluster.strategy;
        let create = format!("CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {TEMPLATE} {strategy}");
        let mut connection = connect(&cluster.options(POSTGRES, "postgres")).await;
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        connection.close().await.unwrap();
        Database { name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a node connects to it.
    pub fn options(&self) -> PgConnectOptions {
        cluster::shared().options(OWNER, &self.name)
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        let socket = cluster::shared().socket_dir();
        format!("postgres:///{}?host={}&user={OWNER}&sslmode=disable", self.name, socket.display())
    }

    /// The folder of the server's socket.
    pub fn socket_dir(&self) -> std::path::PathBuf {
        cluster::shared().socket_dir()
    }

    /// A connection that may do everything.
    pub async fn superuser(&self) -> PgConnection {
        connect(&cluster::shared().options(POSTGRES, &self.name)).await
    }

    /// The log, read by a connection of its own.
    pub async fn log(&self) -> Log {
        Log::connect(self.options(), 2).await.unwrap()
    }

    /// Runs one statement as the superuser.
    pub async fn execute(&self, sql: &str) {
        let mut connection = self.superuser().await;
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A copy of it as it is now, such as a backup that is restored later. Cuts off whoever is connected.
    pub async fn copy(&self) -> Database {
        let copy = Database { name: fresh_name() };
        let (name, from) = (&copy.name, &self.name);
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}'");
        let create = format!("CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {from}");
        let mut connection = connect(&cluster::shared().options(POSTGRES, "postgres")).await;
        eventually_async("nobody to be connected", async || {
            connection.execute(AssertSqlSafe(end.clone())).await.unwrap();
            connection.execute(AssertSqlSafe(create.clone())).await.ok()
        })
        .await;
        connection.close().await.unwrap();
        copy
    }

    /// Every line, in order. Fails on any hole, any repetition and any disagreement with the head.
    pub async fn entries(&self) -> Vec<Entry> {
        entries(&cluster::shared().options(POSTGRES, &self.name)).await
    }

    /// The lines from a position on.
    pub async fn entries_from(&self, position: u64) -> Vec<Entry> {
        self.entries().await.into_iter().filter(|entry| entry.position >= position).collect()
    }

    /// The number of lines.
    pub async fn size(&self) -> u64 {
        let mut connection = self.superuser().await;
        let size: i64 = sqlx::query_scalar("SELECT size FROM chancery.log_head")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        size.try_into().unwrap()
    }

    /// The personal value that a line's commitment stands for, after checking the commitment.
    pub async fn personal(&self, encoded: &str) -> (String, String) {
        let commitment = personal::decode_commitment(encoded).expect("a commitment");
        let mut connection = self.superuser().await;
        let (salt, kind, value): (Vec<u8>, String, String) =
            sqlx::query_as("SELECT salt, kind, value FROM chancery.personal WHERE commitment = $1")
                .bind(&commitment[..])
                .fetch_one(&mut connection)
                .await
                .unwrap();
        connection.close().await.unwrap();
        let known =
            [personal::Kind::Email, personal::Kind::Name, personal::Kind::Address, personal::Kind::Agent];
        let kind = known.into_iter().find(|known| known.name() == kind).expect("a known kind");
        let made = personal::commitment(&salt.try_into().unwrap(), kind, &value);
        assert_eq!(made, commitment, "the commitment is to this value");
        (kind.name().to_owned(), value)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let options = cluster::shared().options(POSTGRES, "postgres");
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        cluster::shared().spawn(async move {
            // Only to keep the disk small: the cluster goes with the process.
            if let Ok(mut connection) = options.connect().await {
                let _ = connection.execute(AssertSqlSafe(statement)).await;
            }
        });
    }
}

impl Entry {
    /// Whether it records a use rather than a change.
    pub fn is_use(&self) -> bool {
        matches!(self.kind.as_str(), "TokenUsed" | "TokenRefused" | "AdminTokenUsed")
    }

    /// A value inside it, by JSON pointer; null where there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        self.line.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// A text inside it; empty where there is none.
    pub fn text_at(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }
}

fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Every line of the log in some database, in order. Fails on any hole, any repetition and any disagreement with the
/// head.
pub async fn entries(database: &PgConnectOptions) -> Vec<Entry> {
    let mut connection = connect(database).await;
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT position, type, line FROM chancery.events ORDER BY position")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let (size, version): (i64, i64) = sqlx::query_as("SELECT size, version FROM chancery.log_head")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let entries: Vec<Entry> = rows.into_iter().map(entry).collect();
    let positions: Vec<u64> = entries.iter().map(|entry| entry.position).collect();
    assert_eq!(positions, (0..entries.len() as u64).collect::<Vec<_>>(), "positions without a hole");
    let lifecycle = entries.iter().filter(|entry| !entry.is_use()).count() as i64;
    // The two reads are two snapshots: the head may have moved on between them, never back.
    assert!(size >= entries.len() as i64 && version >= lifecycle, "the head knows every line");
    entries
}

pub(crate) async fn connect(options: &PgConnectOptions) -> PgConnection {
    options.clone().disable_statement_logging().connect().await.unwrap()
}

fn entry((position, kind, text): (i64, String, String)) -> Entry {
    let line = serde_json::from_str(&text).unwrap();
    Entry { position: position.try_into().unwrap(), kind, text, line }
}
