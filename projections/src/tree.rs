//! The tree's integrator and the signer of checkpoints.
//!
//! The tree grows once a second while the log does, by one node at a time. A node that holds the key of the log signs what
//! it has come to, and at once when somebody waits for a checkpoint that holds a certain line. No answer waits for it.

use crate::catch_up::Marks;
use crate::feed::Feeds;
use crate::live::Live;
use domain::time::Timestamp;
use eventlog::{Checkpoint, Error, Log, LogKey, LogKeys, Random, Tree, checkpoint};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the log is looked at, and the shortest time between two checkpoints that nobody waits for.
const PERIOD: Duration = Duration::from_secs(1);
/// How often a checkpoint is looked for that somebody waits for.
const POLL: Duration = Duration::from_millis(50);
/// How long somebody waits for a checkpoint.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Integrator {
    log: Log,
    live: Arc<Live>,
    feeds: Arc<Feeds>,
    tree: Tree,
    keys: Option<LogKeys>,
    marks: Arc<Marks>,
    /// The last checkpoint that this node signed or saw. Whatever the database says, it is not contradicted.
    seen: Mutex<Option<Checkpoint>>,
    /// One step at a time.
    turn: tokio::sync::Mutex<()>,
    /// It has been said that the key is not here.
    is_without_key: AtomicBool,
    /// It has been said why checkpoints stand still.
    is_still: AtomicBool,
}

impl Integrator {
    pub(crate) fn new(
        log: &Log,
        live: &Arc<Live>,
        feeds: &Arc<Feeds>,
        keys: Option<LogKeys>,
        marks: &Arc<Marks>,
    ) -> Arc<Self> {
        let tree = Tree::new(log.clone(), Random::system().uuid_v7(0));
        let seen = marks.checkpoint().as_deref().and_then(Checkpoint::of_note);
        Arc::new(Self {
            log: log.clone(),
            live: Arc::clone(live),
            feeds: Arc::clone(feeds),
            tree,
            keys,
            marks: Arc::clone(marks),
            seen: Mutex::new(seen),
            turn: tokio::sync::Mutex::default(),
            is_without_key: AtomicBool::default(),
            is_still: AtomicBool::default(),
        })
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Follows the log until it is told to stop.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let stats = &self.live.stats;
            let done = stats.tree_position.load(Relaxed).min(stats.checkpoint_position.load(Relaxed));
            if self.live.position() > done {
                self.say(self.step(false).await.err().as_ref());
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
                () = self.feeds.tree.filling() => {}
            }
        }
    }

    /// The last checkpoint, of at least so many lines if one comes in time; none where there is none yet.
    pub(crate) async fn checkpoint(&self, at_least: u64) -> Result<Option<String>, Error> {
        let waiting = async {
            let mut is_first = true;
            loop {
                let last = self.last().await?;
                let size = last.as_deref().and_then(Checkpoint::of_note).map(|checkpoint| checkpoint.size);
                if size.is_some_and(|size| size >= at_least) {
                    return Ok(last);
                }
                let holds_key = self.holds_key();
                if size.is_none() && !holds_key {
                    return Ok(None);
                }
                if !std::mem::take(&mut is_first) {
                    tokio::time::sleep(POLL).await;
                }
                if holds_key {
                    self.step(true).await?;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => self.last().await,
        }
    }

    async fn last(&self) -> Result<Option<String>, Error> {
        let origin = self.live.read(|state| state.instance().map(|instance| instance.origin.to_string()));
        match origin {
            Some(origin) => checkpoint::last(&self.log, &origin).await,
            None => Ok(None),
        }
    }

    /// Lets the tree grow, if this node keeps it or must, and signs.
    async fn step(&self, must: bool) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let reach = self.tree.claim().await?;
        self.feeds.tree.want(reach.is_kept);
        let size = if reach.is_kept || must { self.grow(reach).await? } else { reach.size };
        self.live.stats.tree_position.store(size, Relaxed);
        if let Some(last) = self.sign().await? {
            self.live.stats.checkpoint_position.store(last.size, Relaxed);
        } else {
            // Others sign, or nobody: nothing is left to do here.
            self.live.stats.checkpoint_position.store(size, Relaxed);
        }
        Ok(())
    }

    async fn grow(&self, reach: eventlog::tree::Reach) -> Result<u64, Error> {
        let fed = |position| self.feeds.tree.take(position).map(|fed| fed.what);
        match self.tree.follow_with(reach, self.live.position(), fed).await {
            Ok(reached) => Ok(reached.size),
            Err(Error::WentBackwards { .. }) => {
                // An operator accepted another database, or somebody exchanged commits. What was signed stands in the
                // checkpoints, and the tree that comes of what is there now is held against them.
                let reach = self.tree.claim().await?;
                match self.tree.follow(reach.clone()).await {
                    Err(Error::WentBackwards { .. }) => {
                        self.tree.begin_anew(&reach).await?;
                        Ok(0)
                    }
                    other => other.map(|reached| reached.size),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Signs what the tree has come to; none where this node does not hold the key.
    async fn sign(&self) -> Result<Option<Checkpoint>, Error> {
        let Some((origin, keys)) = self.signers() else { return Ok(None) };
        let keys: Vec<&LogKey> = keys.iter().map(|key| &**key).collect();
        let seen = self.seen.lock().clone();
        let last = checkpoint::advance(&self.log, &self.tree, &origin, &keys, seen.as_ref()).await;
        if let Err(Error::Inconsistent { .. } | Error::Corrupt { .. }) = &last {
            self.live.stats.checkpoints_refused.fetch_add(1, Relaxed);
        }
        let last = last?;
        let Some(note) = last else { return Ok(None) };
        let signed = Checkpoint::of_note(&note);
        self.seen.lock().clone_from(&signed);
        self.marks.signed(note);
        Ok(signed)
    }

    /// The origin, and the keys that sign now: the log's and, for a while after a rotation, the one before.
    fn signers(&self) -> Option<(String, Vec<Arc<LogKey>>)> {
        let keys = self.keys.as_ref()?;
        let instance = self.live.read(|state| state.instance().cloned())?;
        let Some(key) = keys.find(&instance.log_key) else {
            if !self.is_without_key.swap(true, Relaxed) {
                tracing::warn!(
                    log_key = %instance.log_key,
                    "this node does not hold the key of the log and signs no checkpoints: copy the file to sign here too"
                );
            }
            return None;
        };
        let now = Timestamp::from_micros(self.live.clock().now());
        let before = instance.log_key_before.as_ref().filter(|(_, until)| now < *until);
        let before = before.and_then(|(before, _)| keys.find(before));
        Some((instance.origin.to_string(), std::iter::once(key).chain(before).collect()))
    }

    fn holds_key(&self) -> bool {
        self.signers().is_some()
    }

    /// Says once what keeps the tree or the signer from going on: loudly if something was changed behind our back.
    fn say(&self, error: Option<&Error>) {
        match error {
            Some(error @ (Error::Inconsistent { .. } | Error::Corrupt { .. }))
                if !self.is_still.swap(true, Relaxed) =>
            {
                tracing::error!(%error, "checkpoints stand still");
            }
            Some(error) => tracing::debug!(%error, "the tree waits"),
            None => self.is_still.store(false, Relaxed),
        }
    }
}
