//! Revocations of many tokens by one event: in force with the event, marked on the tokens in steps.
//!
//! A step takes the state's lock for a fraction of a millisecond, so that who asks meanwhile does not wait for a hundred
//! thousand tokens. Until the last step an ending stands in a short list, and whoever looks at a token looks there too:
//! [`State::own_revocation`] is the one way to ask. How far the marking has come is therefore seen by nobody.

use super::{Revocation, State, Token, Undo};
use crate::event::TokenFilter;
use crate::id::OrganizationId;
use crate::time::Timestamp;
use std::sync::Arc;

/// Tokens that are marked in one step. Few in tests, so that a small family takes several.
const STEP: usize = if cfg!(test) { 4 } else { 256 };
/// Tokens that are looked at for each that may be marked.
const LOOKS: usize = 8;
/// Endings that may be under way. One more is marked to its end at once, so that a look at a token stays short.
const MOST: usize = 8;

/// A revocation of many tokens that are not all marked yet.
#[derive(Clone)]
pub(super) struct Ending {
    whom: Whom,
    revocation: Arc<Revocation>,
}

/// Which tokens end, and where the marking goes on.
#[derive(Clone)]
enum Whom {
    /// All below the token of a slot. The way down: slots, and how many of their children have been looked at.
    Below { root: u32, way: Vec<(u32, usize)> },
    /// Those of an organization (of the instance, without one) that a filter chose when they were live.
    Chosen { organization: Option<OrganizationId>, filter: TokenFilter, next: usize },
}

impl State {
    /// The revocation of the token itself, whatever it was narrowed from.
    pub fn own_revocation<'a>(&'a self, token: &'a Arc<Token>) -> Option<&'a Arc<Revocation>> {
        token.revocation.as_ref().or_else(|| {
            let ending = self.endings.iter().find(|ending| self.ends(ending, token))?;
            Some(&ending.revocation)
        })
    }

    /// The version after the event that last changed a token.
    pub fn revision(&self, token: &Arc<Token>) -> u64 {
        match (&token.revocation, self.own_revocation(token)) {
            (None, Some(revocation)) => revocation.version,
            _ => token.revision,
        }
    }

