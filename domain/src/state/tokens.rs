//! The table of tokens: one slot each in the order of minting, and compact indexes of slots.
//!
//! An index entry is a slot number of four bytes; what it is found by is read from the token itself. A secret's
//! look-up takes its first eight bytes as the hash: they are BLAKE3's, so they are uniform already.

use super::lineage::Lineage;
use super::token::{Shown, Token};
use crate::id::{OrganizationId, TokenId, UserId};
use crate::scope::Scope;
use crate::secret::SecretHash;
use hashbrown::HashTable;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

/// Every token ever minted.
#[derive(Clone, Default)]
pub struct Tokens {
    slots: Vec<Arc<Token>>,
    by_id: HashTable<u32>,
    by_secret: HashTable<SecretEntry>,
    /// The secrets that rotations replaced: the slot of their token, and their ordinal.
    replaced: HashMap<SecretHash, (u32, u32)>,
    by_name: HashTable<u32>,
    by_organization: HashMap<Option<OrganizationId>, Vec<u32>>,
    /// The tokens that a person answers for, sessions included.
    by_person: HashMap<UserId, BTreeSet<u32>>,
    children: HashMap<TokenId, Vec<u32>>,
    lineage: Lineage,
    grants: HashSet<Arc<[crate::scope::Grant]>>,
    hasher: foldhash::fast::RandomState,
}

/// A slot, and the first bytes of one of its secrets, so that growing the index needs no look at the token.
#[derive(Clone)]
struct SecretEntry {
    start: u32,
    slot: u32,
}

/// What a token comes to once all endings are marked.
pub(super) type Settle<'s> = &'s dyn Fn(&Arc<Token>) -> Arc<Token>;

/// How to take a change back.
pub(super) enum TokenUndo {
    /// The token of this slot was added.
    Added(u32),
    /// The token of this slot was another.
    Replaced(u32, Arc<Token>),
    /// The name was held by another slot, or none.
    Held { of: u32, before: Option<u32> },
}

impl Tokens {
    /// How many were ever minted.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none was ever minted.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A token by id.
    pub fn get(&self, id: TokenId) -> Option<&Arc<Token>> {
        self.slot_of(id).map(|slot| &self.slots[slot as usize])
    }

    /// The token of a slot: slots count from 0 in the order of minting.
    pub fn at(&self, slot: u32) -> Option<&Arc<Token>> {
        self.slots.get(slot as usize)
    }

    /// A token by the hash of one of its secrets, and which one that is.
    pub fn by_secret(&self, hash: &SecretHash) -> Option<(&Arc<Token>, Shown)> {
        let present = self.by_secret.find(secret_key(hash), |entry| {
            entry.start == secret_start(hash) && self.slots[entry.slot as usize].hash == *hash
        });
        if let Some(entry) = present {
            let token = &self.slots[entry.slot as usize];
            return Some((token, Shown { secret: token.secret, replaced: None }));
        }
        let (slot, secret) = *self.replaced.get(hash)?;
        let token = &self.slots[slot as usize];
        let previous = token.previous.as_deref().filter(|previous| previous.secret == secret);
        Some((token, Shown { secret, replaced: Some(previous.and_then(|previous| previous.valid_until)) }))
    }

    /// The token that holds a name in a scope: the last one that took it and was not revoked. It may have expired.
    pub fn by_name(&self, scope: Scope, name: &str) -> Option<&Arc<Token>> {
        self.holder(scope, name).map(|slot| &self.slots[slot as usize])
    }

    /// The slots of an organization's tokens (of the instance's, without one) in the order of minting.
    pub fn of(&self, organization: Option<OrganizationId>) -> &[u32] {
        self.by_organization.get(&organization).map_or(&[], Vec::as_slice)
    }

    /// The tokens that a person answers for, with the person's sessions, in the order of minting.
    pub fn of_person(&self, person: UserId) -> impl Iterator<Item = &Arc<Token>> {
        self.by_person.get(&person).into_iter().flatten().map(|slot| &self.slots[*slot as usize])
    }

    /// The tokens that a token minted, in order.
    pub fn children(&self, id: TokenId) -> impl Iterator<Item = &Arc<Token>> {
        self.children.get(&id).into_iter().flatten().map(|slot| &self.slots[*slot as usize])
    }

    /// How many tokens a token minted.
    pub fn minted_by(&self, id: TokenId) -> usize {
        self.children.get(&id).map_or(0, Vec::len)
    }

    /// The slot of what a token minted, by its place in the order of minting.
    pub(super) fn child(&self, slot: u32, index: usize) -> Option<u32> {
        self.children.get(&self.at(slot)?.id)?.get(index).copied()
    }

    /// Whether the token of a slot is below that of another one.
    pub(super) fn descends(&self, slot: u32, from: u32) -> bool {
        self.lineage.descends(slot, from)
    }

