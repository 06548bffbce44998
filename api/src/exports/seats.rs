//! How many exports a node serves at a time: each reads as fast as its client takes it.

use crate::edge::{Problem, codes};
use crate::limits::Counted;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;

/// Exports of a node.
const MOST: usize = 8;
/// Exports of one caller on a node.
const MOST_OF_ONE: usize = 2;

/// The exports of a node.
#[derive(Clone)]
pub(crate) struct Seats {
    taken: Arc<Mutex<HashMap<Counted, usize>>>,
    gauge: Gauge,
}

/// A place among them, until it is dropped.
pub(crate) struct Seat {
    seats: Seats,
    caller: Counted,
}

impl Seats {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let gauge = Gauge::default();
        registry.register("exports", "Exports under way", gauge.clone());
        Self { taken: Arc::default(), gauge }
    }

    pub(super) fn take(&self, caller: Counted) -> Result<Seat, Problem> {
        let mut taken = self.taken.lock();
        let own = taken.get(&caller).copied().unwrap_or_default();
        if taken.values().sum::<usize>() >= MOST || own >= MOST_OF_ONE {
            // How many others there are is nobody's business.
            let detail = format!(
                "A node serves at most {MOST} exports at a time, {MOST_OF_ONE} to one caller; this one has {own}."
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
    fn a_seat_is_free_again_when_its_export_ends() {
        let seats = Seats::new(&mut Registry::default());
        let held: Vec<_> = (0..MOST_OF_ONE).map(|_| seats.take(Counted::AdminToken).ok()).collect();
        assert!(held.iter().all(Option::is_some) && seats.take(Counted::AdminToken).is_err());
        assert!(seats.take(Counted::Nobody).is_ok());
        drop(held);
        assert!(seats.take(Counted::AdminToken).is_ok());
    }
}
