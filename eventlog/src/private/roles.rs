//! When the server is ready, and the role and the database that the node works with.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use std::path::Path;

/// The cluster's superuser, for preparing it and for a person's `psql`.
pub(super) const SUPERUSER: &str = "postgres";

/// The role that owns the database, and the database's own name.
pub(super) const OWNER: &str = "chancery";

/// How to connect to a database over the socket, taking nothing that matters from `PG*` variables.
pub(super) fn connect_options(socket_dir: &Path, role: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(super::socket::PORT)
        .username(role)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

/// Connects as the superuser and has a real query answered.
pub(super) async fn greet(socket_dir: &Path) -> Result<PgConnection, sqlx::Error> {
    let options = connect_options(socket_dir, SUPERUSER, "postgres").disable_statement_logging();
    let mut connection = PgConnection::connect_with(&options).await?;
    sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&mut connection).await?;
    Ok(connection)
}

/// Whether the server only says that it is still starting (SQLSTATE 57P03), as it does through crash recovery.
pub(super) fn is_starting(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "57P03")
}

/// Makes the role and the database where they are missing. Every statement may have been done by an earlier start.
pub(super) async fn prepare(mut connection: PgConnection) -> Result<(), sqlx::Error> {
    if !exists(&mut connection, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chancery')").await? {
        // CREATEROLE, so that migrations can make the runtime role that owns nothing.
        run(&mut connection, "CREATE ROLE chancery LOGIN CREATEROLE").await?;
    }
    if !exists(&mut connection, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'chancery')").await? {
        run(&mut connection, "CREATE DATABASE chancery OWNER chancery TEMPLATE template0 ENCODING 'UTF8'")
            .await?;
    }
    // The values in a failed statement stay out of the log file: they may be personal.
    run(&mut connection, "ALTER DATABASE chancery SET log_error_verbosity = 'terse'").await?;
    run(&mut connection, "ALTER DATABASE chancery SET log_min_error_statement = 'panic'").await?;
    let version = "SELECT current_setting('server_version_num')::int >= 160000";
    if exists(&mut connection, version).await? {
        // From 16 on, who creates a role may otherwise neither take it on nor use what it was granted.
        run(&mut connection, "ALTER ROLE chancery SET createrole_self_grant = 'set, inherit'").await?;
    }
    connection.close().await
}

async fn exists(connection: &mut PgConnection, question: &'static str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(question).fetch_one(connection).await
}

async fn run(connection: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(statement).execute(connection).await.map(drop)
}
