//! What every connection sets, and checks, before it may touch the log: the settings that correctness rests
//! on.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};

use crate::Error;
use crate::log::Settings;

/// The role without any right but appending and reading. The owner creates it; every node works as it.
pub const RUNTIME_ROLE: &str = "chancery_runtime";

/// What a connection is for: the time its statements may take, and whose rights it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reading, from the pool.
    Read,
    /// Appending: shorter, because everyone else waits behind the head's row lock.
    Append,
    /// Migrating: as the user of the URL, and as long as it takes.
    Own,
}

/// Postgres 14, the first with per-column lz4 compression and `client_connection_check_interval`.
const OLDEST_SERVER: i32 = 140_000;

/// A checked connection of its own.
pub(crate) async fn open(
    options: &PgConnectOptions,
    settings: &Settings,
    purpose: Purpose,
) -> Result<PgConnection, Error> {
    let opening = async {
        let mut connection =
            options.connect().await.map_err(|error| Error::from_sqlx("connecting", &error))?;
        prepare(&mut connection, settings, purpose).await?;
        Ok(connection)
    };
    match tokio::time::timeout(settings.connect_timeout, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Error::Unavailable {
            doing: "connecting",
            reason: format!("no answer within {} ms", settings.connect_timeout.as_millis()),
        }),
    }
}

/// Sets and checks one connection. Run on every connection, of the pool or not.
pub(crate) async fn prepare(
    connection: &mut PgConnection,
    settings: &Settings,
    purpose: Purpose,
) -> Result<(), Error> {
    configure(connection, settings, purpose).await?;
    let runtime_role = check(connection).await?;
    if runtime_role && purpose != Purpose::Own {
        sqlx::query("SET ROLE chancery_runtime")
            .execute(&mut *connection)
            .await
            .map_err(|error| Error::from_sqlx("taking the runtime role", &error))?;
    }
    Ok(())
}

/// Closes a connection politely, without waiting for a server that no longer answers.
pub(crate) async fn close(connection: PgConnection) {
    // It does not matter how the connection ends: nothing is under way on it.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
}

