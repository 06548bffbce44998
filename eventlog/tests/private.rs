//! The private Postgres against real servers, real kills and real leftovers.
//!
//! As root these tests run Postgres as the user `postgres`; one of them runs all the others again as an ordinary user.
//! Nothing waits for a fixed time: everything polls a condition, with a bound.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use eventlog::private::{Error, Exit, Options, PrivatePostgres, find_binaries};
use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

/// Tells a copy of this program which data folder to serve, instead of running tests.
const SERVE: &str = "CHANCERY_TEST_SERVE";

fn data_dir() -> TempDir {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("chancery-private-").permissions(private).tempdir().unwrap()
}

fn options(data_dir: &Path) -> Options {
    Options {
        durable: false,
        settings: vec![("shared_buffers".into(), "16MB".into())],
        ..Options::new(data_dir)
    }
}

async fn start(data_dir: &Path) -> PrivatePostgres {
    PrivatePostgres::start(options(data_dir)).await.unwrap()
}

async fn connect(server: &PrivatePostgres) -> PgConnection {
    PgConnection::connect_with(&server.connect_options()).await.unwrap()
}

async fn put(server: &PrivatePostgres, value: i32) {
    let mut connection = connect(server).await;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS kept (value int)").execute(&mut connection).await.unwrap();
    sqlx::query("INSERT INTO kept VALUES ($1)").bind(value).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn kept(server: &PrivatePostgres) -> Vec<i32> {
    let mut connection = connect(server).await;
    sqlx::query_scalar("SELECT value FROM kept ORDER BY value").fetch_all(&mut connection).await.unwrap()
}

async fn show(server: &PrivatePostgres, name: &str) -> String {
    let mut connection = connect(server).await;
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await.unwrap()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

/// Polls until something holds, for a minute at most.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited a minute for: {what}");
}

/// Whether a process has ended. Whoever inherited it may be slow to reap it, hence the zombies.
fn is_gone(number: u32) -> bool {
    test_kill_process(pid(number)) == Err(rustix::io::Errno::SRCH) || state(number) == Some('Z')
}

fn state(number: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].trim_start().chars().next()
}

/// A process of this test that ends with it.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A copy of this program that serves a data folder until it is killed.
fn spawn_node(data_dir: &Path) -> Owned {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "serve_until_killed", "--nocapture"]).env(SERVE, data_dir);
    Owned(command.stdout(Stdio::null()).spawn().unwrap())
}

/// The same, once its server runs.
async fn node(data_dir: &Path) -> (Owned, u32) {
    let child = spawn_node(data_dir);
    let pid_file = data_dir.join("node-postmaster");
    let mut postmaster = None;
    eventually("the node's server", || {
        postmaster = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.parse().ok());
        postmaster.is_some()
    })
    .await;
    std::fs::remove_file(pid_file).unwrap();
    (child, postmaster.unwrap())
}

