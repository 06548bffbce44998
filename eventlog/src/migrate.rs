//! Creates and updates the tables, once, however many nodes start at once, and the role that nodes work as.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::error::{describe, sqlstate};
use crate::{Error, Log, session};

const DOING: &str = "migrating";

/// A table, and what the runtime role may do with it.
pub(crate) type Right = (&'static str, &'static str);

/// What the runtime role may do, and no more. Appending never updates a commit, so the role may not either.
const RIGHTS: &[Right] = &[
    ("chancery.commits", "SELECT, INSERT"),
    ("chancery.log_head", "SELECT, UPDATE"),
    ("chancery.personal", "SELECT, INSERT, DELETE"),
    ("chancery.sealed", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery.shared_keys", "SELECT, INSERT"),
    ("chancery.tree", "SELECT, UPDATE"),
    ("chancery.tiles", "SELECT, INSERT, UPDATE, DELETE"),
    ("chancery.checkpoints", "SELECT, INSERT, UPDATE"),
    ("chancery.events", "SELECT"),
    ("chancery.migrations", "SELECT"),
];

/// The log's own migrations and the rights of the runtime role on its tables.
pub(crate) async fn log(log: &Log) -> Result<(), Error> {
    let mut connection = log.own_connection().await?;
    let rights = if ensure_role(&mut connection).await? { RIGHTS } else { &[] };
    let result = run(&mut connection, sqlx::migrate!("./migrations"), "chancery", rights).await;
    session::close(connection).await;
    result
}

/// Another crate's migrations, under the same lock, and the rights that the runtime role needs on its tables.
pub(crate) async fn more(
    log: &Log,
    migrations: Migrator,
    schema: &'static str,
    rights: &'static [Right],
) -> Result<(), Error> {
    let mut connection = log.own_connection().await?;
    let (exists, _) = role_state(&mut connection).await.map_err(failed)?;
    let result = run(&mut connection, migrations, schema, if exists { rights } else { &[] }).await;
    session::close(connection).await;
    result
}

/// All in one transaction that holds a table's lock: a second node waits, and then finds nothing to do; a
/// node that dies half-way leaves nothing behind. Inside it, sqlx's own transactions are savepoints; its
/// locking, which is an advisory lock, is switched off.
async fn run(
    connection: &mut PgConnection,
    mut migrations: Migrator,
    schema: &'static str,
    rights: &[Right],
) -> Result<(), Error> {
    migrations.set_locking(false);
    migrations.dangerous_set_table_name(format!("{schema}.migrations"));
    if nothing_to_do(connection, &migrations, schema).await?
        && missing_rights(connection, schema, rights).await.map_err(failed)?.is_empty()
    {
        return Ok(());
    }
    create_lock(connection).await?;
    create_schema(connection, schema).await?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    sqlx::query("LOCK TABLE chancery.migration_lock IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    // Hidden from sqlx's documentation, but `run` makes a future that is not Send.
    migrations.run_direct(None, &mut *transaction, false).await.map_err(migration_failed)?;
    grant_rights(&mut transaction, schema, rights).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Whether the database is as these migrations leave it. Then no right to change it is needed: the tables may
/// have been made by somebody else. A list that differs is left for sqlx to judge.
async fn nothing_to_do(
    connection: &mut PgConnection,
    migrations: &Migrator,
    schema: &str,
) -> Result<bool, Error> {
    let list = format!("{schema}.migrations");
    let readable: Option<bool> = sqlx::query_scalar(
        "SELECT has_table_privilege(to_regclass($1), 'SELECT') AND to_regclass($1) IS NOT NULL",
    )
    .bind(&list)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    if readable != Some(true) {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as(AssertSqlSafe(format!("SELECT version, checksum FROM {list} ORDER BY version")))
            .fetch_all(connection)
            .await
            .map_err(failed)?;
    let known = migrations.iter().map(|migration| (migration.version, migration.checksum.as_ref()));
    Ok(known.eq(applied.iter().map(|(version, checksum)| (*version, &checksum[..]))))
}

/// `IF NOT EXISTS` does not help two sessions that create the same thing at once: one of them meets a unique
/// violation in the catalogue. The second try finds it there.
async fn create_lock(connection: &mut PgConnection) -> Result<(), Error> {
    create_schema(connection, "chancery").await?;
    again_if_raced(connection, "CREATE TABLE IF NOT EXISTS chancery.migration_lock ()".into()).await
}

/// Looks first, because creating a schema asks for the right to even when it exists.
async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), Error> {
    let exists: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if exists {
        return Ok(());
    }
    again_if_raced(connection, format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await
}

async fn again_if_raced(connection: &mut PgConnection, statement: String) -> Result<(), Error> {
    let mut pause = Duration::from_millis(10);
    loop {
        match sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) if raced(&error) && pause < Duration::from_secs(2) => tokio::time::sleep(pause).await,
            Err(error) => return Err(failed(error)),
        }
        pause *= 2;
    }
}

/// Unique violation, duplicate object, duplicate schema, duplicate table, or "tuple concurrently updated",
/// which Postgres reports as an internal error.
fn raced(error: &sqlx::Error) -> bool {
    match sqlstate(error) {
        Some("23505" | "42710" | "42P06" | "42P07") => true,
        Some("XX000") => describe(error).contains("concurrently"),
        _ => false,
    }
}

/// Creates the runtime role and makes the current user a member, if it may. Roles are the cluster's, and
/// nodes of other databases may be doing the same: each step looks before it changes anything, and looks
/// again after a race.
async fn ensure_role(connection: &mut PgConnection) -> Result<bool, Error> {
    for _ in 0..10 {
        let (exists, member) = role_state(connection).await.map_err(failed)?;
        let statement = match (exists, member) {
            (true, true) => return Ok(true),
            (true, false) => "GRANT chancery_runtime TO CURRENT_USER",
            (false, _) => "CREATE ROLE chancery_runtime NOLOGIN",
        };
        match sqlx::query(statement).execute(&mut *connection).await {
            Ok(_) => {}
            Err(error) if raced(&error) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => {
                tracing::warn!(
                    reason = describe(&error),
                    "no role chancery_runtime: nodes work with all rights of the database's user. Let a \
                     superuser run: CREATE ROLE chancery_runtime; GRANT chancery_runtime TO that user; and start again"
                );
                return Ok(exists);
            }
        }
    }
    Ok(false)
}

/// Whether the role exists, and whether the current user may take it.
async fn role_state(connection: &mut PgConnection) -> Result<(bool, bool), sqlx::Error> {
    sqlx::query_as(
        "SELECT count(*) > 0,
                coalesce(bool_or(pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int4 >= 160000
                                                       THEN 'SET' ELSE 'MEMBER' END)), false)
         FROM pg_catalog.pg_roles WHERE rolname = 'chancery_runtime'",
    )
    .fetch_one(connection)
    .await
}

/// Grants what is missing, and writes nothing when nothing is.
async fn grant_rights(
    connection: &mut PgConnection,
    schema: &str,
    rights: &[Right],
) -> Result<(), sqlx::Error> {
    for grant in missing_rights(connection, schema, rights).await? {
        sqlx::query(AssertSqlSafe(grant)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The statements that would grant what the runtime role lacks. Fails when the tables are not there yet.
async fn missing_rights(
    connection: &mut PgConnection,
    schema: &str,
    rights: &[Right],
) -> Result<Vec<String>, sqlx::Error> {
    let mut missing = Vec::new();
    if rights.is_empty() {
        return Ok(missing);
    }
    let usage: bool = sqlx::query_scalar("SELECT has_schema_privilege('chancery_runtime', $1, 'USAGE')")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !usage {
        missing.push(format!("GRANT USAGE ON SCHEMA {schema} TO chancery_runtime"));
    }
    for (table, rights) in rights {
        // Asked about a list of rights, Postgres says whether any of them is there; so each is asked for.
        let complete: bool = sqlx::query_scalar(
            "SELECT bool_and(has_table_privilege('chancery_runtime', $1, privilege))
             FROM unnest(string_to_array($2, ', ')) AS privilege",
        )
        .bind(table)
        .bind(rights)
        .fetch_one(&mut *connection)
        .await?;
        if !complete {
            missing.push(format!("GRANT {rights} ON {table} TO chancery_runtime"));
        }
    }
    Ok(missing)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn failed(error: sqlx::Error) -> Error {
    Error::from_sqlx(DOING, &error)
}

fn migration_failed(error: MigrateError) -> Error {
    match error {
        MigrateError::VersionMissing(version) => Error::Unsupported {
            found: format!("the database holds migration {version}, which this program does not know"),
            needed: "start a version of it that is at least as new as the one that was here last".into(),
        },
        MigrateError::VersionMismatch(version) => Error::Unsupported {
            found: format!("migration {version} of the database is not the one that this program has"),
            needed: "start the version of it that made the database".into(),
        },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(error),
        other => Error::Refused { doing: DOING, reason: other.to_string() },
    }
}
