//! What the database itself refuses, and what a connection insists on.

use eventlog::{Condition, Error, Log, Random};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::support::cluster::empty_database;
use crate::support::{append, database, draft};

async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    match connection.execute(AssertSqlSafe(statement.to_owned())).await {
        Ok(_) => panic!("{statement} was not refused"),
        Err(error) => error.to_string(),
    }
}

const CHANGES: [&str; 6] = [
    "UPDATE chancery.commits SET lines = 'x'",
    "UPDATE chancery.commits SET count = 1 WHERE false",
    "DELETE FROM chancery.commits",
    "TRUNCATE chancery.commits",
    "DELETE FROM chancery.log_head",
    "TRUNCATE chancery.log_head",
];

#[tokio::test]
async fn nobody_changes_the_log() {
    let database = database().await;
    let log = database.log().await;
    append(&mut log.writer().await.unwrap(), &Random::seeded(1), 2, 1).await;

    let (mut owner, mut superuser) = (database.owner().await, database.superuser().await);
    for change in CHANGES {
        assert!(refusal(&mut owner, change).await.contains("append-only"), "the owner: {change}");
        assert!(refusal(&mut superuser, change).await.contains("append-only"), "a superuser: {change}");
    }
    // Switching triggers off for replication does not switch these off.
    superuser.execute("SET session_replication_role = replica").await.unwrap();
    for change in CHANGES {
        assert!(refusal(&mut superuser, change).await.contains("append-only"), "as a replica: {change}");
    }
    let mut node = log.pool().acquire().await.unwrap();
    for change in CHANGES.iter().chain(&[
        "DROP TABLE chancery.commits",
        "ALTER TABLE chancery.commits DISABLE TRIGGER ALL",
        "UPDATE chancery.personal SET value = 'x'",
    ]) {
        let refused = refusal(&mut node, change).await;
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{refused}");
    }
    let upsert = "INSERT INTO chancery.commits SELECT * FROM chancery.commits
                  ON CONFLICT (first) DO UPDATE SET lines = 'x'";
    assert!(refusal(&mut owner, upsert).await.contains("append-only"));
    assert_eq!(log.head().await.unwrap().size, 2);
}

#[tokio::test]
async fn impossible_commits_are_refused_by_the_table() {
    let database = database().await;
    let mut owner = database.owner().await;
    for values in ["0, 0, now(), 0, 0", "0, 0, now(), 1, 2", "-1, 0, now(), 1, 0", "0, 1, now(), 1, 0"] {
        let insert = format!(
            "INSERT INTO chancery.commits (first, version, committed_at, count, lifecycle, id, lines)
             VALUES ({values}, '00000000-0000-0000-0000-000000000001', 'x')"
        );
        assert!(refusal(&mut owner, &insert).await.contains("check constraint"), "{values}");
    }
}

#[tokio::test]
async fn a_connection_has_the_settings_that_correctness_rests_on_and_few_rights() {
    let database = database().await;
    let mut superuser = database.superuser().await;
    for setting in [
        "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'",
        "TimeZone = 'Asia/Tokyo'",
        "search_path = 'nowhere'",
        "idle_session_timeout = '30s'",
    ] {
        let alter = format!("ALTER DATABASE {} SET {setting}", database.name);
        superuser.execute(AssertSqlSafe(alter)).await.unwrap();
    }
    let log = database.log().await;
    for (setting, expected) in [
        ("synchronous_commit", "on"),
        ("default_transaction_isolation", "read committed"),
        ("TimeZone", "UTC"),
        ("client_encoding", "UTF8"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "8s"),
        ("idle_session_timeout", "0"),
        ("role", "chancery_runtime"),
    ] {
        let found: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(log.pool())
            .await
            .unwrap();
        assert_eq!(found, expected, "{setting}");
    }
    append(&mut log.writer().await.unwrap(), &Random::seeded(2), 1, 1).await;
}

#[tokio::test]
async fn another_encoding_is_refused_with_what_to_do() {
    let database = empty_database("ENCODING 'SQL_ASCII' TEMPLATE template0").await;
    let error = Log::connect(database.options(), 1).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(
        error.to_string().contains("SQL_ASCII") && error.to_string().contains("ENCODING 'UTF8'"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_without_the_tables_says_so() {
    let log = empty_database("").await.log().await;
    let error = log.head().await.unwrap_err();
    assert!(error.to_string().contains("run the migrations first"), "{error}");
    assert!(log.writer().await.unwrap_err().to_string().contains("run the migrations first"));
}

#[tokio::test]
async fn a_read_only_database_is_unavailable_and_recovers() {
    let database = database().await;
    let random = Random::seeded(3);
    let log = database.log().await;
    let mut superuser = database.superuser().await;
    let alter = |value| AssertSqlSafe(format!("ALTER DATABASE {} SET {value}", database.name));
    superuser.execute(alter("default_transaction_read_only = on")).await.unwrap();
    let mut writer = log.writer().await.unwrap();
    let draft = draft(&random, 1, 0);
    let error = writer.append(&draft, Condition::Always).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    superuser.execute(alter("default_transaction_read_only = off")).await.unwrap();
    superuser.close().await.unwrap();
    crate::support::place(writer.append(&draft, Condition::Always).await);
}

#[tokio::test]
async fn no_message_shows_the_password() {
    let database = database().await;
    let options = database.options().password("hunter2secret");
    let log = Log::connect(options.clone(), 1).await.unwrap();
    let missing = Log::connect(options.clone().database("nowhere"), 1).await.unwrap_err();
    let unknown = Log::connect(options.clone().username("nobody_here"), 1).await.unwrap_err();
    let away = Log::connect(options.socket("/tmp/no/such/folder"), 1).await.unwrap_err();
    assert!(matches!(missing, Error::Refused { .. }), "{missing}");
    assert!(matches!(unknown, Error::Refused { .. }), "{unknown}");
    assert!(matches!(away, Error::Unavailable { .. }), "{away}");
    let shown = format!(
        "{log:?} {:?} {missing} {missing:?} {unknown:?} {away} {away:?}",
        log.writer().await.unwrap()
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}
