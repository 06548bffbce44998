//! What this node has appended itself, for what follows the log to take in without reading it back.
//!
//! Three things follow the log: the usage view, the tree and the audit views. Each has a feed of its own, with what it
//! makes of a commit, and each reads off the log whatever its feed does not hold: what other nodes appended, what was
//! appended before it was kept here, and what did not fit. A feed is a way to save that reading and nothing else: what
//! stands for how much of the log is stored with each view, on a condition, wherever the commits came from.

use crate::audit::{Counts, Enrolled};
use crate::usage::{Tallies, Uses};
use domain::time::Timestamp;
use eventlog::{Commit, Draft, Place};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::Notify;
use uuid::Uuid;

/// The most bytes that a feed holds. Past it all are forgotten, and read from the log like anybody else's.
const MOST: usize = 64 * 1024 * 1024;
/// So many make it worth while to take them in before the time.
const MANY: usize = MOST / 8;

/// What is made of one commit of this node's.
pub(crate) struct Fed<T> {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) commit: Uuid,
    pub(crate) what: T,
}

/// How many bytes something takes, roughly.
pub(crate) trait Weigh {
    fn weight(&self) -> usize;
}

/// Commits of this node, in their order, while somebody takes them.
pub(crate) struct Feed<T> {
    wanted: AtomicBool,
    queue: Mutex<Queue<T>>,
    filling: Notify,
}

struct Queue<T> {
    commits: VecDeque<Fed<T>>,
    weight: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { commits: VecDeque::new(), weight: 0 }
    }
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self { wanted: AtomicBool::default(), queue: Mutex::default(), filling: Notify::default() }
    }
}

impl<T: Weigh> Feed<T> {
    /// Whether anybody takes what is put in.
    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Relaxed);
        if !wanted {
            let forgotten = std::mem::take(&mut *self.queue.lock());
            drop(forgotten);
        }
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Another commit is on the log.
    fn put(&self, (first, end, commit): (u64, u64, Uuid), what: T) {
        let fed = Fed { first, end, commit, what };
        let mut forgotten = Queue::default();
        let mut queue = self.queue.lock();
        if queue.weight + weight(&fed) > MOST {
            forgotten = std::mem::take(&mut *queue);
        }
        let before = queue.weight;
        queue.weight += weight(&fed);
        if before < MANY && queue.weight >= MANY {
            self.filling.notify_one();
        }
        // The scribe and the recorder both append, and need not come here in the order of the log.
        let place = queue.commits.partition_point(|other| other.first < fed.first);
        queue.commits.insert(place, fed);
        drop(queue);
        // Nobody waits for memory to be given back.
        drop(forgotten);
    }

    /// The commit that begins there, and forgets those before it.
    pub(crate) fn take(&self, position: u64) -> Option<Fed<T>> {
        let mut queue = self.queue.lock();
        while let Some(fed) = queue.commits.pop_front_if(|fed| fed.first <= position) {
            queue.weight -= weight(&fed);
            if fed.first == position {
                return Some(fed);
            }
        }
        None
    }

    /// Where the next commit begins.
    pub(crate) fn next(&self) -> Option<u64> {
        self.queue.lock().commits.front().map(|fed| fed.first)
    }

    /// Waits until there is so much that it is better taken in now than later.
    pub(crate) async fn filling(&self) {
        self.filling.notified().await;
    }
}

/// A commit of which nothing is taken in takes room as well.
fn weight<T: Weigh>(fed: &Fed<T>) -> usize {
    size_of::<Fed<T>>() + fed.what.weight()
}

/// The feeds of all that follows the log.
#[derive(Default)]
pub(crate) struct Feeds {
    pub(crate) usage: Feed<Uses>,
    pub(crate) tree: Feed<Commit>,
    pub(crate) audit: Feed<Enrolled>,
}

impl Feeds {
    /// A commit of this node's is on the log: a draft at its place, with the uses that its lines record, all at one time.
    /// `has_events` where there are other lines than uses of tokens in it.
    pub(crate) fn appended(
        &self,
        place: Place,
        draft: Draft,
        at: Timestamp,
        uses: Tallies,
        has_events: bool,
    ) {
        let id = draft.id;
        let spot = (place.first, place.first + u64::from(draft.count), id);
        let commit = Commit {
            id,
            first: place.first,
            count: draft.count,
            version: place.version,
            lifecycle: draft.lifecycle,
            committed_at: place.time,
            lines: draft.lines,
        };
        if self.audit.is_wanted() {
            let enrolled = if has_events {
                Enrolled::Lines(commit.clone())
            } else {
                let counted = uses.iter().map(|(token, tally)| (*token, tally.counts));
                Enrolled::Uses(at, counted.filter(|(_, counts)| *counts != Counts::default()).collect())
            };
            self.audit.put(spot, enrolled);
        }
        if self.usage.is_wanted() {
            self.usage.put(spot, Uses { at, tallies: uses });
        }
        if self.tree.is_wanted() {
            self.tree.put(spot, commit);
        }
    }
}

impl Weigh for Commit {
    fn weight(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heavy(usize);

    impl Weigh for Heavy {
        fn weight(&self) -> usize {
            self.0
        }
    }

    fn put(feed: &Feed<Heavy>, first: u64, weight: usize) {
        feed.put((first, first + 2, Uuid::from_u128(first.into())), Heavy(weight));
    }

    #[test]
    fn commits_come_out_in_the_log_s_order_and_old_ones_go() {
        let feed = Feed::default();
        for first in [4, 0, 9] {
            put(&feed, first, 1);
        }
        assert_eq!(feed.next(), Some(0));
        assert!(feed.take(2).is_none(), "a commit before it is passed over");
        assert_eq!(feed.next(), Some(4));
        assert_eq!(feed.take(4).map(|fed| fed.end), Some(6));
        assert!(feed.take(6).is_none(), "another node's is not here");
        assert_eq!(feed.take(9).map(|fed| fed.first), Some(9));
        assert_eq!(feed.queue.lock().weight, 0);
    }

    #[tokio::test]
    async fn what_is_too_much_is_forgotten_and_what_is_much_is_told() {
        let feed = Feed::default();
        put(&feed, 0, MOST / 2);
        feed.filling().await;
        put(&feed, 2, MOST / 2);
        assert_eq!(feed.next(), Some(2));
        feed.want(false);
        assert_eq!((feed.next(), feed.queue.lock().weight), (None, 0));
    }
}
