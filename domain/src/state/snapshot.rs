//! The whole state in a row of frames, and back: what a node's start and a look at the past go on from.
//!
//! The first frame has everything but the tokens; each of the others has some tokens, in the order of minting, and can
//! be read apart from the rest, so that several threads can read them. What follows from the tokens is not written but
//! made again. The frames have neither names nor hashes: whoever keeps them sees to it that they come back as they were
//! and only to the build that wrote them.

use super::people::{InvitationEnd, Inviter};
use super::role::Role;
use super::token::{OldSecret, Revocation, Token};
use super::{
    Counters, Instance, Invitation, Member, NameHolder, Organization, Project, Reply, Standing, State,
    Suspension, User,
};
use crate::id::OrganizationId;
use crate::pack::{Pack, packed_enum, packed_struct};
use crate::scope::Grant;
use crate::secret::SecretHash;
use std::collections::HashMap;
use std::sync::Arc;

/// The name of this build's fold: frames that another build wrote are not for this one.
pub const FOLD: &str = env!("CHANCERY_FOLD");

/// Tokens in a frame.
const TOKENS: usize = if cfg!(test) { 3 } else { 16_384 };

/// What many tokens have in common, each once.
#[derive(Default)]
struct Shared {
    grants: Vec<Arc<[Grant]>>,
    revocations: Vec<Arc<Revocation>>,
}

/// The places of what is shared, by the address of the one copy.
#[derive(Default)]
struct Places {
    grants: HashMap<*const (), usize>,
    revocations: HashMap<*const (), usize>,
}

/// Frames that are read: the state so far, without the tokens that are still to come.
pub struct Unpacking {
    state: State,
    shared: Arc<Shared>,
    tokens: usize,
    replaced: HashMap<SecretHash, (u32, u32)>,
    counted: Vec<OrganizationId>,
}

/// Reads frames of tokens.
#[derive(Clone)]
pub struct TokenReader(Arc<Shared>);

/// The tokens of a frame.
pub struct TokenFrame(Vec<(Arc<Token>, bool)>);

impl State {
    /// The state in frames. Every revocation has to be marked.
    pub fn frames(&self) -> impl Iterator<Item = Vec<u8>> {
        debug_assert!(!self.is_marking() && self.journal.is_none(), "only what is settled is packed");
        let (shared, places) = self.shared();
        let first = std::iter::once_with(move || self.first_frame(&shared));
        let slots = (0..self.tokens.len()).step_by(TOKENS);
        first.chain(slots.map(move |from| self.token_frame(from, &places)))
    }

    fn shared(&self) -> (Shared, Places) {
        let (mut shared, mut places) = (Shared::default(), Places::default());
        for token in self.tokens.iter() {
            let next = places.grants.len();
            places.grants.entry(address(&token.grants)).or_insert_with(|| {
                shared.grants.push(Arc::clone(&token.grants));
                next
            });
            let Some(revocation) = &token.revocation else { continue };
            let next = places.revocations.len();
            places.revocations.entry(address(revocation)).or_insert_with(|| {
                shared.revocations.push(Arc::clone(revocation));
                next
            });
        }
        (shared, places)
    }

    fn first_frame(&self, shared: &Shared) -> Vec<u8> {
        let Self {
            counters,
            instance,
            ordinals,
            roles,
            organizations,
            organization_names,
            projects,
            project_names,
            tokens,
            live_tokens,
            imports,
            leaks,
            people,
            endings: _,
            replies,
            journal: _,
        } = self;
        let mut to = Vec::new();
        shared.grants.pack(&mut to);
        shared.revocations.pack(&mut to);
        counters.pack(&mut to);
        instance.pack(&mut to);
        ordinals.pack(&mut to);
        roles.pack(&mut to);
        organizations.pack(&mut to);
        organization_names.pack(&mut to);
        projects.pack(&mut to);
        project_names.pack(&mut to);
        tokens.len().pack(&mut to);
        tokens.replaced().pack(&mut to);
        live_tokens.keys().copied().collect::<Vec<OrganizationId>>().pack(&mut to);
        imports.pack(&mut to);
        leaks.pack(&mut to);
        people.pack(&mut to);
        replies.pack(&mut to);
        to
    }

    fn token_frame(&self, from: usize, places: &Places) -> Vec<u8> {
        let end = self.tokens.len().min(from + TOKENS);
        let mut to = Vec::with_capacity((end - from) * 160);
        (end - from).pack(&mut to);
        for (slot, token) in (from..end).zip(self.tokens.iter().skip(from)) {
            pack_token(token, places, &mut to);
            self.tokens.holds_its_name(slot as u32).pack(&mut to);
        }
        to
    }
}

