//! How many long answers a node gives at a time: each goes on as fast as its client takes it.

use crate::edge::{Problem, codes};
use crate::limits::Counted;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;

/// Who has a long answer of one kind.
#[derive(Clone)]
pub(crate) struct Seats {
    limits: Limits,
    taken: Arc<Mutex<HashMap<Counted, usize>>>,
    gauge: Gauge,
}

/// A kind of long answers, and how many of it there may be.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// As a refusal names them.
    pub(crate) name: &'static str,
    /// On a node.
    pub(crate) most: usize,
    /// For one caller on a node.
    pub(crate) most_of_one: usize,
}

/// A place among them, until it is dropped.
pub(crate) struct Seat {
    seats: Seats,
    caller: Counted,
}

impl Seats {
    /// `metric` says how many are under way, by its name and its help.
    pub(crate) fn new(registry: &mut Registry, limits: Limits, metric: (&str, &str)) -> Self {
        let gauge = Gauge::default();
        registry.register(metric.0, metric.1, gauge.clone());
        Self { limits, taken: Arc::default(), gauge }
    }

    pub(crate) fn take(&self, caller: Counted) -> Result<Seat, Problem> {
        let mut taken = self.taken.lock();
        let own = taken.get(&caller).copied().unwrap_or_default();
        let Limits { name, most, most_of_one } = self.limits;
        if taken.values().sum::<usize>() >= most || own >= most_of_one {
            // How many others there are is nobody's business.
            let detail = format!(
                "A node serves at most {most} {name} at a time, {most_of_one} to one caller; this one has {own}."
            );
            return Err(Problem::new(codes::RATE_LIMITED).detail(detail).retry_after(1));
        }
        taken.insert(caller, own + 1);
        self.gauge.inc();
        Ok(Seat { seats: self.clone(), caller })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(count) = taken.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.caller);
            }
        }
        self.seats.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_answer_ends() {
        let limits = Limits { name: "streams", most: 3, most_of_one: 2 };
        let seats = Seats::new(&mut Registry::default(), limits, ("streams", "Open streams"));
        let held: Vec<_> = (0..2).map(|_| seats.take(Counted::AdminToken).ok()).collect();
        assert!(held.iter().all(Option::is_some) && seats.take(Counted::AdminToken).is_err());
        assert!(seats.take(Counted::Nobody).is_ok());
        drop(held);
        assert!(seats.take(Counted::AdminToken).is_ok());
    }
}
