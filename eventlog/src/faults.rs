//! Points at which a test can hold up, fail or end what a node does, so that every moment between two steps can be
//! looked at without luck.
//!
//! There is something to them only with the feature `faults`, which the shipped program is built without. With it,
//! they still do nothing until a test in the same process says so for one node's log: no variable, file or request
//! reaches them.

#[cfg(feature = "faults")]
use crate::Error;
#[cfg(feature = "faults")]
use std::collections::HashMap;
#[cfg(feature = "faults")]
use std::sync::Arc;
#[cfg(feature = "faults")]
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
#[cfg(feature = "faults")]
use tokio::sync::watch;

/// A moment between two steps, and what an error at it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// An append is about to be sent: the connection is lost, and the request with it.
    Sending,
    /// The server has answered an append or a commit: the connection is lost, and the answer with it.
    Answered,
    /// A commit in doubt was sent again, and the snapshot that explains the answer is about to be read: it cannot be.
    Resolving,
    /// The head's lock is held and nothing is appended: the lock is given back.
    Locked,
    /// Appended under the lock and about to be committed: the connection is lost.
    Committing,
    /// On the log and not yet folded: the node stops.
    Folding,
    /// Folded, and nobody is answered yet: the node stops.
    Replying,
    /// The other nodes are about to be notified: they are not.
    Waking,
    /// The head is read and the lines before it are not: the database is away.
    CatchingUp,
    /// A notification or the poll says that the log may have grown: it goes unheard.
    Looking,
    /// Uses that were answered from memory are about to be appended: the database is away.
    Recording,
    /// Rows of a view are about to be stored: they are not.
    Projecting,
    /// Rows of a view are stored, and nobody knows yet: the answer is lost.
    Projected,
}

/// What happens at a point.
#[cfg(feature = "faults")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The error that the point stands for.
    Error,
    /// Nothing, until [`Faults::clear`] or another plan.
    Pause,
    /// The task panics.
    Panic,
}

/// The faults of one node. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    #[cfg(feature = "faults")]
    plans: Arc<watch::Sender<HashMap<Point, Plan>>>,
    #[cfg(feature = "faults")]
    unconditional: Arc<AtomicBool>,
}

#[cfg(feature = "faults")]
#[derive(Debug)]
struct Plan {
    /// Tells it from the plans before and after it.
    number: u64,
    fault: Fault,
    left: u64,
    met: u64,
}

#[cfg(not(feature = "faults"))]
impl Faults {
    /// Nothing.
    pub fn at(&self, _point: Point) -> std::future::Ready<Result<(), crate::Error>> {
        std::future::ready(Ok(()))
    }

    /// No.
    pub fn unconditional(&self) -> bool {
        false
    }
}

#[cfg(feature = "faults")]
impl Faults {
    /// Meets what is planned for this point.
    pub async fn at(&self, point: Point) -> Result<(), Error> {
        match self.take(point) {
            None => Ok(()),
            Some((Fault::Error, _)) => Err(Error::Unavailable {
                doing: "working under test",
                reason: format!("a fault was planned at {point:?}"),
            }),
            Some((Fault::Panic, _)) => panic!("a fault was planned at {point:?}"),
            Some((Fault::Pause, number)) => {
                let over =
                    |plans: &HashMap<Point, Plan>| plans.get(&point).is_none_or(|plan| plan.number != number);
                // The sender lives as long as this, so the wait ends only when the plan has gone.
                let _ = self.plans.subscribe().wait_for(over).await;
                Ok(())
            }
        }
    }

    /// Plans a fault for the next so many times that a point is come to, in place of an earlier plan, whose pauses
    /// end.
    pub fn plan(&self, point: Point, fault: Fault, times: u64) {
        self.plans.send_modify(|plans| {
            let number = plans.get(&point).map_or(0, |plan| plan.number + 1);
            plans.insert(point, Plan { number, fault, left: times, met: 0 });
        });
    }

    /// Ends a plan, and the pauses of it.
    pub fn clear(&self, point: Point) {
        self.plans.send_modify(|plans| {
            plans.remove(&point);
        });
    }

    /// Waits until the present plan for a point was met so often.
    pub async fn met(&self, point: Point, times: u64) {
        let met = |plans: &HashMap<Point, Plan>| plans.get(&point).is_some_and(|plan| plan.met >= times);
        let _ = self.plans.subscribe().wait_for(met).await;
    }

    /// From now on uses are appended on no condition, and what is unknown is not looked for again: what the system
    /// would be without the idea that carries it. Shows that tests of it can fail.
    pub fn drop_the_condition(&self) {
        self.unconditional.store(true, SeqCst);
    }

    /// Whether that was said.
    pub fn unconditional(&self) -> bool {
        self.unconditional.load(SeqCst)
    }

    fn take(&self, point: Point) -> Option<(Fault, u64)> {
        if self.plans.borrow().is_empty() {
            return None;
        }
        let mut taken = None;
        self.plans.send_if_modified(|plans| {
            if let Some(plan) = plans.get_mut(&point).filter(|plan| plan.left > 0) {
                (plan.left, plan.met) = (plan.left - 1, plan.met + 1);
                taken = Some((plan.fault, plan.number));
            }
            taken.is_some()
        });
        taken
    }
}