/// Not a test: what [`node`] runs.
#[tokio::test(flavor = "multi_thread")]
async fn serve_until_killed() {
    let Some(data_dir) = std::env::var_os(SERVE).map(PathBuf::from) else { return };
    let server = start(&data_dir).await;
    put(&server, 1).await;
    let unfinished = data_dir.join("node-postmaster.new");
    std::fs::write(&unfinished, server.pid().unwrap().to_string()).unwrap();
    std::fs::rename(unfinished, data_dir.join("node-postmaster")).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_there_after_a_stop_and_a_start() {
    let dir = data_dir();
    let server = start(dir.path()).await;
    put(&server, 7).await;
    let (first, socket_dir) = (server.pid().unwrap(), server.socket_dir().to_path_buf());
    server.stop().await.unwrap();
    assert!(is_gone(first));
    assert!(!socket_dir.exists(), "the socket folder goes with the server");
    let server = start(dir.path()).await;
    assert_eq!(kept(&server).await, [7]);
    assert_eq!(server.socket_dir(), socket_dir, "the same data folder has the same socket folder");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_private_and_the_role_is_modest() {
    let dir = data_dir();
    let server = start(dir.path()).await;
    assert_eq!(show(&server, "listen_addresses").await, "");
    assert_eq!(show(&server, "data_checksums").await, "on");
    assert_eq!(show(&server, "server_encoding").await, "UTF8");
    assert_eq!(show(&server, "lc_collate").await, "C");
    assert_eq!(show(&server, "synchronous_commit").await, "on");
    assert_eq!(show(&server, "shared_buffers").await, "16MB", "a setting that was asked for");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(server.socket_dir()), 0o700);
    assert_eq!(mode(&server.socket_dir().join(".s.PGSQL.5432")), 0o700);
    assert_eq!(mode(&dir.path().join("postgres")), 0o700);
    assert_eq!(mode(&dir.path().join("lock")), 0o600);
    assert_eq!(mode(dir.path()) & 0o066, 0, "nobody else may list or change the data folder");

    let mut connection = connect(&server).await;
    let superuser: bool = sqlx::query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!superuser);
    let migration = "CREATE SCHEMA chancery; CREATE ROLE chancery_runtime NOLOGIN; \
                     GRANT USAGE ON SCHEMA chancery TO chancery_runtime";
    sqlx::raw_sql(migration).execute(&mut connection).await.unwrap();
    // A person's psql, by the node's own user.
    let superuser = server.connect_options().username("postgres").database("postgres");
    PgConnection::connect_with(&superuser).await.unwrap().close().await.unwrap();
    let psql = Command::new(find_binaries(None).unwrap().join("psql"))
        .args(["-XAtU", "chancery", "-c", "SELECT current_user", "chancery", "-h"])
        .arg(server.socket_dir())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&psql.stdout), "chancery\n", "{psql:?}");
    // A role that nobody is mapped to stays out of reach.
    sqlx::raw_sql("CREATE ROLE stranger LOGIN").execute(&mut connection).await.unwrap();
    PgConnection::connect_with(&server.connect_options().username("stranger")).await.unwrap_err();
    connection.close().await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn durability_is_on_and_no_setting_turns_it_off() {
    let dir = data_dir();
    let mut options = Options::new(dir.path());
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        options.settings.push((name.into(), "off".into()));
    }
    options.settings.push(("listen_addresses".into(), "127.0.0.1".into()));
    let server = PrivatePostgres::start(options).await.unwrap();
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        assert_eq!(show(&server, name).await, "on", "{name}");
    }
    assert_eq!(show(&server, "listen_addresses").await, "");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postmaster_comes_back_with_what_was_committed() {
    let dir = data_dir();
    let server = start(dir.path()).await;
    put(&server, 1).await;
    for round in 2..4 {
        // Connected all the while, so that a backend outlives the postmaster for a moment.
        let held = connect(&server).await;
        let killed = server.pid().unwrap();
        let exited = server.exited();
        kill_process(pid(killed), Signal::KILL).unwrap();
        let exit = tokio::time::timeout(Duration::from_mins(1), exited).await.unwrap();
        assert!(matches!(exit, Exit::Ended { pid, .. } if pid == killed), "{exit}");
        tokio::time::timeout(Duration::from_mins(1), server.answers()).await.unwrap();
        drop(held);
        assert_ne!(server.pid(), Some(killed));
        put(&server, round).await;
    }
    assert_eq!(kept(&server).await, [1, 2, 3]);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_takes_its_server_along_and_the_next_start_recovers() {
    let dir = data_dir();
    for _ in 0..2 {
        let (mut node, postmaster) = node(dir.path()).await;
        node.0.kill().unwrap();
        node.0.wait().unwrap();
        // At once, while the old server may still be shutting down.
        let server = start(dir.path()).await;
        assert!(is_gone(postmaster), "the old server was waited for");
        assert!(!kept(&server).await.is_empty());
        server.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_nodes_server_ends_by_itself() {
    let dir = data_dir();
    let (mut node, postmaster) = node(dir.path()).await;
    node.0.kill().unwrap();
    node.0.wait().unwrap();
    eventually("the server's end", || is_gone(postmaster)).await;
    assert!(!dir.path().join("postgres/postmaster.pid").exists(), "it ended in order");
    start(dir.path()).await.stop().await.unwrap();
}

/// Whether a start has come so far, to be seen in its data folder.
type Reached<'a> = &'a dyn Fn(&Path) -> bool;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_anywhere_in_its_first_start_leaves_nothing_in_the_way() {
    let holds_initdb = |dir: &Path| {
        std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
            entry.file_name().to_string_lossy().starts_with("postgres.initdb-")
                && entry.path().join("PG_VERSION").exists()
        })
    };
    let stages: [(&str, Reached<'_>); 5] = [
        ("the lock", &|dir| dir.join("lock").exists()),
        ("initdb", &holds_initdb),
        ("the finished cluster", &|dir| dir.join("postgres/PG_VERSION").exists()),
        ("the postmaster", &|dir| dir.join("postgres/postmaster.pid").exists()),
        ("the database", &|dir| dir.join("postgres/base").read_dir().is_ok_and(|bases| bases.count() > 3)),
    ];
    for (stage, reached) in stages {
        let dir = data_dir();
        let mut node = spawn_node(dir.path());
        eventually(stage, || reached(dir.path())).await;
        node.0.kill().unwrap();
        node.0.wait().unwrap();
        let server = start(dir.path()).await;
        put(&server, 1).await;
        server.stop().await.unwrap();
        assert!(!holds_initdb(dir.path()), "{stage}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_and_server_killed_together_recover() {
    let dir = data_dir();
    let (mut node, postmaster) = node(dir.path()).await;
    kill_process(pid(postmaster), Signal::STOP).unwrap();
    node.0.kill().unwrap();
    node.0.wait().unwrap();
    kill_process(pid(postmaster), Signal::KILL).unwrap();
    let server = start(dir.path()).await;
    assert_eq!(kept(&server).await, [1]);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_server_that_takes_its_time_is_waited_for() {
    let dir = data_dir();
    let (mut node, postmaster) = node(dir.path()).await;
    // Stopped, it cannot act on the signal of the node's death.
    kill_process(pid(postmaster), Signal::STOP).unwrap();
    node.0.kill().unwrap();
    node.0.wait().unwrap();
    let path = dir.path().to_path_buf();
    let starting = tokio::spawn(async move { start(&path).await });
    // The lock names this process as soon as the start has begun to wait.
    let me = std::process::id().to_string();
    let lock = dir.path().join("lock");
    eventually("the start", || std::fs::read_to_string(&lock).is_ok_and(|text| text.trim() == me)).await;
    assert!(!starting.is_finished());
    kill_process(pid(postmaster), Signal::CONT).unwrap();
    let server = tokio::time::timeout(Duration::from_mins(1), starting).await.unwrap().unwrap();
    assert_eq!(kept(&server).await, [1]);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_on_the_same_data_is_refused_and_names_the_holder() {
    let dir = data_dir();
    let server = start(dir.path()).await;
    let refused = PrivatePostgres::start(options(dir.path())).await.unwrap_err();
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_server_ends_and_frees_its_data() {
    let dir = data_dir();
    let server = start(dir.path()).await;
    let postmaster = server.pid().unwrap();
    drop(server);
    eventually("the server's end", || is_gone(postmaster)).await;
    let mut again = None;
    for _ in 0..500 {
        match PrivatePostgres::start(options(dir.path())).await {
            // The lock is let go of a moment after the process is reaped.
            Err(Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            started => {
                again = Some(started.unwrap());
                break;
            }
        }
    }
    again.unwrap().stop().await.unwrap();
}

/// Leaves a `postmaster.pid` and a socket's lock file behind that name `number`, as a crash would.
async fn plant(dir: &Path, number: u32) {
    let server = start(dir).await;
    put(&server, 1).await;
    let (socket_dir, folder) = (server.socket_dir().to_path_buf(), dir.join("postgres"));
    let pid_file = std::fs::read_to_string(folder.join("postmaster.pid")).unwrap();
    server.stop().await.unwrap();
    let (_, rest) = pid_file.split_once('\n').unwrap();
    std::fs::create_dir(&socket_dir).unwrap();
    std::fs::set_permissions(&socket_dir, Permissions::from_mode(0o700)).unwrap();
    let owner = std::fs::metadata(&folder).unwrap();
    let socket_lock = socket_dir.join(".s.PGSQL.5432.lock");
    for path in [folder.join("postmaster.pid"), socket_lock] {
        std::fs::write(&path, format!("{number}\n{rest}")).unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

/// Runs as the user that the data belongs to, so that Postgres would take its number for a server's.
fn bystander(folder: &Path) -> Owned {
    let owner = std::fs::metadata(folder).unwrap().uid();
    let mut command = Command::new("sleep");
    command.arg("600");
    if geteuid().is_root() {
        command.uid(owner);
    }
    Owned(command.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_lock_file_that_names_a_living_stranger_does_not_stop_a_start() {
    let dir = data_dir();
    start(dir.path()).await.stop().await.unwrap();
    let mut stranger = bystander(&dir.path().join("postgres"));
    plant(dir.path(), stranger.0.id()).await;
    let server = start(dir.path()).await;
    assert_eq!(kept(&server).await, [1]);
    server.stop().await.unwrap();
    assert!(stranger.0.try_wait().unwrap().is_none(), "the stranger lives on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_lock_file_that_names_a_zombie_does_not_stop_a_start() {
    let dir = data_dir();
    start(dir.path()).await.stop().await.unwrap();
    let mut zombie = bystander(&dir.path().join("postgres"));
    zombie.0.kill().unwrap();
    let number = zombie.0.id();
    eventually("a zombie", || state(number) == Some('Z')).await;
    plant(dir.path(), number).await;
    let server = start(dir.path()).await;
    assert_eq!(kept(&server).await, [1]);
    server.stop().await.unwrap();
    assert_eq!(state(number), Some('Z'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_off_initdb_is_begun_anew() {
    let dir = data_dir();
    let unfinished = dir.path().join("postgres.initdb-1");
    std::fs::create_dir(&unfinished).unwrap();
    std::fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let server = start(dir.path()).await;
    assert!(!unfinished.exists());
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_path_is_short_however_long_the_data_path_is() {
    let dir = data_dir();
    let mut long = dir.path().to_path_buf();
    std::fs::set_permissions(&long, Permissions::from_mode(0o711)).unwrap();
    for _ in 0..4 {
        long.push("a-folder-with-quite-a-long-name, \"quoted\" and with spaces-".repeat(2));
    }
    let server = start(&long).await;
    let socket = server.socket_dir().join(".s.PGSQL.5432");
    assert!(socket.as_os_str().len() <= 107, "{}", socket.display());
    put(&server, 1).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_versions_cluster_is_refused_with_what_to_do() {
    let dir = data_dir();
    start(dir.path()).await.stop().await.unwrap();
    std::fs::write(dir.path().join("postgres/PG_VERSION"), "13\n").unwrap();
    let refused = PrivatePostgres::start(options(dir.path())).await.unwrap_err();
    assert!(matches!(refused, Error::WrongVersion { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("Postgres 13") && text.contains("pg_upgrade"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_in_the_clusters_place_is_refused() {
    let dir = data_dir();
    std::fs::create_dir(dir.path().join("postgres")).unwrap();
    std::fs::write(dir.path().join("postgres/notes.txt"), "mine").unwrap();
    let refused = PrivatePostgres::start(options(dir.path())).await.unwrap_err();
    assert!(matches!(refused, Error::NotACluster { .. }), "{refused}");
    assert!(dir.path().join("postgres/notes.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_says_why_and_is_not_tried_for_ever() {
    let dir = data_dir();
    let mut options = options(dir.path());
    options.settings.push(("shared_buffers".into(), "a lot".into()));
    let refused = PrivatePostgres::start(options).await.unwrap_err();
    assert!(matches!(refused, Error::Exited { .. }), "{refused}");
    assert!(refused.to_string().contains("invalid value for parameter \"shared_buffers\""), "{refused}");
    start(dir.path()).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_socket_folder_is_not_used() {
    let dir = data_dir();
    let server = start(dir.path()).await;
    let socket_dir = server.socket_dir().to_path_buf();
    server.stop().await.unwrap();
    let elsewhere = data_dir();
    let before = std::fs::metadata(elsewhere.path()).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &socket_dir).unwrap();
    let outcome = PrivatePostgres::start(options(dir.path())).await;
    let after = std::fs::metadata(elsewhere.path()).unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()), "what it points to is left alone");
    std::fs::remove_file(&socket_dir).unwrap();
    match outcome {
        Ok(server) => {
            assert_ne!(server.socket_dir(), socket_dir, "another folder is taken");
            server.stop().await.unwrap();
        }
        Err(refused) => assert!(matches!(refused, Error::NoSocketFolder { .. }), "{refused}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_root_a_folder_that_postgres_may_not_enter_is_named() {
    if !geteuid().is_root() {
        return;
    }
    let dir = data_dir();
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let refused = PrivatePostgres::start(options(&closed.join("data"))).await.unwrap_err();
    let Error::Unsearchable { ancestor, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*ancestor, closed.canonicalize().unwrap());
    assert!(refused.to_string().contains("chmod o+x"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_to_run_as_is_checked() {
    let dir = data_dir();
    let refusal = async |user: &str| {
        PrivatePostgres::start(Options { user: Some(user.into()), ..options(dir.path()) }).await.unwrap_err()
    };
    if geteuid().is_root() {
        assert!(matches!(refusal("root").await, Error::UserIsRoot { .. }));
        assert!(matches!(refusal("no-such-user").await, Error::NoUser { .. }));
        assert!(matches!(refusal("--help").await, Error::NoUser { .. }));
    } else {
        assert!(matches!(refusal("root").await, Error::UserNeedsRoot { .. }));
    }
    let missing = Options { bin_dir: Some(dir.path().into()), ..options(dir.path()) };
    let refused = PrivatePostgres::start(missing).await.unwrap_err();
    assert!(matches!(refused, Error::BadBinaries { .. }), "{refused}");
    assert!(find_binaries(None).unwrap().join("postgres").is_file());
}

/// The secrets in the node's environment are not Postgres's user's to read.
#[tokio::test(flavor = "multi_thread")]
async fn the_servers_environment_is_empty_of_the_nodes() {
    let dir = data_dir();
    let (node, postmaster) = node(dir.path()).await;
    let environment = std::fs::read(format!("/proc/{postmaster}/environ")).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains(SERVE));
    drop(node);
    start(dir.path()).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_root_all_of_this_holds_for_an_ordinary_user_too() {
    if !geteuid().is_root() {
        return;
    }
    let home = data_dir();
    let program = home.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let nobody: u32 = {
        let id = Command::new("id").args(["-u", "nobody"]).output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().parse().unwrap()
    };
    std::os::unix::fs::chown(home.path(), Some(nobody), None).unwrap();
    let mut command = Command::new(&program);
    command.uid(nobody).env("TMPDIR", home.path()).current_dir(home.path());
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}