impl Unpacking {
    /// Reads the first frame; none where it is not one.
    pub fn begin(mut frame: &[u8]) -> Option<Self> {
        let from = &mut frame;
        let shared = Shared { grants: Pack::unpack(from)?, revocations: Pack::unpack(from)? };
        let mut state = State {
            counters: Pack::unpack(from)?,
            instance: Pack::unpack(from)?,
            ordinals: Pack::unpack(from)?,
            roles: Pack::unpack(from)?,
            organizations: Pack::unpack(from)?,
            organization_names: Pack::unpack(from)?,
            projects: Pack::unpack(from)?,
            project_names: Pack::unpack(from)?,
            ..State::default()
        };
        let (tokens, replaced, counted) = Pack::unpack(from)?;
        state.imports = Pack::unpack(from)?;
        state.leaks = Pack::unpack(from)?;
        state.people = Pack::unpack(from)?;
        state.replies = Pack::unpack(from)?;
        state.tokens.make_room(tokens, &shared.grants);
        frame.is_empty().then(|| Self { state, shared: Arc::new(shared), tokens, replaced, counted })
    }

    /// What reads the frames after the first, on any thread.
    pub fn reader(&self) -> TokenReader {
        TokenReader(Arc::clone(&self.shared))
    }

    /// Adds the tokens of the next frame.
    pub fn add(&mut self, frame: TokenFrame) {
        for (token, holds_its_name) in frame.0 {
            self.state.tokens.restore(token, holds_its_name);
        }
    }

    /// The state, once every frame was added; none where tokens are missing.
    pub fn finish(mut self) -> Option<State> {
        let known = self.state.tokens.len();
        if known != self.tokens || self.replaced.values().any(|(slot, _)| *slot as usize >= known) {
            return None;
        }
        self.state.tokens.set_replaced(self.replaced);
        self.counted.into_iter().for_each(|id| self.state.begin_count(id));
        Some(self.state)
    }
}

/// Holds frames that were read back against the state that they were made of, one at a time: so there is never a
/// second table of tokens.
pub struct Comparison<'s> {
    state: &'s State,
    reader: TokenReader,
    next: u32,
    tokens: usize,
}

impl<'s> Comparison<'s> {
    /// Begins with the first frame; none where it does not say what the state is.
    pub fn begin(state: &'s State, frame: &[u8]) -> Option<Self> {
        let Unpacking { state: read, shared, tokens, replaced, counted } = Unpacking::begin(frame)?;
        let is_same = state.tables_difference(&read).is_none()
            && replaced == *state.tokens.replaced()
            && counted.len() == state.live_tokens.len()
            && counted.iter().all(|id| state.live_tokens.contains_key(id));
        is_same.then_some(Self { state, reader: TokenReader(shared), next: 0, tokens })
    }

    /// Goes on with the next frame; says whether its tokens are the state's.
    pub fn goes_on(&mut self, frame: &[u8]) -> bool {
        let Some(TokenFrame(tokens)) = self.reader.read(frame) else { return false };
        tokens.into_iter().all(|(token, holds_its_name)| {
            let slot = self.next;
            self.next += 1;
            self.state.tokens.at(slot).is_some_and(|own| *own == token)
                && self.state.tokens.holds_its_name(slot) == holds_its_name
        })
    }

    /// Whether that was all of it.
    pub fn is_whole(self) -> bool {
        self.next as usize == self.tokens && self.tokens == self.state.tokens.len()
    }
}

impl TokenReader {
    /// Reads a frame of tokens; none where it is not one.
    pub fn read(&self, mut frame: &[u8]) -> Option<TokenFrame> {
        let from = &mut frame;
        let count = usize::unpack(from)?;
        let mut tokens = Vec::with_capacity(count.min(TOKENS));
        for _ in 0..count {
            tokens.push((Arc::new(unpack_token(&self.0, from)?), bool::unpack(from)?));
        }
        frame.is_empty().then_some(TokenFrame(tokens))
    }
}

/// Where the one copy of something shared is.
fn address<T: ?Sized>(shared: &Arc<T>) -> *const () {
    Arc::as_ptr(shared).cast()
}

fn pack_token(token: &Token, places: &Places, to: &mut Vec<u8>) {
    let Token {
        id,
        scope,
        name,
        description,
        metadata,
        grants,
        hash,
        prefix,
        secret,
        previous,
        parent,
        narrowed,
        not_before,
        expires_at,
        allowed_networks,
        secret_since,
        created_at,
        created_by,
        person,
        session,
        revision,
        revocation,
    } = token;
    id.pack(to);
    scope.pack(to);
    name.pack(to);
    description.pack(to);
    metadata.pack(to);
    places.grants[&address(grants)].pack(to);
    hash.pack(to);
    prefix.pack(to);
    secret.pack(to);
    previous.as_deref().copied().pack(to);
    parent.pack(to);
    narrowed.pack(to);
    not_before.pack(to);
    expires_at.pack(to);
    allowed_networks.pack(to);
    secret_since.pack(to);
    created_at.pack(to);
    created_by.pack(to);
    person.pack(to);
    session.pack(to);
    revision.pack(to);
    revocation.as_ref().map(|revocation| places.revocations[&address(revocation)]).pack(to);
}

