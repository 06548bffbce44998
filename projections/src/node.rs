//! A node: one log, its live state, and the tasks that write.

use crate::audit::Audit;
use crate::catch_up::{Cursor, Fatal, Marks};
use crate::feed::Feeds;
use crate::history::{AsOf, History};
use crate::live::Live;
use crate::people;
use crate::recorder::{Recorder, RecorderDesk};
use crate::scribe::{Desk, Scribe};
use crate::seal;
use crate::snapshots::Snapshots;
use crate::sweep::{Inactive, Sweeper};
use crate::tree::Integrator;
use crate::usage::{self, LastUse, Usage, UsedPermissions};
use crate::work::{Answered, Call, Client, Failure, Inquiry, Presented, Work};
use domain::decide::{Command, Request, Resume, RotateLogKey, Start};
use domain::event::{Answers, InstancePolicy, LogPlace};
use domain::id::TokenId;
use domain::import::ImportKey;
use domain::scope::Scope;
use domain::time::Timestamp;
use eventlog::personal::Opened;
use eventlog::{Clock, Log, LogKeys, Mark, Marker, Random, Tree, Waker, Writer, mark, wake};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often the log is looked at when nothing else does: well within the least `max_staleness_ms`.
const POLL: Duration = Duration::from_millis(200);
/// How often sealed secrets that have been kept long enough are deleted, and what came in about erased persons.
const SWEEP: Duration = Duration::from_mins(1);
/// How often a start waits for a database that is away before it says so.
const START_PAUSE: Duration = Duration::from_millis(500);

/// The shared key of imports, by its name.
const IMPORT_KEY: &str = "imports";

/// What a node is made with.
#[derive(Debug)]
pub struct Options {
    /// Where the node keeps its mark.
    pub folder: PathBuf,
    /// The authority's clock; none takes the database's time.
    pub clock: Option<Clock>,
    /// The file of the key that signs checkpoints; without one, this node signs none.
    pub log_key_file: Option<PathBuf>,
    /// The generator of ids and secrets.
    pub random: Random,
    /// How many questions and commands may wait, in each mode.
    pub capacity: usize,
    /// Accept a database that does not contain what this node has seen, under this origin of checkpoints.
    pub accept: Option<String>,
    /// After how many lifecycle events, at least, a snapshot of the state is taken.
    pub snapshot_every: u64,
}

impl Options {
    /// [`Options::snapshot_every`], unless somebody has a reason for another number: so many are folded in a moment.
    pub const SNAPSHOT_EVERY: u64 = 50_000;
}

/// How an authority begins that has no log yet.
#[derive(Clone, Debug)]
pub struct Starting {
    /// The log's name, for ever.
    pub origin: String,
    /// The public key that signs checkpoints, base64.
    pub log_key: String,
    /// How verify is answered.
    pub answers: Answers,
}

/// A running node.
pub struct Node {
    log: Log,
    live: Arc<Live>,
    scribe: Scribe,
    recorder: Recorder,
    usage: Arc<Usage>,
    integrator: Arc<Integrator>,
    audit: Arc<Audit>,
    sweeper: Arc<Sweeper>,
    history: Arc<History>,
    random: Random,
    import_key: ImportKey,
    marks: Arc<Marks>,
    given_up: Option<u64>,
    started_from: u64,
    stop: CancellationToken,
    failed: watch::Receiver<Option<Arc<Fatal>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Checks that the database contains what this node has seen, folds its log, begins the authority if there is
    /// none yet, and starts to serve. `starting` is asked only for an authority that has not begun.
    pub async fn start(
        log: Log,
        options: Options,
        starting: impl FnOnce() -> Result<Starting, Fatal>,
    ) -> Result<Self, Fatal> {
        log.migrate().await?;
        usage::migrate(&log).await?;
        let import_key = ImportKey::new(log.shared_key(IMPORT_KEY, &options.random).await?);
        let (seen, lost, checkpoint) = check_mark(&log, &options).await?;
        let mut writer = log.writer().await?;
        let head = writer.head().await?;
        let live = Arc::new(Live::new(options.clock.unwrap_or_else(|| Clock::new(head.time))));
        let marks = Arc::new(Marks::new(Marker::start(&options.folder), checkpoint));
        let mut cursor = Cursor::new(Arc::clone(&marks));
        let snapshots = open_snapshots(options.folder).await?;
        let started_from = fold(&log, &snapshots, &live, (&mut cursor, &mut writer)).await?;
        let recording = log.writer().await?;
        let feeds = Arc::new(Feeds::default());
        let (waker, wakes) = (Waker::start(&log), wake::listen(&log, POLL));
        let (desk, scribe) = Desk::new(
            Arc::clone(&live),
            writer,
            cursor,
            options.random.clone(),
            (waker, wakes),
            Arc::clone(&feeds),
            options.capacity,
        );
        let (recorder_desk, recorder) = RecorderDesk::new(
            Arc::clone(&live),
            recording,
            Arc::clone(&marks),
            options.random.clone(),
            Arc::clone(&feeds),
            options.capacity,
        );
        let usage = Arc::new(Usage::new(log.clone(), Arc::clone(&live), Arc::clone(&feeds)));
        let integrator =
            Integrator::new(&log, &live, &feeds, options.log_key_file.map(LogKeys::beside), &marks);
        let sweeper = Arc::new(Sweeper::new(&log, &live, &scribe, &usage, &options.random));
        let audit = Arc::new(Audit::new(log.clone(), Arc::clone(&live), feeds));
        let stop = CancellationToken::new();
        let (failing, failed) = watch::channel(None);
        let failing = Arc::new(failing);
        let tasks = vec![
            supervise("scribe", on_its_own(desk, stop.clone())?, Arc::clone(&failing)),
            supervise("recorder", recorder_desk.run(stop.clone()), failing),
        ];
        let mut node = Self {
            history: Arc::new(History::new(audit.reads(), &live, snapshots, options.snapshot_every)),
            log,
            live,
            scribe,
            recorder,
            usage,
            integrator,
            audit,
            sweeper,
            random: options.random,
            import_key,
            marks,
            given_up: lost.as_ref().map(|(expected, ..)| expected.size),
            started_from,
            stop,
            failed,
            tasks,
        };
        node.follow();
        match lost {
            None => node.begin(starting).await?,
            Some((expected, found, origin)) => node.resume(expected, found, origin).await?,
        }
        node.mark(seen).await.map(|()| node)
    }

