//! Bounded answers: decided from memory at once, recorded within `record_within`.
//!
//! Every use of one window is decided at the window's time, which is the time its line carries, so that a replay
//! decides it the same way. Uses are appended on no condition: each line names the version that it was decided on.
//! What is still to be recorded when the process dies is lost: at most what was answered in the last window, plus the
//! append under way.

use crate::batch::{self, Batch};
use crate::catch_up::{Fatal, Marks};
use crate::feed::Feeds;
use crate::live::Live;
use crate::people::People;
use crate::scribe::is_fatal;
use crate::work::{Answered, Call, Failure, Inquiry, Outcome, Presented, Work};
use domain::authority::{self, Caller, Refused};
use domain::rejection::Rejection;
use domain::state::State;
use domain::time::Timestamp;
use domain::verify::Verdict;
use eventlog::{Appended, Condition, Draft, Error, Place, Point, Random, Writer};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How often a stop tries to record what was answered while the database is away.
const STOP_TRIES: u32 = 2;
/// How many uses one commit takes at most.
const BATCH: usize = 8_192;

/// Answers from memory, and hands the record to a task of its own. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    live: Arc<Live>,
    queue: mpsc::Sender<Record>,
    capacity: u64,
    window: Arc<AtomicI64>,
}

struct Record {
    at: Timestamp,
    seen: u64,
    call: Call,
    inquiries: Vec<Inquiry>,
    answered: Answer,
}

enum Answer {
    Verified(Caller, Vec<Verdict>),
    Rejected(Caller, Rejection),
    Refused(Refused),
}

impl Recorder {
    /// Answers questions from the state as this node knows it, unless that is older than the policy allows.
    pub fn verify(&self, call: Call, inquiries: Vec<Inquiry>) -> Result<Answered, Failure> {
        let weight = inquiries.len().max(1) as u64;
        let stats = &self.live.stats;
        if stats.unrecorded.load(Relaxed) + weight > self.capacity {
            stats.overloads.fetch_add(1, Relaxed);
            return Err(Failure::Overloaded);
        }
        let (at, seen, answered, position) = self.live.read(|state| {
            let policy = state.instance().map(|instance| instance.policy).ok_or(Failure::Stale)?;
            if self.live.staleness() > Duration::from_millis(policy.max_staleness_ms.into()) {
                return Err(Failure::Stale);
            }
            let at = self.window_time(policy.record_within_ms).max(state.last_at());
            let answered = decide(state, &call, &inquiries, at);
            Ok((at, state.version(), answered, self.live.position()))
        })?;
        let result = match &answered {
            Answer::Verified(caller, verdicts) => {
                let verdicts = verdicts.iter().map(|verdict| (verdict.clone(), None)).collect();
                Ok(Answered { caller: caller.clone(), outcome: Outcome::Verified(verdicts), position })
            }
            Answer::Rejected(_, rejection) => Err(Failure::Rejected(rejection.clone())),
            Answer::Refused(refused) => Err(Failure::Unauthenticated(refused.code)),
        };
        // Nothing is recorded of a caller that no token names, and one line of a caller that is refused.
        let (weight, inquiries) = match &answered {
            Answer::Refused(Refused { token: None, .. }) => {
                stats.unknown.fetch_add(1, Relaxed);
                return result;
            }
            Answer::Refused(_) | Answer::Rejected(..) => (1, Vec::new()),
            Answer::Verified(..) => (weight, inquiries),
        };
        stats.unrecorded.fetch_add(weight, Relaxed);
        let record = Record { at, seen, call, inquiries, answered };
        if self.queue.try_send(record).is_err() {
            stats.unrecorded.fetch_sub(weight, Relaxed);
            stats.overloads.fetch_add(1, Relaxed);
            return Err(Failure::Overloaded);
        }
        result
    }

    /// The time of the present window: windows are half as long as the time within which uses are recorded, the
    /// other half is the append's.
    fn window_time(&self, record_within_ms: u32) -> Timestamp {
        let length = i64::from(record_within_ms) * 1_000 / 2;
        let now = self.live.clock().now();
        let began = self.window.load(Relaxed);
        if now - began < length {
            return Timestamp::from_micros(began);
        }
        // Whoever loses this race takes the winner's window.
        let window = match self.window.compare_exchange(began, now, Relaxed, Relaxed) {
            Ok(_) => now,
            Err(other) => other,
        };
        Timestamp::from_micros(window)
    }
}

fn decide(state: &State, call: &Call, inquiries: &[Inquiry], at: Timestamp) -> Answer {
    let caller = match call.presented {
        Presented::Job(job) => Caller::system(job),
        Presented::Outsider(outsider) => Caller::outsider(outsider.by(), call.client.address),
        Presented::Invitation { user, .. } => Caller::invited(user, call.client.address),
        Presented::Credential(credential) => {
            match authority::authenticate(state, credential, at, call.client.address) {
                Ok(caller) => caller,
                Err(refused) => return Answer::Refused(refused),
            }
        }
    };
    match batch::answer(state, &caller, inquiries, at) {
        Ok(verdicts) => Answer::Verified(caller, verdicts),
        Err(rejection) => Answer::Rejected(caller, rejection),
    }
}