/// Whether the server at the other end of a silent connection still answers.
pub(crate) async fn ping(listener: &mut sqlx::postgres::PgListener) -> Result<(), sqlx::Error> {
    match tokio::time::timeout(Duration::from_secs(5), sqlx::query("SELECT 1").execute(listener)).await {
        Ok(result) => result.map(|_| ()),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// One statement for all settings. `set_config` rather than startup options, which connection poolers refuse.
///
/// The keepalives let the server notice a vanished client, and so free the head's row lock, within 15
/// seconds.
async fn configure(
    connection: &mut PgConnection,
    settings: &Settings,
    purpose: Purpose,
) -> Result<(), Error> {
    let (statement_timeout, lock_timeout) = match purpose {
        Purpose::Read => (settings.read_timeout, settings.lock_timeout),
        Purpose::Append => (settings.append_timeout, settings.lock_timeout),
        Purpose::Own => (Duration::ZERO, settings.migration_patience),
    };
    sqlx::query(
        "SELECT set_config('search_path', 'pg_catalog, pg_temp', false),
                set_config('default_transaction_isolation', 'read committed', false),
                set_config('client_encoding', 'UTF8', false),
                set_config('TimeZone', 'UTC', false),
                set_config('statement_timeout', $1, false),
                set_config('lock_timeout', $2, false),
                set_config('idle_in_transaction_session_timeout', '60s', false),
                set_config('idle_session_timeout', '0', false),
                set_config('tcp_keepalives_idle', '5', false),
                set_config('tcp_keepalives_interval', '2', false),
                set_config('tcp_keepalives_count', '5', false),
                set_config('tcp_user_timeout', '15000', false),
                set_config('synchronous_commit',
                           CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply')
                                THEN current_setting('synchronous_commit') ELSE 'on' END, false)",
    )
    .persistent(false)
    .bind(statement_timeout.as_millis().to_string())
    .bind(lock_timeout.as_millis().to_string())
    .execute(connection)
    .await
    .map_err(|error| unsupported_server(&error))?;
    Ok(())
}

/// A server before 14 does not know all settings: say so, rather than which one it did not know.
fn unsupported_server(error: &sqlx::Error) -> Error {
    match crate::error::sqlstate(error) {
        Some("42704") => Error::Unsupported {
            found: format!("the server does not know a setting: {}", crate::error::describe(error)),
            needed: "use Postgres 14 or later".into(),
        },
        _ => Error::from_sqlx("setting up a connection", error),
    }
}

/// Checks what was set and what cannot be set. Answers whether the runtime role can be taken in this
/// database.
///
/// The role is the cluster's, the rights are the database's: both must be there. Looked up in the catalogue
/// by name, because resolving `chancery.commits` fails for a user who may not look into the schema before
/// taking the role. A superuser is a member of every role. From Postgres 16 on, membership alone does not
/// permit SET ROLE, and the privilege is called SET.
async fn check(connection: &mut PgConnection) -> Result<bool, Error> {
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int4,
                pg_is_in_recovery(),
                current_setting('server_encoding'),
                current_setting('client_encoding'),
                current_setting('synchronous_commit'),
                current_setting('default_transaction_isolation'),
                coalesce((
                    SELECT pg_has_role(role.oid, CASE WHEN current_setting('server_version_num')::int4 >= 160000
                                                      THEN 'SET' ELSE 'MEMBER' END)
                       AND has_schema_privilege(role.oid, schema.oid, 'USAGE')
                       AND has_table_privilege(role.oid, commits.oid, 'INSERT')
                    FROM pg_catalog.pg_roles AS role,
                         pg_catalog.pg_namespace AS schema,
                         pg_catalog.pg_class AS commits
                    WHERE role.rolname = 'chancery_runtime' AND schema.nspname = 'chancery'
                      AND commits.relnamespace = schema.oid AND commits.relname = 'commits'
                ), false)",
    )
    .persistent(false)
    .fetch_one(connection)
    .await
    .map_err(|error| Error::from_sqlx("checking a connection", &error))?;
    let facts = Facts::read(&row).map_err(|error| Error::from_sqlx("checking a connection", &error))?;
    facts.judge()?;
    Ok(facts.runtime_role)
}

struct Facts {
    version: i32,
    in_recovery: bool,
    server_encoding: String,
    client_encoding: String,
    synchronous_commit: String,
    isolation: String,
    runtime_role: bool,
}

impl Facts {
    fn read(row: &sqlx::postgres::PgRow) -> Result<Facts, sqlx::Error> {
        Ok(Facts {
            version: row.try_get(0)?,
            in_recovery: row.try_get(1)?,
            server_encoding: row.try_get(2)?,
            client_encoding: row.try_get(3)?,
            synchronous_commit: row.try_get(4)?,
            isolation: row.try_get(5)?,
            runtime_role: row.try_get(6)?,
        })
    }

    fn judge(&self) -> Result<(), Error> {
        let refuse = |found: String, needed: &str| Err(Error::Unsupported { found, needed: needed.into() });
        if self.version < OLDEST_SERVER {
            return refuse(
                format!("the server is Postgres {}", self.version / 10_000),
                "use Postgres 14 or later",
            );
        }
        if self.in_recovery {
            return refuse(
                "the server is in recovery (a hot standby, or still starting)".into(),
                "connect to the primary",
            );
        }
        if self.server_encoding != "UTF8" {
            return refuse(
                format!("the database's encoding is {}", self.server_encoding),
                "create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
            );
        }
        if self.client_encoding != "UTF8" {
            return refuse(
                format!("the connection's encoding is {}", self.client_encoding),
                "let the connection pooler pass client_encoding on",
            );
        }
        if !matches!(self.synchronous_commit.as_str(), "on" | "remote_apply") {
            return refuse(
                format!("synchronous_commit is {} and cannot be set", self.synchronous_commit),
                "set it to on, or an acknowledged event could be lost",
            );
        }
        if self.isolation != "read committed" {
            return refuse(
                format!("default_transaction_isolation is {} and cannot be set", self.isolation),
                "set it to read committed",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            version: 150_000,
            in_recovery: false,
            server_encoding: "UTF8".into(),
            client_encoding: "UTF8".into(),
            synchronous_commit: "on".into(),
            isolation: "read committed".into(),
            runtime_role: true,
        }
    }

    #[test]
    fn a_good_server_is_accepted() {
        assert_eq!(good().judge(), Ok(()));
        assert_eq!(Facts { synchronous_commit: "remote_apply".into(), ..good() }.judge(), Ok(()));
    }

    #[test]
    fn what_would_break_the_log_is_refused_with_what_to_do() {
        let refused = [
            (Facts { version: 130_012, ..good() }, "the server is Postgres 13; use Postgres 14 or later"),
            (
                Facts { in_recovery: true, ..good() },
                "the server is in recovery (a hot standby, or still starting); connect to the primary",
            ),
            (
                Facts { server_encoding: "SQL_ASCII".into(), ..good() },
                "the database's encoding is SQL_ASCII; create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
            ),
            (
                Facts { synchronous_commit: "off".into(), ..good() },
                "synchronous_commit is off and cannot be set; set it to on, or an acknowledged event could be lost",
            ),
        ];
        for (facts, message) in refused {
            assert_eq!(facts.judge().unwrap_err().to_string(), message);
        }
    }
}