    /// The live tokens of an organization (of the instance, without one) that a filter chooses, in the order of minting.
    pub fn chosen<'a>(
        &'a self,
        organization: Option<OrganizationId>,
        filter: &'a TokenFilter,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Arc<Token>> {
        let slots = self.tokens.of(organization).iter();
        slots
            .filter_map(|slot| self.tokens.at(*slot))
            .filter(move |token| filter.chooses(token) && self.status(token, at) == super::Status::Live)
    }

    /// Whether revocations are in force that are not marked on all of their tokens.
    pub fn is_marking(&self) -> bool {
        !self.endings.is_empty()
    }

    /// Marks some more tokens. It changes nothing that can be asked of the state.
    pub fn mark_some(&mut self) {
        debug_assert!(self.journal.is_none(), "what is marked between commands is not taken back");
        if self.is_marking() && self.mark(0, STEP) {
            self.endings.remove(0);
        }
    }

    /// Ends all below the token of a slot.
    pub(super) fn end_below(&mut self, root: u32, revocation: Revocation) {
        self.end(Whom::Below { root, way: vec![(root, 0)] }, revocation);
    }

    /// Ends the live tokens that a filter chooses.
    pub(super) fn end_chosen(
        &mut self,
        organization: Option<OrganizationId>,
        filter: TokenFilter,
        revocation: Revocation,
    ) {
        self.end(Whom::Chosen { organization, filter, next: 0 }, revocation);
    }

    fn end(&mut self, whom: Whom, revocation: Revocation) {
        // Of filters at most one is under way: what a filter chose depends on the endings before it, so that a look at
        // one is a look at the other.
        let is_filter = |ending: &Ending| matches!(ending.whom, Whom::Chosen { .. });
        let ending = Ending { whom, revocation: Arc::new(revocation) };
        let waits = self.endings.len() >= MOST || (is_filter(&ending) && self.endings.iter().any(is_filter));
        self.endings.push(ending);
        let last = self.endings.len() - 1;
        if self.mark(last, if waits { usize::MAX } else { STEP }) {
            self.endings.pop();
        } else {
            self.keep(|| Undo::Ending);
        }
    }

    /// Marks up to `most` tokens of an ending; says whether it has come to its end.
    fn mark(&mut self, index: usize, most: usize) -> bool {
        let mut whom =
            std::mem::replace(&mut self.endings[index].whom, Whom::Below { root: 0, way: Vec::new() });
        let version = self.endings[index].revocation.version;
        let (slots, is_done) = self.next_slots(&mut whom, most, version);
        self.endings[index].whom = whom;
        for slot in slots {
            let Some(token) = self.tokens.at(slot) else { continue };
            // The earliest ending that covers it counts, which need not be this one.
            if let (None, Some(revocation)) = (&token.revocation, self.own_revocation(token)) {
                let revocation = Arc::clone(revocation);
                let revision = revocation.version;
                let marked = Token { revocation: Some(revocation), revision, ..(**token).clone() };
                self.replace_token(marked);
            }
        }
        is_done
    }

    /// The slots that an ending goes on with, and whether they are its last.
    fn next_slots(&self, whom: &mut Whom, most: usize, version: u64) -> (Vec<u32>, bool) {
        let mut slots = Vec::new();
        let mut looks = most.saturating_mul(LOOKS);
        while slots.len() < most && looks > 0 {
            looks -= 1;
            match whom {
                Whom::Below { way, .. } => {
                    let Some((slot, seen)) = way.last_mut() else { return (slots, true) };
                    let Some(child) = self.tokens.child(*slot, *seen) else {
                        way.pop();
                        continue;
                    };
                    *seen += 1;
                    let revocation = self.tokens.at(child).and_then(|token| token.revocation.as_deref());
                    // What had ended with all below it needs no look. What did so later does: below it are tokens that
                    // this ending is the first to end.
                    let is_ended_below =
                        |end: &Revocation| end.cascade.is_some_and(|cascade| cascade < version);
                    if !revocation.is_some_and(is_ended_below) {
                        slots.push(child);
                        way.push((child, 0));
                    }
                }
                Whom::Chosen { organization, filter, next } => {
                    let Some(slot) = self.tokens.of(*organization).get(*next) else { return (slots, true) };
                    *next += 1;
                    slots.extend(self.tokens.at(*slot).filter(|token| filter.chooses(token)).map(|_| *slot));
                }
            }
        }
        (slots, false)
    }

    fn ends(&self, ending: &Ending, token: &Arc<Token>) -> bool {
        match &ending.whom {
            Whom::Below { root, .. } => {
                self.tokens.slot_of(token.id).is_some_and(|slot| self.tokens.descends(slot, *root))
            }
            // What a filter chose cannot have changed since: it had ended.
            Whom::Chosen { organization, filter, .. } => {
                let version = ending.revocation.version;
                token.revision < version
                    && self.end_of(token.scope).is_none_or(|deletion| deletion.version > version)
                    && token.scope.organization() == *organization
                    && filter.chooses(token)
                    && self
                        .chain(token)
                        .all(|link| !link.is_expired(ending.revocation.at) && !self.had_ended(link, version))
            }
        }
    }

    /// Whether a token had ended before the event of this version.
    fn had_ended(&self, token: &Arc<Token>, version: u64) -> bool {
        token.revocation.as_ref().is_some_and(|revocation| revocation.version < version)
            || self
                .endings
                .iter()
                .any(|ending| ending.revocation.version < version && self.ends(ending, token))
    }

    /// A token as it is once all is marked.
    pub(super) fn settled(&self, token: &Arc<Token>) -> Arc<Token> {
        match (&token.revocation, self.own_revocation(token)) {
            (None, Some(revocation)) => Arc::new(Token {
                revocation: Some(Arc::clone(revocation)),
                revision: revocation.version,
                ..(**token).clone()
            }),
            _ => Arc::clone(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Caller;
    use crate::decide::{
        ChangeOrganizationPolicy, Command, DeleteProject, FilterText, PolicyChange, RevokeTokens,
    };
    use crate::event::Reason;
    use crate::id::TokenId;
    use crate::state::{Full, Status};
    use crate::testing::{Ask, World, admin, scope_text, texts, types};
    use crate::verify::Code;

    /// More than two steps mark.
    const MANY: usize = 2 * STEP + 50;

    fn all(scope: &str) -> FilterText {
        let scope = scope_text(scope);
        FilterText {
            scope,
            created_by: None,
            person: None,
            created_from: None,
            created_before: None,
            role: None,
        }
    }

    fn revoke(world: &mut World, by: &Caller, filter: FilterText, count: usize) -> Vec<&'static str> {
        let expected_count = count as u64;
        let revoke = RevokeTokens { filter, expected_count, reason: None, note: None };
        types(&world.run(by, Command::RevokeTokens(revoke)).unwrap())
    }

    /// A token of acme that minted many, of which the first minted some more.
    fn family(world: &mut World) -> (TokenId, Vec<TokenId>) {
        let root = world.mint("acme", &["admin"]);
        let caller = world.caller(root);
        let mut below: Vec<TokenId> =
            (0..MANY).map(|_| world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap()).collect();
        let first = world.caller(below[0]);
        below.extend((0..9).map(|_| world.mint_by(&first, "acme/web", &["project-reader"], |_| ()).unwrap()));
        (root, below)
    }

    fn code(world: &World, id: TokenId) -> Code {
        let ask = Ask { organization: Some("acme"), ..Ask::default() };
        world.verify(&admin(), id, ask).unwrap().code
    }

    /// What is seen of tokens, whose revocation has to be the same at every step of the marking.
    fn seen(world: &World, ids: &[TokenId]) -> Vec<(Code, u64, Option<TokenId>)> {
        let look = |id: &TokenId| {
            let token = world.token(*id);
            let cause = world.state.revocation(token).and_then(|(_, cause)| cause);
            (code(world, *id), world.state.revision(token), cause)
        };
        ids.iter().map(look).collect()
    }

    /// Marks to the end; nothing that is asked meanwhile may change.
    fn settle(world: &mut World, ids: &[TokenId]) -> usize {
        let before = seen(world, ids);
        let mut steps = 0;
        while world.state.is_marking() {
            world.state.mark_some();
            steps += 1;
            assert_eq!(seen(world, ids), before);
            assert_eq!(world.state.difference(&world.folded()), None);
        }
        steps
    }

    #[test]
    fn a_cascade_is_in_force_with_its_line_and_marked_in_steps() {
        let mut world = World::with_tenants();
        let beside = world.mint("acme", &["member"]);
        let (root, below) = family(&mut world);
        assert_eq!(types(&world.revoke(&admin(), root, true).unwrap()), ["TokenRevoked"]);
        assert!(world.state.is_marking());
        assert!(
            seen(&world, &below)
                .iter()
                .all(|(code, _, cause)| (*code, *cause) == (Code::Revoked, Some(root)))
        );
        assert_eq!(code(&world, beside), Code::Valid);
        // Names are free at once, those of tokens that are marked last too.
        let last = world.token(below[MANY - 1]).name.to_string();
        let heir = world.mint_by(&admin(), "acme", &["admin"], |p| p.name.clone_from(&last)).unwrap();
        // Again, it changes nothing: neither the root's nor that of one below.
        assert!(world.revoke(&admin(), root, true).unwrap().events.is_empty());
        assert!(world.revoke(&admin(), below[0], true).unwrap().events.is_empty());
        assert!(settle(&mut world, &below) > 1);
        let holder = world.state.tokens().by_name(world.scope("acme"), &last).unwrap().id;
        assert_eq!((holder, code(&world, heir)), (heir, Code::Valid));
        assert!(world.revoke(&admin(), root, true).unwrap().events.is_empty());
    }

    #[test]
    fn what_is_under_way_is_taken_back_whole() {
        let mut world = World::with_tenants();
        let (root, below) = family(&mut world);
        let before = seen(&world, &below);
        world.tentatively(|world| {
            world.revoke(&admin(), root, true).unwrap();
            assert!(world.state.is_marking());
            revoke(world, &admin(), all("acme"), 0);
        });
        assert!(!world.state.is_marking());
        assert_eq!(seen(&world, &below), before);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn of_several_endings_the_first_is_the_cause() {
        let mut world = World::with_tenants();
        let (root, below) = family(&mut world);
        let (first, other) = (below[0], below[1]);
        world.revoke(&admin(), other, false).unwrap();
        world.revoke(&admin(), first, true).unwrap();
        world.revoke(&admin(), root, true).unwrap();
        let live = world.mint("acme", &["member"]);
        assert_eq!(revoke(&mut world, &admin(), all("acme"), 1), ["TokensRevoked"]);
        let cause = |world: &World, id: TokenId| world.state.own_revocation(world.token(id)).unwrap().cause;
        let ids = [&below[..], &[root, live]].concat();
        for _ in 0..2 {
            assert_eq!((cause(&world, below[MANY]), cause(&world, below[9])), (Some(first), Some(root)));
            assert_eq!((cause(&world, other), cause(&world, live)), (None, None));
            settle(&mut world, &ids);
        }
    }

    #[test]
    fn a_filter_ends_what_it_chose_and_nothing_that_comes_to_fit_it() {
        let mut world = World::with_tenants();
        let (root, below) = family(&mut world);
        let by_root = FilterText { created_by: Some(root.to_string()), ..all("acme") };
        let admins = FilterText { role: Some("admin".to_owned()), ..by_root };
        let member = world.mint("acme", &["member"]);
        assert_eq!(revoke(&mut world, &admin(), admins, MANY), ["TokensRevoked"]);
        assert!(world.state.is_marking());
        assert!(below[..MANY].iter().all(|id| code(&world, *id) == Code::Revoked));
        // The children of what was chosen were minted by another, and live on.
        assert!(below[MANY..].iter().all(|id| code(&world, *id) == Code::Valid));
        world.update(&admin(), member, |u| u.grants = Some(texts(&["admin"]))).unwrap();
        let caller = world.caller(root);
        let late = world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap();
        assert_eq!((code(&world, member), code(&world, late)), (Code::Valid, Code::Valid));
        let ids = [&below[..], &[root, member, late]].concat();
        // A second filter while the first is under way.
        assert_eq!(revoke(&mut world, &admin(), all("acme/web"), 9), ["TokensRevoked"]);
        assert_eq!(world.state.difference(&world.folded()), None);
        settle(&mut world, &ids);
        assert_eq!((code(&world, root), code(&world, late)), (Code::Valid, Code::Valid));
    }

    #[test]
    fn what_is_under_way_is_counted_and_what_was_deleted_before_is_not_chosen() {
        let mut world = World::with_tenants();
        let (root, below) = family(&mut world);
        let change = PolicyChange { max_live_tokens: Some(20), ..PolicyChange::default() };
        let (organization, dry_run) = ("acme".to_owned(), false);
        world.admin(Command::ChangeOrganizationPolicy(ChangeOrganizationPolicy {
            organization,
            change,
            dry_run,
        }));
        let acme = world.scope("acme");
        assert_eq!(world.state.is_full(acme, None, world.at), Some(Full::Living));
        let (_, session) = world.join("acme", "owner");
        let (organization, project) = ("acme".to_owned(), "web".to_owned());
        let (confirm, note) = (project.clone(), None);
        world.admin(Command::DeleteProject(DeleteProject { organization, project, confirm, note }));
        // The nine of the project ended with it; the root, what it minted, and the session live.
        assert_eq!(revoke(&mut world, &admin(), all("acme"), MANY + 2), ["TokensRevoked"]);
        assert!(world.state.is_marking());
        assert_eq!(world.state.is_full(acme, None, world.at), None);
        let reason = |world: &World, id: TokenId| {
            world.state.revocation(world.token(id)).map(|(revocation, _)| revocation.reason)
        };
        let ids = [&below[..], &[root, session]].concat();
        for _ in 0..2 {
            assert_eq!(reason(&world, below[MANY]), Some(Reason::ProjectDeleted));
            assert_eq!(reason(&world, below[MANY - 1]), Some(Reason::Requested));
            assert_eq!(reason(&world, session), Some(Reason::Requested));
            settle(&mut world, &ids);
        }
    }

    #[test]
    fn endings_of_many_at_once_stay_few() {
        let mut world = World::with_tenants();
        let chain: Vec<TokenId> = (0..MOST + 3)
            .map(|_| {
                let root = world.mint("acme", &["admin"]);
                let caller = world.caller(root);
                for _ in 0..=STEP {
                    world.mint_by(&caller, "acme", &["member"], |_| ()).unwrap();
                }
                root
            })
            .collect();
        for root in &chain {
            world.revoke(&admin(), *root, true).unwrap();
            assert!(world.state.endings.len() <= MOST);
        }
        let live = |world: &World| {
            world
                .state
                .tokens()
                .iter()
                .filter(|token| world.state.status(token, world.at) == Status::Live)
                .count()
        };
        assert_eq!(live(&world), 0);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    /// What a token came to: the version of its end, and its root cause.
    type Ended = Option<(u64, Option<TokenId>)>;

    fn ended(state: &State) -> Vec<Ended> {
        let end = |token| state.own_revocation(token).map(|end| (end.version, end.cause));
        state.tokens().iter().map(end).collect()
    }

    /// A fold of all lines that marks as many steps after each as `pace` says.
    fn folded_at(world: &World, mut pace: impl FnMut() -> usize) -> State {
        let mut state = State::default();
        for text in &world.lines {
            state.apply(&crate::line::Line::read(text).unwrap()).unwrap();
            (0..pace()).for_each(|_| state.mark_some());
        }
        state
    }

    #[test]
    fn what_was_revoked_again_with_cascade_keeps_the_cause_that_it_had() {
        let mut world = World::with_tenants();
        let (root, below) = family(&mut world);
        // The last child, so that the marking comes to it late.
        let child = below[MANY - 1];
        let caller = world.caller(child);
        let grandchild = world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap();
        world.revoke(&admin(), child, false).unwrap();
        world.revoke(&admin(), root, true).unwrap();
        assert_eq!(world.revoke(&admin(), child, true).unwrap().events.len(), 1);
        for pace in [0, 1, usize::from(u16::MAX)] {
            let state = folded_at(&world, || pace);
            let end = state.own_revocation(state.tokens().get(grandchild).unwrap()).unwrap();
            assert_eq!(end.cause, Some(root), "{pace} steps after each line");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The token of this index mints another.
        Mint(usize),
        Revoke(usize, bool),
        /// All that the token of this index minted.
        RevokeAll(usize),
    }

    fn step() -> impl proptest::strategy::Strategy<Value = (Step, usize)> {
        use proptest::prelude::*;
        let step = prop_oneof![
            6 => any::<usize>().prop_map(Step::Mint),
            2 => (any::<usize>(), any::<bool>()).prop_map(|(index, cascade)| Step::Revoke(index, cascade)),
            1 => any::<usize>().prop_map(Step::RevokeAll),
        ];
        (step, 0..3_usize)
    }

    #[test]
    fn the_fold_is_the_same_wherever_it_marks() {
        let steps = proptest::collection::vec(step(), 20..120);
        crate::testing::property("marking", 48, 2_000, steps, |steps| {
            let mut world = World::with_tenants();
            let mut tokens = vec![world.mint("acme", &["admin"])];
            for (step, _) in &steps {
                match *step {
                    Step::Mint(index) => {
                        let parent = tokens[index % tokens.len()];
                        let caller = world.caller(parent);
                        if world.state.own_revocation(world.token(parent)).is_none() {
                            tokens.push(world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap());
                        }
                    }
                    Step::Revoke(index, cascade) => {
                        world.revoke(&admin(), tokens[index % tokens.len()], cascade).unwrap();
                    }
                    Step::RevokeAll(index) => {
                        let created_by = Some(tokens[index % tokens.len()].to_string());
                        let filter = FilterText { created_by, ..all("acme") };
                        let (_, chosen) = filter.find(&world.state, &admin()).unwrap();
                        let organization = world.scope("acme").organization();
                        let count = world.state.chosen(organization, &chosen, world.at).count();
                        revoke(&mut world, &admin(), filter, count);
                    }
                }
            }
            let mut paces = steps.iter().map(|(_, pace)| *pace).cycle();
            let marked = folded_at(&world, || paces.next().unwrap_or_default());
            let settled = folded_at(&world, || usize::from(u8::MAX));
            for state in [&marked, &settled] {
                assert_eq!(ended(state), ended(&world.state));
                assert_eq!(world.state.difference(state), None);
            }
        });
    }
}