fn unpack_token(shared: &Shared, from: &mut &[u8]) -> Option<Token> {
    Some(Token {
        id: Pack::unpack(from)?,
        scope: Pack::unpack(from)?,
        name: Pack::unpack(from)?,
        description: Pack::unpack(from)?,
        metadata: Pack::unpack(from)?,
        grants: shared.grants.get(usize::unpack(from)?).cloned()?,
        hash: Pack::unpack(from)?,
        prefix: Pack::unpack(from)?,
        secret: Pack::unpack(from)?,
        previous: Option::<OldSecret>::unpack(from)?.map(Box::new),
        parent: Pack::unpack(from)?,
        narrowed: Pack::unpack(from)?,
        not_before: Pack::unpack(from)?,
        expires_at: Pack::unpack(from)?,
        allowed_networks: Pack::unpack(from)?,
        secret_since: Pack::unpack(from)?,
        created_at: Pack::unpack(from)?,
        created_by: Pack::unpack(from)?,
        person: Pack::unpack(from)?,
        session: Pack::unpack(from)?,
        revision: Pack::unpack(from)?,
        revocation: match Option::<usize>::unpack(from)? {
            Some(place) => Some(shared.revocations.get(place).cloned()?),
            None => None,
        },
    })
}

packed_enum!(Standing { 0 => Active, 1 => Suspended(suspension), 2 => Deleted(deletion) });
packed_enum!(InvitationEnd { 0 => Accepted(user), 1 => Withdrawn });
packed_struct!(Counters { version, last_at });
packed_struct!(Instance { origin, log_key, log_key_before, policy, started_at, revision, resumed });
packed_struct!(Organization { id, naming, created_at, standing, restored_at, policy, revision });
packed_struct!(Project { id, organization, naming, created_at, deletion, revision });
packed_struct!(NameHolder { organization, freed_at });
packed_struct!(Reply { body, at, subject });
packed_struct!(Suspension { at, by, note });
packed_struct!(Revocation { at, by, reason, note, cause, cascade, version });
packed_struct!(OldSecret { hash, secret, since, valid_until });
packed_struct!(Role { organization, name, level, permissions, created_at, created_by, revision });
packed_struct!(User { id, email, email_verified, name, created_at, offboarded_at, erased_at, revision });
packed_struct!(Member { user, place, role, since, revision });
packed_struct!(Inviter { by, token });
packed_struct!(Invitation { id, place, role, email, issue, inviter, created_at, end, revision });

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{World, admin};

    /// The state as it comes back from its frames.
    pub(crate) fn restored(state: &State) -> State {
        let mut state = state.clone();
        while state.is_marking() {
            state.mark_some();
        }
        let frames: Vec<Vec<u8>> = state.frames().collect();
        let mut unpacking = Unpacking::begin(&frames[0]).unwrap();
        let reader = unpacking.reader();
        for frame in &frames[1..] {
            unpacking.add(reader.read(frame).unwrap());
        }
        unpacking.finish().unwrap()
    }

    fn busy() -> World {
        let mut world = World::with_tenants();
        for n in 0..8 {
            let id = world.mint("acme", &["admin"]);
            if n % 2 == 0 {
                world.rotate(&admin(), id, std::time::Duration::ZERO).unwrap();
            }
            let caller = world.caller(id);
            world.narrow(&caller, None, |_| ()).unwrap();
            if n % 3 == 0 {
                world.revoke(&admin(), id, true).unwrap();
            }
        }
        world
    }

    #[test]
    fn a_state_comes_back_and_shares_what_it_shared() {
        let world = busy();
        let restored = restored(&world.state);
        assert_eq!(world.state.difference(&restored), None);
        let grants = |state: &State| {
            let all = state.tokens().iter().map(|token| address(&token.grants));
            all.collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(grants(&world.state), grants(&restored));
    }

    #[test]
    fn frames_that_are_cut_or_missing_are_no_state() {
        let world = busy();
        let mut settled = world.folded();
        while settled.is_marking() {
            settled.mark_some();
        }
        let frames: Vec<Vec<u8>> = settled.frames().collect();
        for end in 0..frames[0].len() {
            assert!(Unpacking::begin(&frames[0][..end]).is_none(), "{end}");
        }
        let mut unpacking = Unpacking::begin(&frames[0]).unwrap();
        let reader = unpacking.reader();
        for end in 0..frames[1].len() {
            assert!(reader.read(&frames[1][..end]).is_none(), "{end}");
        }
        for frame in &frames[2..] {
            unpacking.add(reader.read(frame).unwrap());
        }
        assert!(unpacking.finish().is_none(), "the first tokens are missing");
    }

    #[test]
    fn frames_are_held_against_their_state() {
        let world = busy();
        let settled = restored(&world.state);
        let frames: Vec<Vec<u8>> = settled.frames().collect();
        let is_same = |state: &State| {
            let Some(mut comparison) = Comparison::begin(state, &frames[0]) else { return false };
            frames[1..].iter().all(|frame| comparison.goes_on(frame)) && comparison.is_whole()
        };
        assert!(is_same(&settled));
        assert!(!Comparison::begin(&settled, &frames[0]).unwrap().is_whole());
        let mut other = busy();
        let id = other.mint("acme", &["admin"]);
        assert!(!is_same(&restored(&other.state)));
        other.revoke(&admin(), id, false).unwrap();
        assert!(!is_same(&restored(&other.state)));
    }
}