/// The recorder's own side.
pub(crate) struct RecorderDesk {
    live: Arc<Live>,
    writer: Writer,
    marks: Arc<Marks>,
    random: Random,
    people: People,
    feeds: Arc<Feeds>,
    queue: mpsc::Receiver<Record>,
}

impl RecorderDesk {
    pub(crate) fn new(
        live: Arc<Live>,
        writer: Writer,
        marks: Arc<Marks>,
        random: Random,
        feeds: Arc<Feeds>,
        capacity: usize,
    ) -> (Self, Recorder) {
        let (sender, queue) = mpsc::channel(capacity.max(1));
        let recorder = Recorder {
            live: Arc::clone(&live),
            queue: sender,
            capacity: capacity as u64,
            window: Arc::new(AtomicI64::new(i64::MIN / 2)),
        };
        (Self { live, writer, marks, random, people: People::default(), feeds, queue }, recorder)
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Fatal> {
        let mut records = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                taken = self.queue.recv_many(&mut records, BATCH) => if taken == 0 { return Ok(()) },
                () = stop.cancelled(), if !self.queue.is_closed() => {
                    self.queue.close();
                    continue;
                }
            }
            if !stop.is_cancelled() {
                // The rest of the window comes along: fewer commits, and still within the time.
                tokio::time::sleep(self.half_window()).await;
                while records.len() < BATCH && self.queue.recv_many(&mut records, BATCH).now_or_nothing() {}
            }
            let mut rest = &records[..];
            while let Some(first) = rest.first() {
                let (same_time, later) = rest.split_at(rest.iter().take_while(|r| r.at == first.at).count());
                self.record(same_time, &stop).await?;
                rest = later;
            }
            records.clear();
        }
    }

    fn half_window(&self) -> Duration {
        let within =
            self.live.read(|state| state.instance().map(|instance| instance.policy.record_within_ms));
        Duration::from_millis(u64::from(within.unwrap_or_default()) / 4)
    }

    async fn record(&mut self, records: &[Record], stop: &CancellationToken) -> Result<(), Fatal> {
        self.people.keep_up(self.live.erasures());
        let mut batch = Batch::new(records[0].at, &mut self.people, &self.random);
        for record in records {
            let (call, seen) = (&record.call, record.seen);
            match &record.answered {
                Answer::Verified(caller, verdicts) => {
                    batch.note_bounded(&self.live, caller, call, &record.inquiries, verdicts, seen);
                }
                Answer::Rejected(caller, rejection) => {
                    batch.note_call(caller, call, Some("tokens:verify"), Some(rejection), Some(seen));
                }
                Answer::Refused(refused) => {
                    let work = Work::Verify(Vec::new());
                    batch.note_unauthenticated(&self.live, call, &work, refused, Some(seen));
                }
            }
        }
        let weight: usize = records.iter().map(|record| record.inquiries.len().max(1)).sum();
        let decided = batch.finish();
        if let Some(draft) = decided.draft
            && let Some(place) = self.append(&draft, weight as u64, stop).await?
        {
            self.marks.moved(&self.live, place.first + u64::from(draft.count), draft.id);
            self.feeds.appended(place, draft, decided.at, decided.uses, decided.has_events);
        }
        self.live.stats.unrecorded.fetch_sub(weight as u64, Relaxed);
        Ok(())
    }

    /// Appends until it is on the log: the answers are out already. Only a stop gives up, and says how much.
    async fn append(
        &mut self,
        draft: &Draft,
        weight: u64,
        stop: &CancellationToken,
    ) -> Result<Option<Place>, Fatal> {
        let mut patience = STOP_TRIES;
        loop {
            let appended = match self.writer.faults().at(Point::Recording).await {
                Err(error) => Err(error),
                Ok(()) => match self.writer.append(draft, Condition::Always).await {
                    Err(Error::OutcomeUnknown { .. }) => self.writer.resolve(draft, Condition::Always).await,
                    other => other,
                },
            };
            match appended {
                Ok(Appended::Committed(place)) => {
                    self.people.stored();
                    self.live.stats.commits.fetch_add(1, Relaxed);
                    self.live.stats.lines.fetch_add(u64::from(draft.count), Relaxed);
                    return Ok(Some(place));
                }
                Ok(Appended::ConditionFailed) => unreachable!("there is no condition"),
                Err(error) if is_fatal(&error) => return Err(error.into()),
                Err(error) => {
                    patience -= u32::from(stop.is_cancelled());
                    if patience == 0 {
                        self.people.dropped();
                        self.live.stats.lost.fetch_add(weight, Relaxed);
                        tracing::error!(uses = weight, %error, "uses that were answered could not be recorded");
                        return Ok(None);
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

/// Takes what a future has ready, without waiting.
trait NowOrNothing {
    fn now_or_nothing(self) -> bool;
}

impl<F: Future<Output = usize>> NowOrNothing for F {
    fn now_or_nothing(self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(std::pin::pin!(self).poll(&mut context), std::task::Poll::Ready(taken) if taken > 0)
    }
}
