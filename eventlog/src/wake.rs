//! Waking the tailers. A wake-up only says "look again": tailing is polling by position, and a node works the
//! same, a little later, when no notification ever arrives.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::error::describe;
use crate::{Log, Point, session};

/// The channel of the notifications. Their payload is empty.
const CHANNEL: &str = "chancery";

/// The poll interval that suits most: what a tailer may be late when notifications fail.
pub const POLL: Duration = Duration::from_millis(500);

/// Between two notifications of one node. Each takes a lock of the whole cluster for its commit.
const PAUSE: Duration = Duration::from_millis(5);

/// Silence after which the listening connection is tried: one that died without a word would never tell.
const SILENCE: Duration = Duration::from_secs(30);

/// Tells all nodes that the log has grown. Cheap to clone; ends with its last clone.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Sending>);

#[derive(Debug)]
struct Sending {
    due: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Waker {
    /// Starts a task that notifies on a connection of the pool, never on the writer's. Call it inside a
    /// runtime.
    pub fn start(log: &Log) -> Waker {
        let due = Arc::new(Notify::new());
        let task = tokio::spawn(send(log.clone(), Arc::clone(&due)));
        Waker(Arc::new(Sending { due, task }))
    }

    /// Call it after a commit. Returns at once; calls while a notification is on its way become one.
    pub fn wake(&self) {
        self.0.due.notify_one();
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A notification that fails is dropped: the others poll, and the next commit notifies again.
async fn send(log: Log, due: Arc<Notify>) {
    loop {
        due.notified().await;
        if log.faults().at(Point::Waking).await.is_err() {
            continue;
        }
        let notify = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL);
        if let Err(error) = log.run("notifying", notify).await {
            tracing::debug!(%error, "a notification was dropped");
            sleep(POLL).await;
        }
        sleep(PAUSE).await;
    }
}

/// Hears of the log's growth. Every clone is woken on its own.
#[derive(Debug, Clone)]
pub struct Wakes {
    heard: watch::Receiver<u64>,
    poll: Duration,
    _task: Arc<Listening>,
}

#[derive(Debug)]
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts listening, on a connection of its own beside the pool. Call it inside a runtime.
pub fn listen(log: &Log, poll: Duration) -> Wakes {
    let (sender, heard) = watch::channel(0);
    let task = tokio::spawn(hear(log.clone(), sender));
    Wakes { heard, poll, _task: Arc::new(Listening(task)) }
}

impl Wakes {
    /// Returns when the log may have grown: after a notification, a lost connection, or the poll interval.
    /// Says so at once if a notification came since the last call. Can be cancelled without losing one.
    pub async fn next(&mut self) {
        // It makes no difference to the caller which it was, nor whether the listening task is alive.
        if let Ok(Err(_)) = timeout(self.poll, self.heard.changed()).await {
            sleep(self.poll).await;
        }
    }

    /// Makes the next [`Wakes::next`] return at once.
    pub fn hurry(&mut self) {
        self.heard.mark_changed();
    }
}

/// Each listener has a pool of its own, because one that is given up may hold its connection for a while.
async fn hear(log: Log, heard: watch::Sender<u64>) {
    let mut pause = Duration::from_millis(50);
    loop {
        match PgListener::connect_with(&log.pool_of_one()).await {
            Ok(mut listener) => {
                pause = Duration::from_millis(50);
                let error = hear_on(&mut listener, &heard).await;
                tracing::debug!(reason = describe(&error), "the listening connection was lost");
            }
            Err(error) => tracing::debug!(reason = describe(&error), "no listening connection: polling"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Listens until the connection fails. Notifications are lost while there is none, so its beginning and its
/// end are wake-ups themselves.
async fn hear_on(listener: &mut PgListener, heard: &watch::Sender<u64>) -> sqlx::Error {
    let wake = || heard.send_modify(|count| *count = count.wrapping_add(1));
    listener.eager_reconnect(false);
    if let Err(error) = listener.listen(CHANNEL).await {
        return error;
    }
    loop {
        wake();
        let error = match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => continue,
            Ok(Ok(None)) => sqlx::Error::WorkerCrashed,
            Ok(Err(error)) => error,
            Err(_) => match session::ping(&mut *listener).await {
                Ok(()) => continue,
                Err(error) => error,
            },
        };
        wake();
        return error;
    }
}
