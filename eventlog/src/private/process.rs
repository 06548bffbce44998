//! The postmaster as a child process: spawned, waited on, and spawned again when it ends by itself.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::sync::watch;

use super::account::Account;
use super::error::{self, Error};
use super::lock::Lock;
use super::log::Log;
use super::stale;

/// The first pause before the server is started again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause before the server is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often to look whether an old server's last processes are gone, and how many times.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);
pub(super) const LOOKS: u64 = 600;

/// How a run of the private Postgres ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The postmaster ran and ended.
    Ended {
        /// Its process id.
        pid: u32,
        /// Its exit code or the signal that killed it.
        status: ExitStatus,
    },
    /// The postmaster could not be run at all.
    NotRun {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { pid, status } => write!(f, "process {pid} ended with {status}"),
            Self::NotRun { reason } => write!(f, "it could not be run: {reason}"),
        }
    }
}

/// What is known of the server's runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Status {
    /// The running postmaster.
    pub(super) pid: Option<u32>,
    /// How many runs have ended.
    pub(super) exits: u64,
    /// How the last one ended.
    pub(super) last: Option<Exit>,
    /// Where in the log the words of the last run begin.
    pub(super) log_start: u64,
}

/// All that is needed to run the server.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) account: Account,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) folder: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) log: Log,
}

impl Launch {
    /// Spawns the postmaster, and says where in the log its words begin.
    fn spawn(&self) -> Result<(Child, u64), Error> {
        let (log, start) = self.log.open().map_err(error::io("open", self.log.path()))?;
        let second = log.try_clone().map_err(error::io("open", self.log.path()))?;
        // SIGINT is Postgres's fast shutdown: what is committed is kept, who is connected is sent away.
        let mut command = self.account.command(&self.program, &self.folder, Signal::INT);
        command.args(&self.arguments).stdout(second).stderr(log);
        let child = command.spawn().map_err(error::io("run", &self.program))?;
        Ok((child, start))
    }
}

/// The dedicated thread that spawns the postmaster and waits on it, and the way to speak with that thread.
///
/// The thread is dedicated because a parent-death signal follows the thread that spawned. It owns the data folder's
/// lock, which is thus held for as long as there may be a server.
#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
}

#[derive(Debug)]
struct Shared {
    control: Mutex<Control>,
    /// Told when `stopping` is set.
    stopping: Condvar,
}

#[derive(Debug)]
struct Control {
    /// The postmaster, while it is not reaped: only then is its number surely its own, and it may be signalled.
    child: Option<Pid>,
    stopping: bool,
    /// Whether the server has answered at all: before that, whoever starts it reports what goes wrong.
    announced: bool,
    /// The pause before the next start.
    pause: Duration,
}

