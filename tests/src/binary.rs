//! The built program as a child process: started, asked, killed.

use crate::actor::Actor;
use crate::node::{ADMIN, client};
use crate::wait::eventually;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The program, built once in the profile of the tests.
pub fn chancery() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        // The whole workspace is named so that dependencies have the features that `cargo test --workspace` has built
        // them with, and are not built once more.
        let output = Command::new(env!("CARGO"))
            .args(["build", "--workspace", "--bin", "chancery", "--profile", profile])
            .args(["--message-format", "json-render-diagnostics"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the program builds");
        let messages = String::from_utf8(output.stdout).unwrap();
        let executable = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).unwrap();
            message["executable"].as_str().map(PathBuf::from)
        });
        executable.expect("cargo says where the program is")
    })
}

/// A data folder, and the program that is started in it again and again.
pub struct Binary {
    folder: TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    child: Option<Child>,
    client: reqwest::Client,
}

/// How a run ended.
#[derive(Debug)]
pub struct Exited {
    /// Its status.
    pub status: ExitStatus,
    /// All that it wrote to stderr, earlier runs included.
    pub stderr: String,
}

impl Binary {
    /// Over a database that is given.
    pub fn over(url: &str) -> Binary {
        Binary::bare().variable("DATABASE_URL", url).variable("CHANCERY_ADMIN_TOKEN", ADMIN)
    }

    /// Over a private Postgres of its own.
    pub fn alone() -> Binary {
        Binary::bare().variable("CHANCERY_ADMIN_TOKEN", ADMIN)
    }

    /// With nothing said but where its folder is.
    pub fn bare() -> Binary {
        let folder = tempfile::Builder::new().prefix("chancery-node-").tempdir().unwrap();
        Binary { folder, arguments: Vec::new(), variables: Vec::new(), child: None, client: client() }
    }

    /// With another argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Binary {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With another variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Binary {
        self.set(name, value);
        self
    }

    /// Sets a variable for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Its data folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command of the program with this folder and these variables, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(chancery());
        let kept = ["PATH", "HOME", "TMPDIR", "LLVM_PROFILE_FILE"];
        command.env_clear().envs(kept.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        command.current_dir(self.folder.path()).args(arguments).arg("--data-dir").arg(self.folder());
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it answers.
    pub async fn start(&mut self) {
        self.spawn();
        let address = self.folder().join("address");
        let mut ended = None;
        eventually("the program to answer, or to end", || {
            ended = self.child.as_mut().unwrap().try_wait().unwrap();
            // The file is there a moment before the address is in it.
            ended.is_some() || std::fs::read_to_string(&address).is_ok_and(|text| text.ends_with('\n'))
        })
        .await;
        assert!(ended.is_none(), "the program ended: {ended:?}\n{}", self.stderr());
    }

    /// Starts it and waits until it ends by itself.
    pub async fn run(&mut self) -> Exited {
        self.spawn();
        self.exited().await
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let _ = std::fs::remove_file(self.folder().join("address"));
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(&self.arguments);
        let open = |name| File::options().create(true).append(true).open(self.folder.path().join(name));
        command.stdout(open("stdout").unwrap()).stderr(open("stderr").unwrap());
        self.child = Some(command.spawn().unwrap());
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        let address = std::fs::read_to_string(self.folder().join("address")).unwrap();
        format!("http://{}", address.trim())
    }

    /// Somebody without a credential.
    pub fn anon(&self) -> Actor {
        Actor::anonymous(self.client.clone(), &self.url())
    }

    /// The holder of the break-glass token.
    pub fn admin(&self) -> Actor {
        self.anon().with(ADMIN)
    }

    /// All that it wrote to stderr.
    pub fn stderr(&self) -> String {
        self.written("stderr")
    }

    /// All that it wrote to stdout.
    pub fn stdout(&self) -> String {
        self.written("stdout")
    }

    fn written(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The process id of its private Postgres.
    pub fn postmaster(&self) -> Option<u32> {
        let pid = std::fs::read_to_string(self.folder().join("postgres/postmaster.pid")).ok()?;
        pid.lines().next()?.parse().ok()
    }

    /// How to connect to its private Postgres as the superuser.
    pub fn postgres(&self) -> PgConnectOptions {
        // The server says it in its fifth line; the node prints it, but only after its address is known.
        let pid = std::fs::read_to_string(self.folder().join("postgres/postmaster.pid")).unwrap();
        let socket = pid.lines().nth(4).expect("a folder");
        PgConnectOptions::new_without_pgpass()
            .socket(socket)
            .port(5432)
            .username("postgres")
            .database("chancery")
            .ssl_mode(PgSslMode::Disable)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        send(self.child.as_ref().expect("it runs").id(), signal);
    }

    /// Kills its private Postgres outright.
    pub fn kill_postgres(&self) {
        send(self.postmaster().expect("it has one"), Signal::KILL);
    }

    /// Kills it outright, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        let exited = self.exited().await;
        assert_eq!(exited.status.signal(), Some(9), "{exited:?}");
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&mut self) -> Exited {
        self.signal(Signal::TERM);
        self.exited().await
    }

    /// Waits until it ends.
    pub async fn exited(&mut self) -> Exited {
        let mut status = None;
        eventually("the program to end", || {
            status = self.child.as_mut().expect("it runs").try_wait().unwrap();
            status.is_some()
        })
        .await;
        self.child = None;
        Exited { status: status.expect("it ended"), stderr: self.stderr() }
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // The private Postgres ends by itself once its node is dead, and its folder can only be removed after that.
        for _ in 0..500 {
            if self.postmaster().is_none_or(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id is not 0");
    kill_process(pid, signal).unwrap();
}
