//! What can go wrong around the private Postgres. Every message names the value and what would be right.

use std::io;
use std::path::{Path, PathBuf};

use super::process::Exit;

/// Why the private Postgres could not be found, prepared, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be made, read or changed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb: `read`, `create`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// Another process holds the data folder.
    #[error(
        "the data folder {data_dir} is in use by another chancery (process {holder}): \
         stop that one first, or give this one a folder of its own with --data-dir"
    )]
    Locked {
        /// The data folder.
        data_dir: PathBuf,
        /// The holder's process id, or `unknown`.
        holder: String,
    },

    /// No Postgres server of version 14 or later is installed.
    #[error(
        "no Postgres server (14 or later) was found for the private database ({looked}). \
         Install one: {install}. Or set DATABASE_URL to a Postgres that already runs"
    )]
    NotFound {
        /// Where it was looked for, and what was wrong with what was there.
        looked: String,
        /// The command that installs one on this platform.
        install: String,
    },

    /// The folder that was named does not hold a usable Postgres.
    #[error(
        "{bin_dir} does not hold a usable Postgres server: {reason}. Name the folder that holds \
         `postgres` and `initdb` (14 or later), for example /usr/lib/postgresql/15/bin"
    )]
    BadBinaries {
        /// The folder that was named.
        bin_dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The package manager did not install Postgres.
    #[error("`{command}` did not install Postgres: {reason}")]
    Install {
        /// The command as it was run.
        command: String,
        /// What it said.
        reason: String,
    },

    /// As root, Postgres needs another user to run as, and there is no such user.
    #[error(
        "Postgres refuses to run as root, and there is no user {user:?} to run it as: install the \
         distribution's Postgres package (it makes the user `postgres`), or name an existing user with --pg-user"
    )]
    NoUser {
        /// The name that was looked up.
        user: String,
    },

    /// The user to run Postgres as is root.
    #[error(
        "Postgres refuses to run as root: --pg-user is {user:?}, name an ordinary user, such as `postgres`"
    )]
    UserIsRoot {
        /// The name that was given.
        user: String,
    },

    /// Only root may run Postgres as somebody else.
    #[error(
        "only root can run Postgres as another user: --pg-user is {wanted:?}, this is {current:?}; leave it out"
    )]
    UserNeedsRoot {
        /// The name that was given.
        wanted: String,
        /// The user of this process.
        current: String,
    },

    /// The user of this process has no name, which Postgres and peer authentication need.
    #[error(
        "the user id {uid} has no name, and Postgres refuses to run without one: add the user to /etc/passwd, \
         run as a user that is there, or set DATABASE_URL"
    )]
    NamelessUser {
        /// The effective user id.
        uid: u32,
    },

    /// The binary cannot be run by the user that Postgres runs as.
    #[error(
        "the user {user:?} cannot run {program}: {source}. Make it and the folders above it executable for {user:?}"
    )]
    CannotRun {
        /// The binary.
        program: PathBuf,
        /// The user that Postgres runs as.
        user: String,
        /// What the operating system said.
        source: io::Error,
    },

    /// A folder above the data cannot be searched by the user that Postgres runs as.
    #[error(
        "Postgres runs as the user {user:?}, which cannot enter {ancestor}, a folder above its data in {data_dir}: \
         allow it with `chmod o+x {ancestor}`, or choose another --data-dir, such as /var/lib/chancery"
    )]
    Unsearchable {
        /// The highest folder that the user cannot enter.
        ancestor: PathBuf,
        /// The user that Postgres runs as.
        user: String,
        /// The data folder.
        data_dir: PathBuf,
    },

    /// The cluster was made by another major version.
    #[error(
        "the private database in {folder} was made by Postgres {found}, and the binaries in {bin_dir} are Postgres \
         {binaries}: install Postgres {found} again, or move the data with pg_upgrade, or dump it with {found} and \
         restore it into a new data folder"
    )]
    WrongVersion {
        /// The cluster's folder.
        folder: PathBuf,
        /// What its `PG_VERSION` says.
        found: String,
        /// The folder of the binaries.
        bin_dir: PathBuf,
        /// The binaries' major version.
        binaries: u32,
    },

    /// The cluster's folder belongs to somebody else.
    #[error(
        "{folder} belongs to the user id {owner}, and Postgres runs as {user:?} ({uid}): start as the user that made \
         it, or hand it over with `chown -R {user} {folder}`"
    )]
    WrongOwner {
        /// The cluster's folder.
        folder: PathBuf,
        /// Its owner's id.
        owner: u32,
        /// The user that Postgres runs as.
        user: String,
        /// That user's id.
        uid: u32,
    },

    /// Something that is not a cluster stands where the cluster belongs.
    #[error("{folder} exists and is not a Postgres data folder (it has no PG_VERSION): move it away")]
    NotACluster {
        /// The folder.
        folder: PathBuf,
    },

    /// `initdb` failed.
    #[error("{program} could not make the private database ({status}): {output}")]
    InitDb {
        /// The binary.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote.
        output: String,
    },

    /// No folder for the socket is both short and safe.
    #[error("no folder for the private database's socket: {tried}")]
    NoSocketFolder {
        /// Each candidate and what is wrong with it.
        tried: String,
    },

    /// An old Postgres still runs on the data and does not end.
    #[error(
        "a Postgres (process {pid}) still runs on {folder} after {seconds} s of waiting: if somebody started it by \
         hand, stop it with `pg_ctl stop -D {folder}`"
    )]
    StillRunning {
        /// One of its processes.
        pid: u32,
        /// The cluster's folder.
        folder: PathBuf,
        /// How long was waited.
        seconds: u64,
    },

    /// Postgres could not be run at all.
    #[error("the private Postgres could not be started: {reason}")]
    NotRun {
        /// Why.
        reason: String,
    },

    /// Postgres ended before it answered.
    #[error("the private Postgres did not start: {exit}; its log, {log}, ends with: {tail}")]
    Exited {
        /// How it ended.
        exit: Exit,
        /// The log file.
        log: PathBuf,
        /// The end of the log.
        tail: String,
    },

    /// Postgres runs but does not answer.
    #[error("the private Postgres runs but answers no query ({last}); its log is {log}")]
    NotReady {
        /// What the last attempt said.
        last: String,
        /// The log file.
        log: PathBuf,
    },

    /// The role or the database could not be made.
    #[error("cannot prepare the role and the database of the private Postgres: {0}")]
    Setup(#[from] sqlx::Error),

    /// Postgres did not end, not even by an immediate shutdown.
    #[error("the private Postgres (process {pid}) did not stop after SIGINT and SIGQUIT: look at {log}")]
    StopTimedOut {
        /// The postmaster.
        pid: u32,
        /// The log file.
        log: PathBuf,
    },
}

/// Puts what was tried, and on what, before an operating system's error.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| Error::Io { action, path, source }
}