impl Supervisor {
    /// Starts the thread, which starts the server.
    pub(super) fn begin(launch: Launch, lock: Lock) -> Result<Self, Error> {
        let (sender, status) = watch::channel(Status::default());
        let control = Control { child: None, stopping: false, announced: false, pause: FIRST_PAUSE };
        let shared = Arc::new(Shared { control: Mutex::new(control), stopping: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let folder = launch.folder.clone();
        std::thread::Builder::new()
            .name("private-postgres".into())
            .spawn(move || {
                theirs.supervise(&launch, &sender);
                // Let go of before the sender ends, which is how `ended` knows that a next start may begin.
                drop(lock);
                drop(sender);
            })
            .map_err(error::io("start the thread that runs", &folder))?;
        Ok(Self { shared, status })
    }

    /// What is known of the runs, now and from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Asks the server to end, and has it not started again. May be said several times, with a stronger signal.
    pub(super) fn stop(&self, signal: Signal) {
        let mut control = self.shared.control();
        control.stopping = true;
        self.shared.stopping.notify_all();
        if let Some(pid) = control.child {
            // It is not reaped yet, so the only failure would be that it has ended already.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Resolves when the server has ended for good and the lock is let go of.
    pub(super) async fn ended(&self) {
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
    }

    /// From now on the thread itself reports a run that ends.
    pub(super) fn announced(&self) {
        self.shared.control().announced = true;
    }

    /// Says that the server has run steadily for a while: its next restart need not wait long.
    pub(super) fn steady(&self) -> impl Fn() + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.control().pause = FIRST_PAUSE
    }
}

impl Shared {
    /// A panic while holding it leaves nothing half done, so a poisoned lock is as good as any.
    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the server until told to stop.
    fn supervise(&self, launch: &Launch, sender: &watch::Sender<Status>) {
        loop {
            let exit = match self.run(launch, sender) {
                Ok(Some(exit)) => exit,
                Ok(None) => break,
                Err(error) => Exit::NotRun { reason: error.to_string() },
            };
            let log_start = sender.borrow().log_start;
            sender.send_modify(|status| {
                status.pid = None;
                status.exits += 1;
                status.last = Some(exit.clone());
            });
            let (announced, pause) = {
                let mut control = self.control();
                if control.stopping {
                    break;
                }
                let pause = control.pause;
                control.pause = (pause * 2).min(LONGEST_PAUSE);
                (control.announced, pause)
            };
            if announced {
                tracing::error!(
                    %exit,
                    log = %launch.log.path().display(),
                    said = launch.log.tail_from(log_start),
                    "the private Postgres ended by itself: starting it again in {} ms",
                    pause.as_millis()
                );
            }
            if self.pause(pause) {
                break;
            }
        }
        // The server removes its socket; a folder that still holds something stays, and serves the next start.
        let _ = std::fs::remove_dir(&launch.socket_dir);
    }

    /// One run, from the spawn to the end. None when told to stop before there was one.
    fn run(&self, launch: &Launch, sender: &watch::Sender<Status>) -> Result<Option<Exit>, Error> {
        if !self.clear_the_way(launch)? {
            return Ok(None);
        }
        let mut child = {
            // Held through the spawn, so that a stop either comes before it or finds the child to signal.
            let mut control = self.control();
            if control.stopping {
                return Ok(None);
            }
            let (child, log_start) = launch.spawn()?;
            control.child = Pid::from_raw(child.id().cast_signed());
            sender.send_modify(|status| {
                status.pid = Some(child.id());
                status.log_start = log_start;
            });
            child
        };
        let pid = Pid::from_child(&child);
        // Waits without reaping, because once it is reaped its number may become another process's.
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(rustix::process::waitid(WaitId::Pid(pid), how), Err(rustix::io::Errno::INTR)) {}
        let mut control = self.control();
        control.child = None;
        let status = child.wait().map_err(error::io("wait for", &launch.program))?;
        Ok(Some(Exit::Ended { pid: child.id(), status }))
    }

    /// Waits until nothing of an earlier server is left. False when told to stop meanwhile.
    fn clear_the_way(&self, launch: &Launch) -> Result<bool, Error> {
        for _ in 0..LOOKS {
            if stale::occupant(&launch.folder).is_none() {
                stale::remove_misleading_files(&launch.folder, &launch.socket_dir)?;
                return Ok(true);
            }
            if self.pause(LOOK_AGAIN) {
                return Ok(false);
            }
        }
        match stale::occupant(&launch.folder) {
            Some(pid) => Err(still_running(pid, launch)),
            None => Ok(true),
        }
    }

    /// Waits, and says whether it is time to stop.
    fn pause(&self, pause: Duration) -> bool {
        let control = self.control();
        let waited = self.stopping.wait_timeout_while(control, pause, |control| !control.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

/// The error for an old server that does not end.
fn still_running(pid: u32, launch: &Launch) -> Error {
    let seconds = LOOKS * LOOK_AGAIN.as_millis() as u64 / 1_000;
    Error::StillRunning { pid, folder: launch.folder.clone(), seconds }
}
