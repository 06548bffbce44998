//! How much there is in an organization or a project: what would end with it.

use crate::authority::Caller;
use crate::decide::ScopeText;
use crate::id::{OrganizationId, UserId};
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{InvitationStatus, State, Status, Token};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What there is in an organization or a project. It is counted step by step: between two steps, whoever waits for the
/// state has its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Projects, of an organization.
    pub projects: u64,
    /// Tokens that are live: they end with it.
    pub live: u64,
    /// Tokens that have expired.
    pub expired: u64,
    /// Tokens that are revoked.
    pub revoked: u64,
    /// Live tokens of the organization that hold a role at the project: they lose it.
    pub holders: u64,
    /// Its members and who can still accept an invitation to it, if the caller may read them.
    pub people: Option<Heads>,
    /// How many tokens of the organization have been looked at.
    looked_at: usize,
}

/// People who are there, or may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// Persons who have a role at the place or inside it.
    pub members: u64,
    /// Invitations to it that can be accepted.
    pub invitations: u64,
}

/// Tokens that one step looks at.
const STEP: usize = 4_096;

impl Contents {
    pub(crate) fn authorize(state: &State, caller: &Caller, scope: &ScopeText) -> Result<(), Rejection> {
        let place = scope.find_ever(state, caller)?;
        caller.require(state, "tokens:read", place)
    }

    /// Looks at some more tokens; says whether there are any left to look at.
    pub fn step(
        &mut self,
        state: &State,
        caller: &Caller,
        scope: &ScopeText,
        at: Timestamp,
    ) -> Result<bool, Rejection> {
        let place = scope.find_ever(state, caller)?;
        caller.require(state, "tokens:read", place)?;
        let slots = state.tokens().of(place.organization());
        let end = slots.len().min(self.looked_at + STEP);
        let tokens = slots[self.looked_at..end].iter().filter_map(|slot| state.tokens().at(*slot));
        tokens.for_each(|token| self.count(state, token, place, at));
        self.looked_at = end;
        let is_left = end < slots.len();
        if let (false, Scope::Organization(id)) = (is_left, place) {
            self.projects = state.projects_after(id, None).count() as u64;
        }
        if !is_left && caller.may(state, "members:read", place) {
            self.people = place.organization().map(|id| heads(state, id, place, at));
        }
        Ok(is_left)
    }

    fn count(&mut self, state: &State, token: &Arc<Token>, place: Scope, at: Timestamp) {
        let status = state.status(token, at);
        if place.contains(token.scope) {
            *match status {
                Status::Live => &mut self.live,
                Status::Expired => &mut self.expired,
                Status::Revoked => &mut self.revoked,
            } += 1;
        } else if status == Status::Live {
            let holds = token.grants.iter().any(|grant| grant.place(token.scope) == place);
            self.holders += u64::from(holds);
        }
    }
}

fn heads(state: &State, organization: OrganizationId, place: Scope, at: Timestamp) -> Heads {
    let inside = state.people().members_after(organization, None).filter(|one| place.contains(one.place));
    let persons: BTreeSet<UserId> = inside.map(|member| member.user).collect();
    let given = state.people().invitations_after(organization, None);
    let open = given.filter(|one| place.contains(one.place) && one.status(at) == InvitationStatus::Open);
    Heads { members: persons.len() as u64, invitations: open.count() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Expiry;
    use crate::testing::{World, absent, admin, forbidden, scope_text};
    use std::time::Duration;

    fn counted(world: &World, scope: &str) -> [u64; 5] {
        let mut contents = Contents::default();
        while contents.step(&world.state, &admin(), &scope_text(scope), world.at).unwrap() {}
        [contents.projects, contents.live, contents.expired, contents.revoked, contents.holders]
    }

    #[test]
    fn what_would_end_is_counted_where_it_is() {
        let mut world = World::with_tenants();
        let hour = Duration::from_hours(1);
        world.mint_by(&admin(), "acme", &["member"], |p| p.expiry = Expiry::In(hour)).unwrap();
        world.mint("acme", &["verifier", "project-reader@web"]);
        world.mint("acme/api", &["project-reader"]);
        let gone = world.mint("acme/web", &["project-reader"]);
        world.revoke(&admin(), gone, false).unwrap();
        world.mint("acme/web", &["project-reader"]);
        world.mint("other", &["member"]);
        world.pass(hour);
        assert_eq!(counted(&world, "acme"), [2, 3, 1, 1, 0]);
        assert_eq!(counted(&world, "acme/web"), [0, 1, 0, 1, 1]);
        assert_eq!(counted(&world, "other"), [1, 1, 0, 0, 0]);
    }

    #[test]
    fn members_and_open_invitations_are_counted_for_who_may_read_them() {
        let mut world = World::with_tenants();
        for (place, role, accepts) in [
            ("acme", "member", true),
            ("acme", "member", false),
            ("acme/web", "project-reader", true),
            ("acme/api", "project-reader", false),
        ] {
            let (_, text) = world.invite(&admin(), place, role).unwrap();
            if accepts {
                world.accept(&text.unwrap()).unwrap();
            }
        }
        let people = |caller: &Caller, scope: &str| {
            let mut contents = Contents::default();
            while contents.step(&world.state, caller, &scope_text(scope), world.at).unwrap() {}
            contents.people.map(|Heads { members, invitations }| (members, invitations))
        };
        assert_eq!(people(&admin(), "acme"), Some((2, 2)));
        assert_eq!(people(&admin(), "acme/web"), Some((1, 0)));
        assert_eq!(people(&admin(), "acme/api"), Some((0, 1)));
        let late = world.at.after(Duration::from_hours(7 * 24));
        let mut contents = Contents::default();
        while contents.step(&world.state, &admin(), &scope_text("acme"), late).unwrap() {}
        assert_eq!(contents.people, Some(Heads { members: 2, invitations: 0 }));
    }

    #[test]
    fn a_count_of_many_takes_steps() {
        let mut world = World::with_tenants();
        for _ in 0..=STEP {
            world.mint("acme", &["member"]);
        }
        let mut contents = Contents::default();
        let mut step = || contents.step(&world.state, &admin(), &scope_text("acme"), world.at);
        assert!(step().unwrap() && !step().unwrap());
        assert_eq!(contents.live, STEP as u64 + 1);
    }

    #[test]
    fn who_may_read_the_tokens_may_count_them() {
        let mut world = World::with_tenants();
        let [verifier, stranger] = [("acme", "verifier"), ("other", "owner")].map(|(scope, grant)| {
            let id = world.mint(scope, &[grant]);
            world.caller(id)
        });
        let count = |caller| Contents::authorize(&world.state, caller, &scope_text("acme"));
        assert_eq!(forbidden(count(&verifier)), "tokens:read at organization acme");
        assert!(absent(count(&stranger)));
    }
}
