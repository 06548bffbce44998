//! The usage view: last uses and last refusals, days, permissions.
//!
//! Its rows are written one after the other, and then how far they stand for the log: between the size that is stored
//! and the one that is being written, a last use may be of either or of any moment in between. A day says itself what
//! size it counts.
//!
//! In memory is what the rows should be: some 200 bytes for each token that was ever used, 32 for each of its days, and
//! each use that is later than what the view stood for when it was last looked at.

use domain::event::Event;
use domain::id::TokenId;
use domain::line::{Line, type_of};
use domain::needs::permission_behind;
use domain::replay::UseLine;
use domain::time::Timestamp;
use domain::verify::Code;
use foldhash::quality::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

/// A token that is used for more of them is not looked at: the view may leave out some.
pub(super) const PERMISSIONS: usize = 256;
/// The permission that a caller needs to ask about another token.
const ASKING: &str = "tokens:verify";

pub(super) struct Usage {
    /// What the view stood for at least when it was last looked at.
    pub(super) stood: u64,
    totals: HashMap<TokenId, Total, RandomState>,
    /// What came later, in the order of the log.
    later: HashMap<TokenId, Vec<Use>, RandomState>,
    permissions: HashSet<Arc<str>, RandomState>,
    hasher: RandomState,
}

/// A use or refusal of a token.
#[derive(Clone)]
pub(super) struct Use {
    position: u64,
    /// Where its commit ends.
    end: u64,
    pub(super) at: Timestamp,
    pub(super) is_refusal: bool,
    count: u64,
    pub(super) permission: Option<Arc<str>>,
    /// A hash of what is kept beside the time.
    pub(super) print: u64,
}

/// What the rows of a token should be.
#[derive(Clone, Default)]
pub(super) struct Total {
    pub(super) used: Moment,
    pub(super) refused: Moment,
    /// By the day: used, refused, where the last commit of them ends.
    pub(super) days: BTreeMap<i64, (u64, u64, u64)>,
    pub(super) permissions: Vec<(Arc<str>, Timestamp)>,
}

/// The last time of something, and what may be kept of it: any of the lines of that time.
#[derive(Clone, Default)]
pub(super) struct Moment {
    pub(super) at: Option<Timestamp>,
    pub(super) position: u64,
    pub(super) prints: Vec<u64>,
}

impl Usage {
    pub(super) fn new() -> Self {
        Self {
            stood: 0,
            totals: HashMap::default(),
            later: HashMap::default(),
            permissions: HashSet::default(),
            hasher: RandomState::default(),
        }
    }

    /// Takes note of a use in a commit that ends at `end`.
    pub(super) fn take_use(&mut self, position: u64, end: u64, used: &UseLine<'_>) {
        let is_own = used.actor_token == Some(used.token);
        let (at, count) = (used.at, used.count.into());
        let is_from_caller = is_own && used.client_address.is_none() && used.client_agent.is_none();
        let (address, agent) = if is_from_caller {
            (used.actor_address, used.actor_agent)
        } else {
            (used.client_address, used.client_agent)
        };
        if let Some(actor) = used.actor_token.filter(|_| !is_own) {
            let permission = self.permission(Some(ASKING));
            let print = self.print(None, Some(ASKING), used.actor_address, used.actor_agent);
            self.take(actor, Use { position, end, at, is_refusal: false, count, permission, print });
        }
        let permission = self.permission(used.permission);
        let print = self.print(used.code.map(Code::as_str), used.permission, address, agent);
        let is_refusal = used.code.is_some();
        self.take(used.token, Use { position, end, at, is_refusal, count, permission, print });
    }

    /// Takes note of another line in a commit that ends at `end`.
    pub(super) fn take_line(&mut self, position: u64, end: u64, line: &Line) {
        let Some(actor) = line.actor.token else { return };
        let is_narrowed = matches!(&line.event, Event::TokenMinted(minted) if minted.narrowed);
        let behind = permission_behind(type_of(&line.event), is_narrowed);
        let permission = self.permission(behind);
        let print = self.print(None, behind, line.actor.address.as_deref(), line.actor.agent.as_deref());
        self.take(actor, Use { position, end, at: line.at, is_refusal: false, count: 1, permission, print });
    }

    fn take(&mut self, token: TokenId, used: Use) {
        if used.end <= self.stood {
            return self.totals.entry(token).or_default().add(&used);
        }
        self.later.entry(token).or_default().push(used);
    }

    /// The view stands for as much now: what came before is added up.
    pub(super) fn stands(&mut self, size: u64) {
        self.stood = self.stood.max(size);
        for (token, later) in &mut self.later {
            let over = later.partition_point(|used| used.end <= size);
            let total = (over > 0).then(|| self.totals.entry(*token).or_default());
            if let Some(total) = total {
                later.drain(..over).for_each(|used| total.add(&used));
            }
        }
        self.later.retain(|_, later| !later.is_empty());
    }

    fn permission(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        let text = text?;
        if let Some(known) = self.permissions.get(text) {
            return Some(Arc::clone(known));
        }
        let new: Arc<str> = text.into();
        self.permissions.insert(Arc::clone(&new));
        Some(new)
    }

    /// A hash of what is kept of a use.
    pub(super) fn print(
        &self,
        code: Option<&str>,
        permission: Option<&str>,
        address: Option<&str>,
        agent: Option<&str>,
    ) -> u64 {
        self.hasher.hash_one((code, permission, address, agent))
    }

    /// All tokens that have rows, in the order of their ids.
    pub(super) fn tokens(&self) -> Vec<TokenId> {
        let mut tokens: Vec<TokenId> = self.totals.keys().copied().collect();
        tokens.sort_unstable();
        tokens
    }

    /// What the log says of a token at a size that the view stands for.
    pub(super) fn at(&self, token: TokenId, size: u64) -> Total {
        let mut total = self.totals.get(&token).cloned().unwrap_or_default();
        self.later_of(token, 0, size).for_each(|used| total.add(used));
        total
    }

    /// Uses in commits that end past a size, and not past another.
    pub(super) fn later_of(&self, token: TokenId, after: u64, until: u64) -> impl Iterator<Item = &Use> {
        let later = self.later.get(&token).into_iter().flatten();
        later.filter(move |used| used.end > after && used.end <= until)
    }
}

impl Total {
    fn add(&mut self, used: &Use) {
        let moment = if used.is_refusal { &mut self.refused } else { &mut self.used };
        moment.add(used);
        let (used_there, refused_there, end) = self.days.entry(used.at.day()).or_default();
        *(if used.is_refusal { refused_there } else { used_there }) += used.count;
        *end = used.end;
        let Some(permission) = used.permission.as_ref().filter(|_| !used.is_refusal) else { return };
        let has_room = self.permissions.len() <= PERMISSIONS;
        match self.permissions.iter_mut().find(|(known, _)| known == permission) {
            Some((_, at)) => *at = used.at.max(*at),
            None if has_room => {
                self.permissions.push((Arc::clone(permission), used.at));
            }
            None => {}
        }
    }
}

impl Moment {
    fn add(&mut self, used: &Use) {
        if self.at > Some(used.at) {
            return;
        }
        if self.at < Some(used.at) {
            (self.at, self.position) = (Some(used.at), used.position);
            self.prints.clear();
        }
        if !self.prints.contains(&used.print) {
            self.prints.push(used.print);
        }
    }
}
