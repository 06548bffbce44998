//! The state as it was, for bounded uses: their lines come some moments after the version that they were decided on.

use super::page::{Item, Stopped};
use super::{Addresses, Report, apply};
use domain::line::Line;
use domain::replay::{Clock, again};
use domain::state::State;
use std::collections::{BTreeMap, VecDeque};

/// How many lifecycle lines the state may be behind.
const LINES: usize = 65_536;
/// How many uses may wait for it.
const USES: usize = 100_000;

/// A state that follows the log at a distance, and the uses that wait for it.
pub(super) struct Behind {
    state: State,
    /// What it has not folded yet.
    lines: VecDeque<(u64, Line)>,
    /// Lines of uses and their positions, by the version that they were decided on.
    waiting: BTreeMap<u64, Vec<(u64, Box<str>)>>,
    uses: usize,
}

impl Behind {
    pub(super) fn new(state: State) -> Self {
        Self { state, lines: VecDeque::new(), waiting: BTreeMap::new(), uses: 0 }
    }

    /// The log has one more lifecycle line.
    pub(super) fn folded(
        &mut self,
        position: u64,
        line: &Line,
        addresses: &Addresses,
        report: &mut Report,
    ) -> Result<(), Stopped> {
        self.lines.push_back((position, line.clone()));
        while self.lines.len() > LINES || self.uses > USES && !self.lines.is_empty() {
            self.step(addresses, report)?;
        }
        Ok(())
    }

    /// A use that was decided on an earlier version.
    pub(super) fn wait(&mut self, position: u64, seen: u64, text: &str) {
        self.waiting.entry(seen).or_default().push((position, text.into()));
        self.uses += 1;
    }

    /// Everything that waits is decided.
    pub(super) fn finish(&mut self, addresses: &Addresses, report: &mut Report) -> Result<(), Stopped> {
        while !self.lines.is_empty() {
            self.step(addresses, report)?;
        }
        Ok(())
    }

    /// Decides what was decided on this version, and goes on to the next.
    fn step(&mut self, addresses: &Addresses, report: &mut Report) -> Result<(), Stopped> {
        let later = self.waiting.split_off(&(self.state.version() + 1));
        for (seen, uses) in std::mem::replace(&mut self.waiting, later) {
            self.uses -= uses.len();
            if seen < self.state.version() {
                report.too_far_back += uses.len() as u64;
                continue;
            }
            let mut clock = Clock::default();
            for (position, text) in &uses {
                let item = Item::read(text, &mut clock);
                let item = item.map_err(|why| Stopped { position: *position, why })?;
                let (used, _) = item.used().expect("only uses of tokens wait");
                let found = again(&self.state, &used, |text| addresses.open(text));
                report.count(*position, &used, found);
            }
        }
        match self.lines.pop_front() {
            Some((position, line)) => apply(&mut self.state, &line, position),
            None => Ok(()),
        }
    }
}