    /// Every token in the order of minting.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.slots.iter()
    }

    /// One shared copy of equal grants: most tokens hold what many others hold.
    pub(super) fn share(&mut self, grants: &Arc<[crate::scope::Grant]>) -> Arc<[crate::scope::Grant]> {
        if let Some(shared) = self.grants.get(grants) {
            return Arc::clone(shared);
        }
        self.grants.insert(Arc::clone(grants));
        Arc::clone(grants)
    }

    /// Adds a token and takes its name.
    pub(super) fn add(&mut self, token: Arc<Token>, journal: &mut impl FnMut(TokenUndo)) {
        let slot = self.push(token);
        journal(TokenUndo::Added(slot));
        self.hold(slot, journal);
    }

    /// Adds a token that was there before, with its name if it held that.
    pub(super) fn restore(&mut self, token: Arc<Token>, holds_its_name: bool) {
        let slot = self.push(token);
        if holds_its_name {
            self.set_holder(slot, Some(slot));
        }
    }

    /// Whether the token of a slot is the one that its name finds.
    pub(super) fn holds_its_name(&self, slot: u32) -> bool {
        let token = &self.slots[slot as usize];
        self.holder(token.scope, &token.name) == Some(slot)
    }

    /// The secrets that rotations replaced: the slot of their token, and their ordinal.
    pub(super) fn replaced(&self) -> &HashMap<SecretHash, (u32, u32)> {
        &self.replaced
    }

    /// Sets the secrets that rotations replaced before.
    pub(super) fn set_replaced(&mut self, replaced: HashMap<SecretHash, (u32, u32)>) {
        self.replaced = replaced;
    }

    /// Prepares for so many tokens with these grants.
    pub(super) fn make_room(&mut self, count: usize, grants: &[Arc<[crate::scope::Grant]>]) {
        // A number that is not one must not take all memory: the rest comes as it is needed.
        let count = count.min(1 << 24);
        self.slots.reserve(count);
        self.by_id.reserve(count, |slot| self.hasher.hash_one(self.slots[*slot as usize].id));
        self.by_secret.reserve(count, |entry| spread(entry.start));
        self.grants.extend(grants.iter().cloned());
    }

    /// Adds a token, and leaves names as they are.
    fn push(&mut self, token: Arc<Token>) -> u32 {
        let slot = u32::try_from(self.slots.len()).expect("fewer than four billion tokens fit into memory");
        self.by_organization.entry(token.scope.organization()).or_default().push(slot);
        self.lineage.push(token.parent.and_then(|parent| self.slot_of(parent)));
        if let Some(parent) = token.parent {
            self.children.entry(parent).or_default().push(slot);
        }
        self.set_person(slot, None, token.person);
        let (id, hash) = (token.id, token.hash);
        self.slots.push(token);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_id
            .insert_unique(hasher.hash_one(id), slot, |other| hasher.hash_one(slots[*other as usize].id));
        self.index_secret(&hash, slot);
        slot
    }

    /// Replaces a token by what it has become. Its id, scope, parent and older secrets stay.
    pub(super) fn replace(&mut self, token: Arc<Token>, journal: &mut impl FnMut(TokenUndo)) {
        let slot = self.slot_of(token.id).expect("only a token that is there is replaced");
        let before = Arc::clone(&self.slots[slot as usize]);
        let (renamed, ended) = (before.name != token.name, token.revocation.is_some());
        if (renamed || ended) && self.holder(before.scope, &before.name) == Some(slot) {
            self.set_holder(slot, None);
            journal(TokenUndo::Held { of: slot, before: Some(slot) });
        }
        if before.hash != token.hash {
            self.forget_secret(&before.hash, slot);
            self.index_secret(&token.hash, slot);
            self.replaced.insert(before.hash, (slot, before.secret));
        }
        self.set_person(slot, before.person, token.person);
        self.slots[slot as usize] = token;
        journal(TokenUndo::Replaced(slot, before));
        if renamed && !ended {
            self.hold(slot, journal);
        }
    }

    pub(super) fn undo(&mut self, undo: TokenUndo) {
        match undo {
            TokenUndo::Held { of, before } => self.set_holder(of, before),
            TokenUndo::Replaced(slot, before) => {
                let after = std::mem::replace(&mut self.slots[slot as usize], before);
                let (hash, person) = (self.slots[slot as usize].hash, self.slots[slot as usize].person);
                self.set_person(slot, after.person, person);
                if after.hash != hash {
                    self.forget_secret(&after.hash, slot);
                    self.index_secret(&hash, slot);
                    self.replaced.remove(&hash);
                }
            }
            TokenUndo::Added(slot) => {
                let token = self.slots.pop().expect("an added token is the last when it is taken back");
                self.lineage.pop();
                self.set_person(slot, token.person, None);
                self.forget_secret(&token.hash, slot);
                if let Ok(entry) =
                    self.by_id.find_entry(self.hasher.hash_one(token.id), |other| *other == slot)
                {
                    entry.remove();
                }
                pop(&mut self.by_organization, &token.scope.organization());
                if let Some(parent) = token.parent {
                    pop(&mut self.children, &parent);
                }
            }
        }
    }

    /// Where two tables differ. `settled` says what a token comes to of the first and of the second; where it is not
    /// what stands in the table, names are held until it is.
    pub(super) fn difference(
        &self,
        other: &Self,
        settled: [Settle<'_>; 2],
        is_settled: bool,
    ) -> Option<String> {
        if self.slots.len() != other.slots.len() {
            return Some(format!("{} tokens, not {}", self.slots.len(), other.slots.len()));
        }
        for (slot, (token, theirs)) in (0..).zip(self.slots.iter().zip(&other.slots)) {
            let (token, theirs) = (settled[0](token), settled[1](theirs));
            let held = |tokens: &Self, settled: Settle<'_>| {
                let slot = tokens.holder(token.scope, &token.name)?;
                settled(&tokens.slots[slot as usize]).revocation.is_none().then_some(slot)
            };
            let same_holder = held(self, settled[0]) == held(other, settled[1]);
            let found = [self, other].iter().all(|tokens| {
                tokens.slot_of(token.id) == Some(slot)
                    && tokens.by_secret(&token.hash).is_some_and(|(found, _)| found.id == token.id)
            });
            if token != theirs || !same_holder || !found {
                return Some(format!("token {}", token.id));
            }
        }
        let names = |tokens: &Self| is_settled.then_some(tokens.by_name.len());
        let indexed = |tokens: &Self| (tokens.by_id.len(), tokens.by_secret.len(), names(tokens));
        (indexed(self) != indexed(other)
            || self.by_organization != other.by_organization
            || self.by_person != other.by_person
            || self.children != other.children
            || self.lineage != other.lineage
            || self.replaced != other.replaced)
            .then(|| "the indexes of tokens".to_owned())
    }

    /// The slot of a token.
    pub(crate) fn slot_of(&self, id: TokenId) -> Option<u32> {
        self.by_id.find(self.hasher.hash_one(id), |slot| self.slots[*slot as usize].id == id).copied()
    }

    fn set_person(&mut self, slot: u32, before: Option<UserId>, after: Option<UserId>) {
        if before == after {
            return;
        }
        if let Some(slots) = before.and_then(|person| self.by_person.get_mut(&person)) {
            slots.remove(&slot);
        }
        if let Some(person) =
            before.filter(|person| self.by_person.get(person).is_some_and(BTreeSet::is_empty))
        {
            self.by_person.remove(&person);
        }
        if let Some(person) = after {
            self.by_person.entry(person).or_default().insert(slot);
        }
    }

    fn holder(&self, scope: Scope, name: &str) -> Option<u32> {
        let is_holder = |slot: &u32| {
            let token = &self.slots[*slot as usize];
            token.scope == scope && *token.name == *name
        };
        self.by_name.find(name_key(&self.hasher, scope, name), is_holder).copied()
    }

    /// Gives the name of `slot` to it, whoever had it.
    fn hold(&mut self, slot: u32, journal: &mut impl FnMut(TokenUndo)) {
        let token = Arc::clone(&self.slots[slot as usize]);
        let before = self.holder(token.scope, &token.name);
        self.set_holder(slot, Some(slot));
        journal(TokenUndo::Held { of: slot, before });
    }

    /// Lets `holder` have the name that the token of slot `of` has now.
    fn set_holder(&mut self, of: u32, holder: Option<u32>) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let key = |slot: u32| {
            let token = &slots[slot as usize];
            name_key(hasher, token.scope, &token.name)
        };
        let named = &slots[of as usize];
        let same = |slot: &u32| {
            let token = &slots[*slot as usize];
            token.scope == named.scope && token.name == named.name
        };
        if let Ok(entry) = self.by_name.find_entry(key(of), same) {
            entry.remove();
        }
        if let Some(slot) = holder {
            self.by_name.insert_unique(key(slot), slot, |other| key(*other));
        }
    }

    fn index_secret(&mut self, hash: &SecretHash, slot: u32) {
        let entry = SecretEntry { start: secret_start(hash), slot };
        self.by_secret.insert_unique(secret_key(hash), entry, |other| spread(other.start));
    }

    fn forget_secret(&mut self, hash: &SecretHash, slot: u32) {
        let ours = |entry: &SecretEntry| entry.slot == slot && entry.start == secret_start(hash);
        if let Ok(entry) = self.by_secret.find_entry(secret_key(hash), ours) {
            entry.remove();
        }
    }
}

fn secret_start(hash: &SecretHash) -> u32 {
    u32::from_le_bytes(hash.0[..4].try_into().expect("a hash has 32 bytes"))
}

fn secret_key(hash: &SecretHash) -> u64 {
    spread(secret_start(hash))
}

/// hashbrown takes the bucket from the low bits and its tag from the high ones, so 32 uniform bits serve for both
/// when they stand at both ends; the rest is told apart by the token's own hash.
fn spread(start: u32) -> u64 {
    u64::from(start) << 32 | u64::from(start)
}

fn name_key(hasher: &foldhash::fast::RandomState, scope: Scope, name: &str) -> u64 {
    let mut state = hasher.build_hasher();
    scope.hash(&mut state);
    name.hash(&mut state);
    state.finish()
}

fn pop<K: Hash + Eq>(lists: &mut HashMap<K, Vec<u32>>, key: &K) {
    if let Some(list) = lists.get_mut(key) {
        list.pop();
        if list.is_empty() {
            lists.remove(key);
        }
    }
}
