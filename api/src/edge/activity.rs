//! What is known of each connection's progress, and what is done about those that keep the server waiting.
//!
//! Connections carry no timers and poll no shared signal, because both would be paid for with every wake-up.
//! Instead each one notes its progress in a few plain atomics, and one sweep a tick over all of them finds
//! those that keep the server waiting and wakes them with an order. This also bounds what hyper's own header
//! timeout does not see: a client that never sends the first byte, or never reads its answer.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::serve::Limits;

/// What a connection has been told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Answer what was accepted, accept nothing more, close.
    Finish,
    /// Close at once.
    Drop,
}

/// The progress of one connection. Each field is a hint for the sweep, so relaxed ordering does.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Wakes the connection's task. Kept after a wake-up, because several orders may follow each other.
    waker: Mutex<Option<Waker>>,
    order: AtomicU8,
    /// Requests whose answers are not yet wholly handed to hyper.
    open: AtomicU32,
    /// Requests that ever came.
    requests: AtomicU32,
    /// Bytes came since the last request's head.
    heard: AtomicBool,
    http2: AtomicBool,
    /// The last write found the socket full.
    blocked: AtomicBool,
    writes: AtomicU32,
}

impl Activity {
    fn tell(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }

    /// The task that serves the connection, to be woken when there is an order for it. To be called before the
    /// task looks at its order for the first time.
    pub(super) fn is_driven_by(&self, waker: &Waker) {
        // Under the lock, so that an order which found no waker here is seen by the look that follows.
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    pub(super) fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::Serve,
            1 => Order::Finish,
            _ => Order::Drop,
        }
    }

    pub(super) fn request_began(&self, http2: bool) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        self.heard.store(false, Ordering::Relaxed);
        if http2 {
            self.http2.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn request_ended(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        // What came since the head was the request's body.
        self.heard.store(false, Ordering::Relaxed);
    }

    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Pending => self.blocked.store(true, Ordering::Relaxed),
            Poll::Ready(_) => {
                self.writes.fetch_add(1, Ordering::Relaxed);
                if self.blocked.load(Ordering::Relaxed) {
                    self.blocked.store(false, Ordering::Relaxed);
                }
            }
        }
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    next: u64,
    watched: HashMap<u64, Watched>,
}

/// A connection as the sweep sees it: what it saw last, and for how long nothing has moved.
#[derive(Debug)]
struct Watched {
    activity: Arc<Activity>,
    requests: u32,
    writes: u32,
    head: Duration,
    idle: Duration,
    stalled: Duration,
}

impl Watched {
    /// What the connection is to do, given that another `tick` has passed.
    fn examine(&mut self, tick: Duration, limits: &Limits) -> Order {
        let seen = &self.activity;
        let writes = seen.writes.load(Ordering::Relaxed);
        let blocked = seen.blocked.load(Ordering::Relaxed) && writes == self.writes;
        self.writes = writes;
        self.stalled = if blocked { self.stalled + tick } else { Duration::ZERO };
        if self.stalled >= limits.write_stall {
            return Order::Drop;
        }
        let requests = seen.requests.load(Ordering::Relaxed);
        if seen.open.load(Ordering::Relaxed) > 0 || requests != self.requests {
            self.requests = requests;
            (self.head, self.idle) = (Duration::ZERO, Duration::ZERO);
            return Order::Serve;
        }
        // HTTP/2 frames that are not requests (pings, window updates) are no half-sent head. A connection that
        // has not yet brought a first request has nothing to be idle after: it is held to the head's limit.
        let in_head =
            requests == 0 || seen.heard.load(Ordering::Relaxed) && !seen.http2.load(Ordering::Relaxed);
        self.head = if in_head { self.head + tick } else { Duration::ZERO };
        self.idle += tick;
        if self.head >= limits.header_read || self.idle >= limits.idle * 2 {
            Order::Drop
        } else if self.idle >= limits.idle {
            Order::Finish
        } else {
            Order::Serve
        }
    }
}

impl Connections {
    /// Takes note of a new connection. It leaves the table when its [`Seat`] is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Seat {
        let activity = Arc::new(Activity::default());
        let mut table = self.table();
        let id = table.next;
        table.next += 1;
        let watched = Watched {
            activity: Arc::clone(&activity),
            requests: 0,
            writes: 0,
            head: Duration::ZERO,
            idle: Duration::ZERO,
            stalled: Duration::ZERO,
        };
        table.watched.insert(id, watched);
        Seat { id, activity, connections: Arc::clone(self) }
    }

    /// Looks at every connection after another `tick`, and ends those that used up a limit.
    pub(super) fn sweep(&self, tick: Duration, limits: &Limits) {
        for watched in self.table().watched.values_mut() {
            let order = watched.examine(tick, limits);
            if order > watched.activity.order() {
                watched.activity.tell(order);
            }
        }
    }

    /// Gives every connection the same order, and says how many there are.
    pub(super) fn tell_all(&self, order: Order) -> usize {
        let table = self.table();
        for watched in table.watched.values() {
            watched.activity.tell(order);
        }
        table.watched.len()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place in the table.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    pub(super) activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.table().watched.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of a second until each order, for a connection to which `happens` has happened.
    fn orders(happens: impl FnOnce(&Activity)) -> Vec<(u32, Order)> {
        let connections = Arc::new(Connections::default());
        let seat = connections.enter();
        happens(&seat.activity);
        let limits = Limits::default();
        let mut orders = Vec::new();
        for second in 1..=200 {
            connections.sweep(Duration::from_secs(1), &limits);
            let order = seat.activity.order();
            if orders.last().map_or(Order::Serve, |(_, last)| *last) != order {
                orders.push((second, order));
            }
        }
        orders
    }

    #[test]
    fn each_kind_of_waiting_has_its_limit() {
        let silent = orders(|_| {});
        assert_eq!(silent, [(10, Order::Drop)]);
        // One sweep passes in noticing the request itself.
        let idle = orders(|activity| {
            activity.request_began(false);
            activity.heard();
            activity.request_ended();
        });
        assert_eq!(idle, [(76, Order::Finish), (151, Order::Drop)]);
        let half_a_head = orders(|activity| {
            activity.request_began(false);
            activity.request_ended();
            activity.heard();
        });
        assert_eq!(half_a_head, [(11, Order::Drop)]);
        let pinging = orders(|activity| {
            activity.request_began(true);
            activity.request_ended();
            activity.heard();
        });
        assert_eq!(pinging, [(76, Order::Finish), (151, Order::Drop)]);
        let working = orders(|activity| activity.request_began(false));
        assert_eq!(working, []);
        let unread = orders(|activity| {
            activity.request_began(false);
            activity.wrote(&Poll::Pending);
        });
        assert_eq!(unread, [(30, Order::Drop)]);
    }

    #[test]
    fn a_seat_leaves_the_table() {
        let connections = Arc::new(Connections::default());
        let seat = connections.enter();
        assert_eq!(connections.tell_all(Order::Finish), 1);
        assert_eq!(seat.activity.order(), Order::Finish);
        drop(seat);
        assert_eq!(connections.tell_all(Order::Drop), 0);
    }
}
