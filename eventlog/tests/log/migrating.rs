//! Creating the tables: once, whoever comes first, and with few rights for the nodes.

use std::borrow::Cow;

use eventlog::{Error, Log, Random};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::support::cluster::{Cluster, OWNER, empty_database};
use crate::support::{append, database};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_database_all_succeed() {
    let database = empty_database("").await;
    let mut nodes = Vec::new();
    for _ in 0..6 {
        let log = database.log().await;
        nodes.push(tokio::spawn(async move { log.migrate().await.map(|()| log) }));
    }
    let random = Random::seeded(1);
    for node in nodes {
        let log = node.await.unwrap().unwrap();
        append(&mut log.writer().await.unwrap(), &random, 1, 1).await;
    }
    assert_eq!(database.log().await.head().await.unwrap().size, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_one_new_cluster_share_the_role_without_a_race() {
    let cluster = Cluster::start().await;
    let mut superuser = cluster.superuser("postgres").await;
    superuser.execute("CREATE ROLE plain LOGIN").await.unwrap();
    let mut nodes = Vec::new();
    for number in 0..6 {
        // The last one's user may not create roles: it works as the owner, whether the role is there or not.
        let owner = if number == 5 { "plain" } else { OWNER };
        superuser
            .execute(AssertSqlSafe(format!("CREATE DATABASE at_once_{number} OWNER {owner}")))
            .await
            .unwrap();
        let log = Log::connect(cluster.options(owner, &format!("at_once_{number}")), 1).await.unwrap();
        nodes.push((owner, tokio::spawn(async move { log.migrate().await.map(|()| log) })));
    }
    for (owner, node) in nodes {
        let log = node.await.unwrap().unwrap();
        log.migrate().await.unwrap();
        append(&mut log.writer().await.unwrap(), &Random::seeded(2), 1, 1).await;
        let role: String =
            sqlx::query_scalar("SELECT current_user::text").fetch_one(log.pool()).await.unwrap();
        assert_eq!(role, if owner == OWNER { "chancery_runtime" } else { "plain" });
    }
}

#[tokio::test]
async fn a_user_with_the_runtime_role_alone_may_run_a_node_on_a_migrated_database() {
    let database = database().await;
    let mut superuser = database.superuser().await;
    let random = Random::seeded(3);
    for inherit in ["INHERIT", "NOINHERIT"] {
        let user = format!("node_{inherit}_of_{}", database.name).to_lowercase();
        superuser
            .execute(AssertSqlSafe(format!(
                "CREATE ROLE {user} LOGIN {inherit}; GRANT chancery_runtime TO {user}"
            )))
            .await
            .unwrap();
        let log = Log::connect(database.cluster.options(&user, &database.name), 1).await.unwrap();
        append(&mut log.writer().await.unwrap(), &random, 1, 1).await;
    }
    let user = format!("node_inherit_of_{}", database.name);
    let log = Log::connect(database.cluster.options(&user, &database.name), 1).await.unwrap();
    log.migrate().await.unwrap();
    assert_eq!(log.head().await.unwrap().size, 2);
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let database = database().await;
    let mut owner = database.owner().await;
    owner
        .execute(
            "INSERT INTO chancery.migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'of tomorrow', true, '', 0)",
        )
        .await
        .unwrap();
    let error = database.log().await.migrate().await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("9999"), "{error}");
}

fn reports() -> Migrator {
    let sql = "CREATE TABLE reports.seen (position int8)";
    Migrator::with_migrations(vec![Migration::new(
        1,
        Cow::Borrowed("seen"),
        MigrationType::Simple,
        sql.into_sql_str(),
        false,
    )])
}

#[tokio::test]
async fn other_crates_migrate_into_schemas_of_their_own() {
    let database = database().await;
    let log = database.log().await;
    let (one, two) = tokio::join!(
        log.migrate_more(reports(), "reports", &[]),
        log.migrate_more(reports(), "reports", &[])
    );
    assert_eq!((one, two), (Ok(()), Ok(())));
    let mut owner = database.owner().await;
    owner.execute("INSERT INTO reports.seen SELECT version FROM reports.migrations").await.unwrap();
    log.migrate().await.unwrap();
}
