//! Reports that secrets of tokens were seen where they should not be.

use super::{Corrupt, State, Undo};
use crate::event::{By, Evidence, LeakReported};
use crate::id::TokenId;
use crate::line::Line;
use crate::pack::{Pack, packed_struct};
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A report of a leak, as it was enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The token.
    pub token: TokenId,
    /// The ordinal of the secret that was seen.
    pub secret: u32,
    /// What the report rests on.
    pub evidence: Evidence,
    /// Where it was seen, in the reporter's words.
    pub source: Option<Box<str>>,
    /// Where exactly.
    pub url: Option<Box<str>>,
    /// When it was reported.
    pub at: Timestamp,
    /// Who reported it.
    pub by: By,
}

/// Every report, by the version after it: in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    reports: BTreeMap<u64, Arc<Leak>>,
    of_token: HashMap<TokenId, Vec<u64>>,
}

packed_struct!(Leak { token, secret, evidence, source, url, at, by });

impl Pack for Leaks {
    fn pack(&self, to: &mut Vec<u8>) {
        self.reports.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let mut leaks = Self::default();
        for (number, leak) in BTreeMap::<u64, Arc<Leak>>::unpack(from)? {
            leaks.add(number, leak);
        }
        Some(leaks)
    }
}

impl Leaks {
    /// The reports about a token, the oldest first.
    pub fn of(&self, token: TokenId) -> impl DoubleEndedIterator<Item = &Arc<Leak>> {
        let numbers = self.of_token.get(&token).map_or(&[][..], Vec::as_slice);
        numbers.iter().filter_map(|number| self.reports.get(number))
    }

    /// Reports with their numbers, the newest first, before a number if one is given.
    pub fn before(&self, number: Option<u64>) -> impl Iterator<Item = (u64, &Arc<Leak>)> {
        self.reports.range(..number.unwrap_or(u64::MAX)).rev().map(|(number, leak)| (*number, leak))
    }

    fn add(&mut self, number: u64, leak: Arc<Leak>) {
        self.of_token.entry(leak.token).or_default().push(number);
        self.reports.insert(number, leak);
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(leak) = self.reports.remove(&number) else { return };
        if let Some(numbers) = self.of_token.get_mut(&leak.token) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.of_token.remove(&leak.token);
            }
        }
    }
}

impl State {
    pub(super) fn report_leak(&mut self, line: &Line, reported: &LeakReported) -> Result<(), Corrupt> {
        if self.tokens.get(reported.token).is_none() {
            return Err(super::apply::missing("token", reported.token));
        }
        let leak = Leak {
            token: reported.token,
            secret: reported.secret,
            evidence: reported.evidence,
            source: reported.source.clone(),
            url: reported.url.clone(),
            at: line.at,
            by: line.actor.by.clone(),
        };
        let number = self.counters.version;
        self.leaks.add(number, Arc::new(leak));
        self.keep(|| Undo::Leak(number));
        Ok(())
    }
}
