//! How many long answers a node gives at a time: each goes on as fast as its client takes it.

use crate::app::counted;
use crate::edge::{Problem, codes};
use crate::limits::Counted;
use domain::authority::Caller;
use domain::id::OrganizationId;
use domain::state::State;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;

/// Who has a long answer of one kind.
#[derive(Clone)]
pub(crate) struct Seats {
    limits: Limits,
    taken: Arc<Mutex<HashMap<Holder, usize>>>,
    gauge: Gauge,
}

/// A kind of long answers, and how many of it there may be.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// As a refusal names them.
    pub(crate) name: &'static str,
    /// On a node.
    pub(crate) most: usize,
    /// For the callers of one organization on a node, so that no organization alone takes all.
    pub(crate) most_of_organization: usize,
    /// For one caller on a node.
    pub(crate) most_of_one: usize,
}

/// Who a seat is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    caller: Counted,
    /// The caller's own; none is the instance.
    organization: Option<OrganizationId>,
}

/// A place among them, until it is dropped.
pub(crate) struct Seat {
    seats: Seats,
    holder: Holder,
}

impl Holder {
    pub(crate) fn of(state: &State, caller: &Caller) -> Self {
        let organization = caller.token().and_then(|token| token.scope.organization());
        Self { caller: counted(state, caller), organization }
    }
}

impl Seats {
    /// `metric` says how many are under way, by its name and its help.
    pub(crate) fn new(registry: &mut Registry, limits: Limits, metric: (&str, &str)) -> Self {
        let gauge = Gauge::default();
        registry.register(metric.0, metric.1, gauge.clone());
        Self { limits, taken: Arc::default(), gauge }
    }

    pub(crate) fn take(&self, holder: Holder) -> Result<Seat, Problem> {
        let mut taken = self.taken.lock();
        let count = |fits: &dyn Fn(&Holder) -> bool| -> usize {
            taken.iter().filter(|(other, _)| fits(other)).map(|(_, count)| count).sum()
        };
        let own = taken.get(&holder).copied().unwrap_or_default();
        let Limits { name, most, most_of_organization, most_of_one } = self.limits;
        let is_of_organization = |other: &Holder| other.organization == holder.organization;
        let is_organization_full =
            holder.organization.is_some() && count(&is_of_organization) >= most_of_organization;
        if is_organization_full || count(&|_| true) >= most || own >= most_of_one {
            // How many others there are is nobody's business.
            let detail = format!(
                "A node serves at most {most} {name} at a time, {most_of_organization} to the callers of one \
                 organization and {most_of_one} to one caller; this one has {own}."
            );
            return Err(Problem::new(codes::RATE_LIMITED).detail(detail).retry_after(1));
        }
        taken.insert(holder, own + 1);
        self.gauge.inc();
        Ok(Seat { seats: self.clone(), holder })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
        self.seats.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::TokenId;
    use uuid::Uuid;

    const LIMITS: Limits = Limits { name: "streams", most: 5, most_of_organization: 3, most_of_one: 2 };

    fn seats() -> Seats {
        Seats::new(&mut Registry::default(), LIMITS, ("streams", "Open streams"))
    }

    fn holder(organization: Option<u128>, token: u128) -> Holder {
        let organization = organization.map(|id| OrganizationId(Uuid::from_u128(id)));
        Holder { caller: Counted::Token(TokenId(Uuid::from_u128(token))), organization }
    }

    #[test]
    fn a_seat_is_free_again_when_its_answer_ends() {
        let (seats, one) = (seats(), holder(None, 1));
        let held: Vec<_> = (0..2).map(|_| seats.take(one).ok()).collect();
        assert!(held.iter().all(Option::is_some) && seats.take(one).is_err());
        assert!(seats.take(holder(None, 2)).is_ok());
        drop(held);
        assert!(seats.take(one).is_ok());
        assert_eq!(seats.gauge.get(), 0);
    }

    #[test]
    fn no_organization_takes_the_seats_of_others_by_many_tokens() {
        let seats = seats();
        let held: Vec<_> = (0..3).map(|token| seats.take(holder(Some(1), token)).ok()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(seats.take(holder(Some(1), 9)).is_err());
        let others = [seats.take(holder(Some(2), 10)).ok(), seats.take(holder(None, 11)).ok()];
        assert!(others.iter().all(Option::is_some));
        assert!(seats.take(holder(Some(3), 12)).is_err(), "the node is full");
        drop(held);
        assert!(seats.take(holder(Some(1), 9)).is_ok());
    }
}
