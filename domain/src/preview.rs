//! What a filter would choose now, before anything is done to it.

use crate::authority::Caller;
use crate::decide::FilterText;
use crate::rejection::Rejection;
use crate::state::{State, Status, Token};
use crate::time::Timestamp;
use std::sync::Arc;

/// Tokens that one step looks at: between two steps, whoever waits for the state has its turn.
const STEP: usize = 4_096;

/// A preview in the making.
pub struct Preview<'a> {
    filter: &'a FilterText,
    limit: usize,
    next: usize,
    /// How many live tokens are chosen.
    pub count: u64,
    /// The first of them that the caller may read, at most as many as were asked for.
    pub first: Vec<Arc<Token>>,
}

impl<'a> Preview<'a> {
    /// Begins one that shows at most `limit` tokens.
    pub fn new(filter: &'a FilterText, limit: usize) -> Self {
        Self { filter, limit, next: 0, count: 0, first: Vec::new() }
    }

    /// Looks at some more tokens; says whether there are any left to look at.
    pub fn step(&mut self, state: &State, caller: &Caller, at: Timestamp) -> Result<bool, Rejection> {
        let (scope, filter) = self.filter.find(state, caller)?;
        let slots = state.tokens().of(scope.organization());
        let end = (self.next + STEP).min(slots.len());
        for token in slots[self.next.min(end)..end].iter().filter_map(|slot| state.tokens().at(*slot)) {
            if !filter.chooses(token) || state.status(token, at) != Status::Live {
                continue;
            }
            self.count += 1;
            if self.first.len() < self.limit && caller.may(state, "tokens:read", token.scope) {
                self.first.push(Arc::clone(token));
            }
        }
        self.next = end;
        Ok(end < slots.len())
    }
}