    /// Starts what follows the log, and what is done every now and then.
    fn follow(&mut self) {
        let stop = || self.stop.clone();
        let tasks = [
            tokio::spawn(sweep(self.log.clone(), Arc::clone(&self.live), stop())),
            tokio::spawn(Arc::clone(&self.usage).follow(stop())),
            tokio::spawn(Arc::clone(&self.integrator).follow(stop())),
            tokio::spawn(Arc::clone(&self.sweeper).run(stop())),
            tokio::spawn(Arc::clone(&self.audit).follow(stop())),
            tokio::spawn(Arc::clone(&self.history).follow(stop())),
        ];
        self.tasks.extend(tasks);
    }

    /// From here on the node's mark follows the log.
    async fn mark(&self, seen: u64) -> Result<(), Fatal> {
        self.marks.release(seen);
        let size = self.log.head().await?.size;
        if let Some(last) = self.log.commit_before(size).await? {
            self.marks.moved(&self.live, size, last.id);
        }
        Ok(())
    }

    /// Enrols that an operator accepted this database.
    async fn resume(&self, expected: LogPlace, found: LogPlace, origin: String) -> Result<(), Fatal> {
        if self.live.read(|state| state.instance().is_none()) {
            return Err(Fatal::Start(
                "the database holds no authority: there is nothing to go on with".to_owned(),
            ));
        }
        let command = Command::Resume(Resume { expected, found, origin: origin.into() });
        let request = Request { command, expected_revision: None, repeat: None };
        match self.job("resume", Work::Command(Box::new(request), None)).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(Fatal::Start(failure.to_string())),
        }
    }

    /// Begins the authority, or brings the built-in roles on its log up to this build.
    async fn begin(&self, starting: impl FnOnce() -> Result<Starting, Fatal>) -> Result<(), Fatal> {
        let command = if self.live.read(|state| state.instance().is_some()) {
            Command::EnrollRoles
        } else {
            let starting = starting()?;
            Command::Start(Start {
                origin: starting.origin.into(),
                log_key: starting.log_key.into(),
                policy: InstancePolicy::new(starting.answers),
            })
        };
        let request = Request { command, expected_revision: None, repeat: None };
        let mut work = Work::Command(Box::new(request), None);
        loop {
            match self.job("start", work).await {
                Ok(_) => return Ok(()),
                Err(Failure::Unavailable | Failure::OutcomeUnknown) => {
                    // What is asked for again is done once: both commands do nothing when they find it done.
                    tokio::time::sleep(START_PAUSE).await;
                    let request =
                        Request { command: Command::EnrollRoles, expected_revision: None, repeat: None };
                    work = Work::Command(Box::new(request), None);
                }
                Err(failure) => {
                    let what = self.failure().map_or_else(|| failure.to_string(), |fatal| fatal.to_string());
                    return Err(Fatal::Start(what));
                }
            }
        }
    }

    /// Does something as a job of the authority's own.
    pub async fn job(&self, job: &'static str, work: Work) -> Result<Answered, Failure> {
        let call = Call {
            presented: Presented::Job(job),
            client: Client::default(),
            request: job.into(),
            operation: job,
            object: None,
            personal: Vec::new(),
        };
        self.scribe.submit(call, work).await
    }

    /// Answers questions about presented tokens, in the way that the authority promises.
    pub async fn verify(&self, call: Call, inquiries: Vec<Inquiry>) -> Result<Answered, Failure> {
        match self.live.answers() {
            Answers::Committed => self.scribe.submit(call, Work::Verify(inquiries)).await,
            Answers::Bounded => self.recorder.verify(call, inquiries),
        }
    }

    /// Hands anything else to the scribe.
    pub async fn submit(&self, call: Call, work: Work) -> Result<Answered, Failure> {
        self.scribe.submit(call, work).await
    }

    /// The live state.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The log for whoever audits it, on connections of their own.
    pub fn audit_log(&self) -> &Log {
        self.audit.reads()
    }

    /// When tokens were last used, as the usage view has it. One that never was is not in the answer.
    pub async fn last_used(
        &self,
        tokens: &[TokenId],
    ) -> Result<HashMap<TokenId, Timestamp>, eventlog::Error> {
        self.usage.last_used(tokens).await
    }

    /// The audit views.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The tokens of a scope that have been unused for more than `days`, up to now. Of the instance, only its own.
    pub async fn inactive(&self, scope: Scope, days: u32) -> Result<Vec<Inactive>, Failure> {
        self.sweeper.inactive(scope, days).await
    }

    /// Revokes what the policy of a scope calls inactive, as whoever calls; says what has been revoked.
    pub async fn sweep(&self, scope: Scope, call: &Call) -> Result<Vec<Inactive>, Failure> {
        self.sweeper.sweep(scope, call).await
    }

    /// Does the sweeps whose time has come, as this node does every half minute; says how many tokens were revoked.
    pub async fn sweep_due(&self) -> Result<usize, Failure> {
        self.sweeper.sweep_due().await
    }

    /// The stored Merkle tree of the log.
    pub fn tree(&self) -> &Tree {
        self.integrator.tree()
    }

    /// The last checkpoint, as it was published: one of at least so many lines, if it comes within five seconds. None
    /// where no node holds the key.
    pub async fn checkpoint(&self, at_least: u64) -> Result<Option<String>, eventlog::Error> {
        self.integrator.checkpoint(at_least).await
    }

    /// Lets another key sign checkpoints, and the present one beside it for a while. Nothing happens where it does
    /// already.
    pub async fn rotate_log_key(&self, key: String, overlap: Duration) -> Result<(), Failure> {
        let command = Command::RotateLogKey(RotateLogKey { key: key.into(), overlap });
        let request = Request { command, expected_revision: None, repeat: None };
        self.job("rotate-log-key", Work::Command(Box::new(request), None)).await.map(drop)
    }

    /// The state as it stood at a moment; none where the log has not come so far.
    pub async fn as_of(&self, moment: domain::history::Moment) -> Result<Option<AsOf>, Failure> {
        self.history.as_of(moment).await
    }

    /// Under which hashes of imported keys are hashed.
    pub fn import_key(&self) -> &ImportKey {
        &self.import_key
    }

    /// Deletes what the events of erasures have left, and what has come to be kept about those persons since, as this
    /// node does every minute; says how many values it were.
    pub async fn erase_again(&self) -> Result<u64, eventlog::Error> {
        people::erase_again(&self.log, &self.live).await
    }

    /// What stands behind commitments. One that was erased is not in the answer.
    pub async fn personal(&self, commitments: &[&str]) -> Result<HashMap<String, Opened>, eventlog::Error> {
        people::open(&self.log, commitments.iter().copied()).await
    }

    /// What tokens were last used for and refused for, about a second ago; with the counts of days if those are wanted.
    /// One that never was presented is not in the answer.
    pub async fn last_uses(
        &self,
        tokens: &[TokenId],
        with_days: bool,
    ) -> Result<HashMap<TokenId, LastUse>, eventlog::Error> {
        self.usage.last_uses(tokens, with_days).await
    }

    /// What tokens were ever used for, and the size of the log that this stands for at least.
    pub async fn permissions_used(
        &self,
        tokens: &[TokenId],
    ) -> Result<(UsedPermissions, u64), eventlog::Error> {
        let (reach, _) = self.usage.reach().await?;
        Ok((self.usage.permissions(tokens).await?, reach))
    }

    /// The generator of ids and secrets.
    pub fn random(&self) -> &Random {
        &self.random
    }

    /// How many questions and commands wait for the scribe.
    pub fn waiting(&self) -> usize {
        self.scribe.waiting()
    }

    /// The lines that this node had seen of a log that an operator gave up by accepting another database at this start.
    pub fn given_up(&self) -> Option<u64> {
        self.given_up
    }

    /// The version of the snapshot that this start went on from, 0 where it folded the whole log.
    pub fn started_from(&self) -> u64 {
        self.started_from
    }

    /// The version of the last snapshot of the state, 0 where there is none.
    pub fn snapshot_version(&self) -> u64 {
        self.history.snapshot_version()
    }

    /// Why the node has stopped by itself, if it has.
    pub fn failure(&self) -> Option<Arc<Fatal>> {
        self.failed.borrow().clone()
    }

    /// Waits until the node stops by itself.
    pub async fn failing(&self) -> Arc<Fatal> {
        let mut failed = self.failed.clone();
        loop {
            if let Some(fatal) = failed.borrow_and_update().clone() {
                return fatal;
            }
            if failed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops taking work, finishes what was taken and writes the mark.
    pub async fn stop(self) -> Result<(), Fatal> {
        self.stop.cancel();
        drop((self.scribe, self.recorder, self.sweeper));
        for task in self.tasks {
            let _ = task.await;
        }
        drop(self.integrator);
        match Arc::into_inner(self.marks) {
            Some(marks) => Ok(marks.stop().await?),
            None => Ok(()),
        }
    }
}

/// What was seen, what there is, and the origin to go on under.
type Lost = (LogPlace, LogPlace, String);

/// Refuses a database that does not contain what this node has seen, unless it is to be accepted. Says the size from
/// which the mark goes on, and the last checkpoint that the node knows of.
async fn check_mark(log: &Log, options: &Options) -> Result<(u64, Option<Lost>, Option<String>), Fatal> {
    let Some(mark) = Mark::load(&options.folder)? else { return Ok((0, None, None)) };
    match (mark::check(&mark, log).await, &options.accept) {
        (Ok(()), _) => Ok((mark.size, None, mark.checkpoint)),
        (Err(eventlog::Error::WentBackwards { .. }), Some(origin)) => {
            let size = log.head().await?.size;
            let last = log.commit_before(size).await?;
            let expected = LogPlace { size: mark.size, commit: mark.commit };
            let found = LogPlace { size, commit: last.map(|commit| commit.id).unwrap_or_default() };
            Ok((0, Some((expected, found, origin.clone())), mark.checkpoint))
        }
        (Err(error), _) => Err(error.into()),
    }
}

async fn open_snapshots(folder: PathBuf) -> Result<Snapshots, Fatal> {
    let opened = tokio::task::spawn_blocking(move || Snapshots::open(&folder)).await;
    opened.map_err(|_| Fatal::Panicked("opening of snapshots"))
}

/// Folds the log, from the last snapshot on if there is one; says its version.
async fn fold(
    log: &Log,
    snapshots: &Snapshots,
    live: &Live,
    (cursor, writer): (&mut Cursor, &mut Writer),
) -> Result<u64, Fatal> {
    let mut started_from = 0;
    if let Some((taken, state)) = snapshots.load(log, |_| true).await? {
        started_from = taken.version;
        cursor.go_on_from(live, &taken, state);
    }
    cursor.catch_up(live, writer).await?;
    Ok(started_from)
}

/// Runs a task; what ends it early ends the node.
fn supervise(
    name: &'static str,
    task: impl Future<Output = Result<(), Fatal>> + Send + 'static,
    failing: Arc<watch::Sender<Option<Arc<Fatal>>>>,
) -> JoinHandle<()> {
    let running = tokio::spawn(task);
    tokio::spawn(async move {
        let ended = running.await.unwrap_or(Err(Fatal::Panicked(name)));
        if let Err(fatal) = ended {
            tracing::error!(task = name, error = %fatal, "the node stops");
            failing.send_replace(Some(Arc::new(fatal)));
        }
    })
}

/// Runs the scribe on a thread of its own; what is returned is its end.
fn on_its_own(
    desk: Desk,
    stop: CancellationToken,
) -> Result<impl Future<Output = Result<(), Fatal>> + Send + 'static, Fatal> {
    let failed = |error: std::io::Error| Fatal::Start(format!("the scribe has no thread: {error}"));
    let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (ended, end) = oneshot::channel();
    let run = move || {
        // Nobody waits for it where the node was dropped.
        let _ = ended.send(runtime.block_on(desk.run(stop)));
    };
    std::thread::Builder::new().name("scribe".to_owned()).spawn(run).map_err(failed)?;
    Ok(async move { end.await.unwrap_or(Err(Fatal::Panicked("scribe"))) })
}

async fn sweep(log: Log, live: Arc<Live>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {
                if let Err(error) = seal::sweep(&log).await {
                    tracing::debug!(%error, "sealed secrets could not be deleted yet");
                }
                if let Err(error) = people::erase_again(&log, &live).await {
                    tracing::warn!(%error, "what came in about erased persons could not be deleted yet");
                }
            }
        }
    }
}
