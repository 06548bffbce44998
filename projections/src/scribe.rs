//! The scribe: the one task of a node that decides and appends.
//!
//! It has a thread of its own. The threads that serve connections look for what the network brought only now and then
//! when they are busy, and a commit whose answer nobody looks for holds up everyone.
//!
//! While one commit is in flight, what arrives waits in the queue and becomes the next: no timers, no added latency
//! when idle. The commit is conditional on no lifecycle event having come in since the state it was decided on; when
//! one has, the scribe folds it, decides everything again and retries. After two lost races it takes the head's lock
//! for one commit, so other nodes can delay it and never starve it.
//!
//! When Postgres goes away, what waits is answered with [`Failure::Unavailable`]: nothing of it happened. A commit
//! that was under way is found out about first; who waits for it is told [`Failure::OutcomeUnknown`] if that takes
//! longer than the log's deadline, and nothing else is decided until it is known.

mod sweeping;

use crate::batch::{Batch, Decided, Held};
use crate::catch_up::{Cursor, Fatal};
use crate::feed::Feeds;
use crate::live::Live;
use crate::people::People;
use crate::work::{Answered, Call, Failure, Work};
use domain::state::State;
use domain::time::Timestamp;
use eventlog::{Appended, Condition, Error, Place, Point, Random, Waker, Wakes, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How many questions and commands one commit takes at most.
const BATCH: usize = 4_096;
/// Of ten that were answered last or were waiting then, how many the next commit waits for.
const GATHERED_OF_TEN: usize = 6;
/// So few are not waited for.
const FEW: usize = 8;
/// How often the queue is looked at while the next commit gathers.
const GATHERING: Duration = Duration::from_micros(20);
/// How long it gathers at most.
const LONGEST_GATHERING: Duration = Duration::from_millis(1);
/// How often requests that are too old to be repeated are forgotten.
const FORGET: Duration = Duration::from_mins(10);
/// How long the scribe pauses between two attempts to find out what became of a commit.
const RESOLVE_PAUSE: Duration = Duration::from_millis(200);

/// The way to the scribe. Cheap to clone; the scribe ends when it is told to stop and has answered what it took.
#[derive(Clone)]
pub struct Scribe {
    queue: mpsc::Sender<Item>,
    waiting: Arc<AtomicUsize>,
    capacity: usize,
    live: Arc<Live>,
}

struct Item {
    call: Call,
    work: Work,
    reply: oneshot::Sender<Result<Answered, Failure>>,
    weight: usize,
}

impl Scribe {
    /// Hands work to the scribe and waits until its record is on the log.
    pub async fn submit(&self, call: Call, work: Work) -> Result<Answered, Failure> {
        let weight = match &work {
            Work::Verify(inquiries) => inquiries.len().max(1),
            Work::Command(..) | Work::Read(_) | Work::Sweep(_) => 1,
        };
        if self.waiting.fetch_add(weight, Relaxed) + weight > self.capacity {
            self.waiting.fetch_sub(weight, Relaxed);
            self.live.stats.overloads.fetch_add(1, Relaxed);
            return Err(Failure::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        // The queue has room for as many items as there may be weight, so it is full only when it is closed.
        if self.queue.try_send(Item { call, work, reply, weight }).is_err() {
            self.waiting.fetch_sub(weight, Relaxed);
            return Err(Failure::Stopping);
        }
        answer.await.unwrap_or(Err(Failure::OutcomeUnknown))
    }

    /// How many questions and commands wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

/// The scribe's own side.
pub(crate) struct Desk {
    pub(crate) live: Arc<Live>,
    pub(crate) writer: Writer,
    pub(crate) cursor: Cursor,
    pub(crate) random: Random,
    pub(crate) waker: Waker,
    pub(crate) wakes: Wakes,
    people: People,
    feeds: Arc<Feeds>,
    queue: mpsc::Receiver<Item>,
    waiting: Arc<AtomicUsize>,
    /// How many were answered last or were waiting then.
    usual: usize,
    /// How long the last commit took.
    took: Duration,
    /// Where the callers run.
    callers: Handle,
    /// The last commit failed because the database was away: said once, not for every batch.
    is_away: bool,
    /// When the memory of repeated requests was last cleared of old ones.
    forgot: Timestamp,
}

/// How one commit ended.
enum Written {
    /// It is on the log, or there was nothing to write and the state is as new as the question.
    Done(Decided, Vec<Held>, Place),
    /// Nothing happened.
    Away(Error),
    /// It may have happened; it was sent then.
    Unknown(Condition, Decided, Duration),
}

impl Desk {
    pub(crate) fn new(
        live: Arc<Live>,
        writer: Writer,
        cursor: Cursor,
        random: Random,
        (waker, wakes): (Waker, Wakes),
        feeds: Arc<Feeds>,
        capacity: usize,
    ) -> (Self, Scribe) {
        let (sender, queue) = mpsc::channel(capacity.max(1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let scribe =
            Scribe { queue: sender, waiting: Arc::clone(&waiting), capacity, live: Arc::clone(&live) };
        let people = People::default();
        (
            Self {
                live,
                writer,
                cursor,
                random,
                waker,
                wakes,
                people,
                feeds,
                queue,
                waiting,
                usual: 0,
                took: Duration::ZERO,
                callers: Handle::current(),
                is_away: false,
                forgot: Timestamp::MIN,
            },
            scribe,
        )
    }

    /// Works until it is told to stop and the queue is empty, or until the log is not what it has to be.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Fatal> {
        self.writer.disconnect();
        let mut items = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                taken = self.queue.recv_many(&mut items, BATCH) => if taken == 0 { break },
                () = self.wakes.next() => match self.look().await {
                    Ok(()) => {
                        self.forget();
                        continue;
                    }
                    Err(fatal) => return self.give_up(fatal),
                },
                () = stop.cancelled(), if !self.queue.is_closed() => {
                    // What was accepted is finished; nothing new comes in.
                    self.queue.close();
                    continue;
                }
                () = tokio::task::yield_now(), if self.live.read(State::is_marking) => {
                    self.live.write(State::mark_some);
                    continue;
                }
            }
            self.gather(&mut items);
            self.forget();
            if let Err(fatal) = self.serve(&mut items, &stop).await {
                return self.give_up(fatal);
            }
            // Under load there is no moment without work, and a revocation of many is marked all the same.
            if self.live.read(State::is_marking) {
                self.live.write(State::mark_some);
            }
        }
        Ok(())
    }

    /// Waits a moment for those who were answered last and ask again, if there are several: a commit costs about the
    /// same whatever is in it, so fewer and fuller ones leave more of the machine for everything else. No longer than a
    /// quarter of what the last commit took, and not at all for the few, or after a failure.
    fn gather(&mut self, items: &mut Vec<Item>) {
        let wanted = if self.usual < FEW { 0 } else { (self.usual * GATHERED_OF_TEN / 10).min(BATCH) };
        let clock = self.live.clock().clone();
        let began = clock.monotonic();
        let patience = (self.took / 4).min(LONGEST_GATHERING);
        while items.len() < wanted && clock.monotonic().saturating_sub(began) < patience {
            // The thread is the scribe's own.
            std::thread::sleep(GATHERING);
            while items.len() < BATCH
                && let Ok(item) = self.queue.try_recv()
            {
                items.push(item);
            }
        }
    }

    /// Looks at the log because it may have grown.
    async fn look(&mut self) -> Result<(), Fatal> {
        if self.writer.faults().at(Point::Looking).await.is_err() {
            return Ok(());
        }
        match self.cursor.catch_up(&self.live, &mut self.writer).await {
            Ok(_) => Ok(()),
            Err(passing) if passing.is_passing() => {
                tracing::debug!(%passing, "the log could not be looked at");
                Ok(())
            }
            Err(fatal) => Err(fatal),
        }
    }

    fn forget(&mut self) {
        let last = self.live.read(State::last_at);
        if last.since(self.forgot) >= FORGET {
            self.forgot = last;
            self.live.write(|state| state.forget(last));
        }
    }

    fn give_up(mut self, fatal: Fatal) -> Result<(), Fatal> {
        self.queue.close();
        self.turn_away([], || Failure::Stopping);
        Err(fatal)
    }

    /// Takes what waits through as many commits as it needs.
    async fn serve(&mut self, items: &mut Vec<Item>, stop: &CancellationToken) -> Result<(), Fatal> {
        while !items.is_empty() {
            let batch: Vec<Item> = items.drain(..batch_length(items)).collect();
            self.commit(batch, items, stop).await?;
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        items: Vec<Item>,
        rest: &mut Vec<Item>,
        stop: &CancellationToken,
    ) -> Result<(), Fatal> {
        let weight: usize = items.iter().map(|item| item.weight).sum();
        let (size, began) = (items.len(), self.live.clock().monotonic());
        let written = self.write(&items).await;
        self.took = self.live.clock().monotonic().saturating_sub(began);
        self.waiting.fetch_sub(weight, Relaxed);
        self.usual = if matches!(written, Ok(Written::Done(..))) { size + self.queue.len() } else { 0 };
        match written {
            Ok(Written::Done(decided, held, place)) => {
                if std::mem::take(&mut self.is_away) {
                    tracing::info!("the database is back");
                }
                self.writer.faults().at(Point::Replying).await?;
                let position = self.live.position();
                // From where those who wait run: woken from here, each would be handed over for itself.
                let released: Vec<_> = items
                    .into_iter()
                    .zip(held)
                    .map(|(item, held)| (item.reply, decided.release(held, place.first, position)))
                    .collect();
                self.callers.spawn(async move {
                    for (reply, answer) in released {
                        // Nobody waits any more when the client has gone; the record stands all the same.
                        let _ = reply.send(answer);
                    }
                });
                Ok(())
            }
            Ok(Written::Away(error)) => {
                self.live.stats.failures.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut self.is_away, true) {
                    tracing::warn!(%error, "the database is away: calls are answered 503");
                }
                answer_all(items, || Failure::Unavailable);
                self.turn_away(rest.drain(..), || Failure::Unavailable);
                Ok(())
            }
            Ok(Written::Unknown(condition, decided, since)) => {
                self.live.stats.failures.fetch_add(1, Relaxed);
                tracing::warn!("the database was lost half-way through a commit");
                answer_all(items, || Failure::OutcomeUnknown);
                self.turn_away(rest.drain(..), || Failure::Unavailable);
                self.find_out(condition, decided, since, stop).await
            }
            Err(fatal) => {
                // It may have come to light only after the commit.
                answer_all(items, || Failure::OutcomeUnknown);
                Err(fatal)
            }
        }
    }

    /// Decides and appends until it is done, nothing can be done, or it is not known.
    async fn write(&mut self, items: &[Item]) -> Result<Written, Fatal> {
        if let [Item { call, work: Work::Sweep(sweep), .. }] = items {
            return self.write_sweep(call, (**sweep).clone()).await;
        }
        let is_erasure = items.iter().any(|item| item.work.is_erasure());
        // An erasure deletes rows that came with any commit before it, so nothing may come in between: it takes the lock.
        for _ in 0..if is_erasure { 0 } else { 2 } {
            if let Some(written) = self.attempt(items).await? {
                return Ok(written);
            }
            self.live.stats.races.fetch_add(1, Relaxed);
            match self.cursor.catch_up(&self.live, &mut self.writer).await {
                Ok(_) => {}
                Err(Fatal::Log(error @ Error::Unavailable { .. })) => return Ok(Written::Away(error)),
                Err(fatal) => return Err(fatal),
            }
        }
        loop {
            self.live.stats.locks.fetch_add(1, Relaxed);
            if let Some(written) = self.attempt_locked(items).await? {
                return Ok(written);
            }
        }
    }

    /// One attempt at a commit; none when somebody else's lifecycle event came first.
    async fn attempt(&mut self, items: &[Item]) -> Result<Option<Written>, Fatal> {
        let since = self.live.clock().monotonic();
        let (decided, held) = self.decide(items)?;
        let Some(draft) = &decided.draft else {
            // Nothing to record, but "there is no such token" has to be true of the log as it is now.
            return Ok(match self.writer.head().await {
                Err(error) if is_fatal(&error) => return Err(error.into()),
                Err(error) => Some(Written::Away(error)),
                Ok(head)
                    if head.last_lifecycle != self.cursor.last_lifecycle
                        && !self.writer.faults().unconditional() =>
                {
                    None
                }
                Ok(head) => {
                    self.live.reached(head.size, since);
                    let place = Place { first: head.size, version: head.version, time: head.time };
                    Some(Written::Done(decided, held, place))
                }
            });
        };
        let condition = Condition::LastLifecycle(self.cursor.last_lifecycle);
        let appended = self.writer.append(draft, condition).await;
        self.settle(appended, condition, decided, held, since).await
    }

    async fn attempt_locked(&mut self, items: &[Item]) -> Result<Option<Written>, Fatal> {
        let since = self.live.clock().monotonic();
        let mut locked = match self.writer.lock().await {
            Ok(locked) => locked,
            Err(error) if is_fatal(&error) => return Err(error.into()),
            Err(error) => return Ok(Some(Written::Away(error))),
        };
        match self.cursor.catch_up_locked(&self.live, &mut locked).await {
            Ok(()) => {}
            Err(Fatal::Log(error @ Error::Unavailable { .. })) => {
                return Ok(Some(Written::Away(error)));
            }
            Err(fatal) => return Err(fatal),
        }
        let size = locked.head().size;
        let (decided, held) = decide(&self.live, &mut self.people, &self.random, asked(items))?;
        let Some(draft) = &decided.draft else {
            let head = locked.head();
            if let Err(error) = locked.release().await {
                return Ok(Some(Written::Away(error)));
            }
            let place = Place { first: head.size, version: head.version, time: head.time };
            return Ok(Some(Written::Done(decided, held, place)));
        };
        let appended = locked.append(draft).await;
        self.settle(appended, Condition::Size(size), decided, held, since).await
    }

    /// What an append's answer means for the state and for who waits.
    async fn settle(
        &mut self,
        appended: Result<Appended, Error>,
        condition: Condition,
        mut decided: Decided,
        held: Vec<Held>,
        since: Duration,
    ) -> Result<Option<Written>, Fatal> {
        match appended {
            Ok(Appended::Committed(place)) => {
                self.writer.faults().at(Point::Folding).await?;
                self.enrolled(&mut decided, place, since)?;
                Ok(Some(Written::Done(decided, held, place)))
            }
            Ok(Appended::ConditionFailed) => {
                self.people.dropped();
                Ok(None)
            }
            Err(Error::OutcomeUnknown { .. }) => Ok(Some(Written::Unknown(condition, decided, since))),
            Err(error) if is_fatal(&error) => Err(error.into()),
            Err(error) => {
                self.people.dropped();
                Ok(Some(Written::Away(error)))
            }
        }
    }

    fn enrolled(&mut self, decided: &mut Decided, place: Place, since: Duration) -> Result<(), Fatal> {
        let draft = decided.draft.take().expect("what is enrolled was sent");
        self.people.stored();
        self.live.clock().observe_since(since, place.time);
        let end = place.first + u64::from(draft.count);
        self.cursor.committed(&self.live, &draft, &decided.events, end, since)?;
        self.live.stats.commits.fetch_add(1, Relaxed);
        self.live.stats.lines.fetch_add(u64::from(draft.count), Relaxed);
        let uses = std::mem::take(&mut decided.uses);
        self.feeds.appended(place, draft, decided.at, uses, decided.has_events);
        if !decided.events.is_empty() {
            self.waker.wake();
        }
        Ok(())
    }

    /// Finds out what became of a commit, however long it takes, or until the node stops. Nothing else is decided
    /// before that.
    async fn find_out(
        &mut self,
        condition: Condition,
        mut decided: Decided,
        since: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Fatal> {
        loop {
            self.turn_away([], || Failure::Unavailable);
            let draft = decided.draft.as_ref().expect("what is in doubt was sent");
            match self.writer.resolve(draft, condition).await {
                Ok(Appended::Committed(place)) => {
                    tracing::info!(commit = %draft.id, "the commit that was in doubt had happened");
                    // The state is as new as the commit, not as the finding out: others may have written since.
                    self.enrolled(&mut decided, place, since)?;
                    return self.look().await;
                }
                Ok(Appended::ConditionFailed) => {
                    tracing::info!(commit = %draft.id, "the commit that was in doubt had not happened");
                    self.people.dropped();
                    return Ok(());
                }
                Err(error) if is_fatal(&error) => return Err(error.into()),
                Err(error) if stop.is_cancelled() => {
                    tracing::error!(commit = %draft.id, %error, "stopping without knowing what became of a commit");
                    return Ok(());
                }
                Err(_) => tokio::time::sleep(RESOLVE_PAUSE).await,
            }
        }
    }

    fn decide(&mut self, items: &[Item]) -> Result<(Decided, Vec<Held>), Fatal> {
        decide(&self.live, &mut self.people, &self.random, asked(items))
    }

    /// Answers everything that was taken and not begun, and everything that waits, with a failure.
    fn turn_away(&mut self, taken: impl IntoIterator<Item = Item>, failure: impl Fn() -> Failure) {
        for item in taken.into_iter().chain(std::iter::from_fn(|| self.queue.try_recv().ok())) {
            self.waiting.fetch_sub(item.weight, Relaxed);
            let _ = item.reply.send(Err(failure()));
        }
    }
}

/// Decides items at one moment: now, and never before the last lifecycle event.
fn decide<'w>(
    live: &Live,
    people: &mut People,
    random: &Random,
    items: impl Iterator<Item = (&'w Call, &'w Work)> + Clone,
) -> Result<(Decided, Vec<Held>), Fatal> {
    let now = Timestamp::from_micros(live.clock().now());
    let at = now.max(live.read(State::last_at));
    people.keep_up(live.erasures());
    let mut batch = Batch::new(at, people, random);
    let held = batch.decide(live, items)?;
    Ok((batch.finish(), held))
}

fn asked(items: &[Item]) -> impl Iterator<Item = (&Call, &Work)> + Clone {
    items.iter().map(|item| (&item.call, &item.work))
}

/// How many items from the start fit into one commit. One always does; a sweep stands alone, and so does an erasure.
fn batch_length(items: &[Item]) -> usize {
    let mut weight = 0;
    let is_alone = |item: &Item| matches!(item.work, Work::Sweep(_)) || item.work.is_erasure();
    if items.first().is_some_and(is_alone) {
        return 1;
    }
    let fits = items.iter().take_while(|item| {
        weight += item.weight;
        weight <= BATCH && !is_alone(item)
    });
    fits.count().max(1)
}

fn answer_all(items: Vec<Item>, failure: impl Fn() -> Failure) {
    for item in items {
        let _ = item.reply.send(Err(failure()));
    }
}

/// Whether an error of the log means that the node has to stop rather than wait.
pub(crate) fn is_fatal(error: &Error) -> bool {
    !matches!(error, Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::Refused { .. })
}
