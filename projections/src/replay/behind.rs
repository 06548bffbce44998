//! The state as it was, for bounded uses: their lines come some moments after the version that they were decided on.

use super::page::{Item, Stopped};
use super::{Addresses, Report, apply, too_early};
use domain::line::Line;
use domain::replay::{Clock, UseLine, again};
use domain::state::State;
use domain::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many lifecycle lines the state may be behind.
const LINES: usize = 65_536;
/// How many uses may wait for it.
const USES: usize = 100_000;
/// By how much the clocks of two nodes may differ: both follow the database's.
const SKEW: Duration = Duration::from_secs(2);

/// A state that follows the log at a distance, and the uses that wait for it.
pub(super) struct Behind {
    state: State,
    /// What it has not folded yet.
    lines: VecDeque<(u64, Line)>,
    /// Lines of uses and their positions, by the version that they were decided on.
    waiting: BTreeMap<u64, Vec<(u64, Box<str>)>>,
    uses: usize,
    /// When something was first decided on a version that whoever decided it had read off the log.
    visible: BTreeMap<u64, Timestamp>,
}

impl Behind {
    pub(super) fn new(state: State) -> Self {
        Self { state, lines: VecDeque::new(), waiting: BTreeMap::new(), uses: 0, visible: BTreeMap::new() }
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

    /// Something was decided on a version, at a time later than that of the version's last event: it had been on the log.
    pub(super) fn visible(&mut self, version: u64, at: Timestamp) {
        self.visible.entry(version).and_modify(|first| *first = at.min(*first)).or_insert(at);
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
        let is_waited_for = self.waiting.contains_key(&self.state.version());
        let until = if is_waited_for { self.good_until() } else { None };
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
                if used.at < self.state.last_at() {
                    report.differ(*position, &used, || too_early(&self.state));
                    continue;
                }
                if until.is_some_and(|until| used.at > until) {
                    report.differ(*position, &used, || self.too_old(&used));
                    continue;
                }
                let found = again(&self.state, &used, |text| addresses.open(text));
                report.count(*position, &used, found);
            }
        }
        self.visible = self.visible.split_off(&(self.state.version() + 1));
        match self.lines.pop_front() {
            Some((position, line)) => apply(&mut self.state, &line, position),
            None => Ok(()),
        }
    }

    /// Until when answers on the present version may be given at most; none while there is nothing to tell it by. An
    /// event's own time is when it was decided: how long it then took to the log, nobody knows. But whoever decided
    /// something on it at a later time had it from there, so that by then every node could.
    fn good_until(&self) -> Option<Timestamp> {
        let (_, next) = self.lines.front()?;
        let version = self.state.version() + 1;
        let decided = self.visible.range(version..).map(|(_, at)| *at).filter(|at| *at > next.at).min();
        let followed = self.lines.iter().map(|(_, line)| line.at).find(|at| *at > next.at);
        let visible = match (decided, followed) {
            (Some(decided), Some(followed)) => decided.min(followed),
            (decided, followed) => decided.or(followed)?,
        };
        let policy = self.state.instance()?.policy;
        // Uses carry the time at which their window began.
        let allowed = u64::from(policy.max_staleness_ms) + u64::from(policy.record_within_ms);
        Some(visible.after(Duration::from_millis(allowed) + SKEW))
    }

    fn too_old(&self, used: &UseLine<'_>) -> String {
        let allowed = self.state.instance().map_or(0, |instance| instance.policy.max_staleness_ms);
        let until = self.good_until().map(|until| until.to_string()).unwrap_or_default();
        format!(
            "no answer at that time ({}): it names version {}, and with {allowed} ms of staleness that was over by {until}",
            used.at,
            self.state.version(),
        )
    }
}
