//! What this node has appended itself, for the view to take in without reading it back from the log.

use super::tally::Tallies;
use domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use uuid::Uuid;

/// The most uses that are kept. Past it all are forgotten, and read from the log like anybody else's.
const MOST: usize = 1 << 18;

/// The uses of one commit.
pub(crate) struct Uses {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) commit: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) tallies: Tallies,
}

/// Commits of this node, in their order, while it keeps the view.
#[derive(Default)]
pub(crate) struct Feed {
    wanted: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    commits: VecDeque<Uses>,
    weight: usize,
}

/// A commit without uses takes room as well.
fn weight(uses: &Uses) -> usize {
    uses.tallies.len() + 1
}

impl Feed {
    /// Whether anybody takes what is put in.
    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Relaxed);
        if !wanted {
            *self.queue.lock() = Queue::default();
        }
    }

    /// Another commit is on the log.
    pub(crate) fn put(&self, uses: impl FnOnce() -> Uses) {
        if !self.wanted.load(Relaxed) {
            return;
        }
        let uses = uses();
        let mut queue = self.queue.lock();
        if queue.weight + weight(&uses) > MOST {
            *queue = Queue::default();
        }
        queue.weight += weight(&uses);
        // The scribe and the recorder both append, and need not come here in the order of the log.
        let place = queue.commits.partition_point(|other| other.first < uses.first);
        queue.commits.insert(place, uses);
    }

    /// The commit that begins there, and forgets those before it.
    pub(crate) fn take(&self, position: u64) -> Option<Uses> {
        let mut queue = self.queue.lock();
        while let Some(uses) = queue.commits.pop_front_if(|uses| uses.first <= position) {
            queue.weight -= weight(&uses);
            if uses.first == position {
                return Some(uses);
            }
        }
        None
    }

    /// Where the next commit begins.
    pub(crate) fn next(&self) -> Option<u64> {
        self.queue.lock().commits.front().map(|uses| uses.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tally::Tally;
    use domain::id::TokenId;

    fn uses(first: u64, count: u64) -> Uses {
        let token = |token: u64| (TokenId(Uuid::from_u128(token.into())), Tally::default());
        let tallies = (0..count).map(token).collect();
        let at = Timestamp::from_micros(0);
        Uses { first, end: first + count, commit: Uuid::from_u128(first.into()), at, tallies }
    }

    #[test]
    fn commits_come_out_in_the_log_s_order_and_old_ones_go() {
        let feed = Feed::default();
        feed.put(|| unreachable!("nobody wants it"));
        feed.want(true);
        for first in [4, 0, 9] {
            feed.put(|| uses(first, 2));
        }
        assert_eq!(feed.next(), Some(0));
        assert!(feed.take(2).is_none(), "a commit before it is passed over");
        assert_eq!(feed.next(), Some(4));
        assert_eq!(feed.take(4).map(|uses| uses.end), Some(6));
        assert!(feed.take(6).is_none());
        assert_eq!(feed.take(9).map(|uses| uses.first), Some(9));
        assert_eq!(feed.queue.lock().weight, 0);
    }

    #[test]
    fn what_is_too_much_is_forgotten() {
        let feed = Feed::default();
        feed.want(true);
        feed.put(|| uses(0, 1 << 17));
        feed.put(|| uses(1 << 17, 1 << 17));
        assert_eq!(feed.next(), Some(1 << 17));
        feed.want(false);
        assert_eq!(feed.next(), None);
    }
}
