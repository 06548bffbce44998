//! Roles as a caller may read them, and how many tokens hold each.

use super::{STEP, Slots, Visible};
use crate::authority::Caller;
use crate::decide::find_organization;
use crate::id::OrganizationId;
use crate::name::Name;
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::Scope;
use crate::state::{Role, State, Status};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Refuses to show the roles of an organization or, without one, of the instance. An organization's may be read by
/// who may read them in one of its projects: they are the same there.
pub(super) fn authorize(state: &State, caller: &Caller, organization: Option<&str>) -> Result<(), Rejection> {
    let scope = find(state, caller, organization)?;
    match scope {
        Scope::Instance => caller.require(state, "roles:read", scope),
        _ => caller.require_somewhere(state, "roles:read", scope),
    }
}

/// Roles by name, after a name: those that can be held in an organization, or all of the instance's.
pub fn roles(
    state: &State,
    caller: &Caller,
    organization: Option<&str>,
    after: Option<&Name>,
    limit: usize,
) -> Result<Vec<Arc<Role>>, Rejection> {
    authorize(state, caller, organization)?;
    let owner = find(state, caller, organization)?.organization();
    let shared = state.roles_of(None).filter(|role| owner.is_none() || role.level != Level::Instance);
    let own = owner.into_iter().flat_map(|owner| state.roles_of(Some(owner)));
    // The organization's own come last: where two have a name, that is the one which is held there.
    let by_name: BTreeMap<&Name, &Arc<Role>> = shared.chain(own).map(|role| (&role.name, role)).collect();
    let follows = |role: &&Arc<Role>| after.is_none_or(|after| role.name > *after);
    Ok(by_name.into_values().filter(follows).take(limit).cloned().collect())
}

/// A role that can be held in an organization, or one of the instance's.
pub fn role(
    state: &State,
    caller: &Caller,
    organization: Option<&str>,
    text: &str,
) -> Result<Arc<Role>, Rejection> {
    authorize(state, caller, organization)?;
    let owner = find(state, caller, organization)?.organization();
    let found = Name::label(text).and_then(|name| state.role(owner, &name));
    let found = found.filter(|role| owner.is_none() || role.level != Level::Instance);
    found.cloned().ok_or_else(|| Rejection::not_found("role", text))
}

fn find(state: &State, caller: &Caller, organization: Option<&str>) -> Result<Scope, Rejection> {
    match organization {
        None => Ok(Scope::Instance),
        Some(text) => find_organization(state, caller, text).map(|found| Scope::Organization(found.id)),
    }
}

/// How many live tokens and members hold each role, among those that the caller may read. It looks at every token of
/// an organization, or of the instance, so it is made step by step like a list. Sessions hold what members do.
#[derive(Default)]
pub struct Census {
    next: usize,
    tokens: Counts,
    members: Counts,
}

type Counts = HashMap<(Option<OrganizationId>, Name), u64>;

impl Census {
    /// Looks at some more tokens; says whether there are any left to look at.
    pub fn step(
        &mut self,
        state: &State,
        caller: &Caller,
        organization: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, Rejection> {
        let scope = find(state, caller, organization)?;
        let slots = Slots::of(state, caller, Some(scope));
        let end = slots.len().min(self.next + STEP);
        let mut visible = Visible::new(state, caller);
        for token in (self.next..end).filter_map(|index| state.tokens().at(slots.at(index)?)) {
            if token.session || !visible.is(token) || state.status(token, at) != Status::Live {
                continue;
            }
            let roles: BTreeSet<&Name> = token.grants.iter().map(|grant| &grant.role).collect();
            for role in roles.into_iter().filter_map(|name| state.role(token.scope.organization(), name)) {
                *self.tokens.entry((role.organization, role.name.clone())).or_default() += 1;
            }
        }
        if self.next == 0 {
            self.count_members(state, caller, scope.organization());
        }
        self.next = end;
        Ok(end < slots.len())
    }

    fn count_members(&mut self, state: &State, caller: &Caller, organization: Option<OrganizationId>) {
        let of_one = organization.into_iter().flat_map(|id| state.people().members_after(id, None));
        for member in of_one.filter(|member| caller.may(state, "members:read", member.place)) {
            if let Some(role) = state.role(organization, &member.role) {
                *self.members.entry((role.organization, role.name.clone())).or_default() += 1;
            }
        }
    }

    /// How many tokens hold a role.
    pub fn tokens(&self, role: &Role) -> u64 {
        self.tokens.get(&(role.organization, role.name.clone())).copied().unwrap_or(0)
    }

    /// How many members of the organization hold a role.
    pub fn members(&self, role: &Role) -> u64 {
        self.members.get(&(role.organization, role.name.clone())).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, DefineRole};
    use crate::query::{Read, authorize};
    use crate::testing::{World, absent, admin, forbidden, texts};

    fn world() -> World {
        let mut world = World::with_tenants();
        for (of, name, level) in [
            (Some("acme"), "helper", Level::Organization),
            (Some("acme"), "local", Level::Project),
            (Some("other"), "helper", Level::Project),
            (None, "shared", Level::Organization),
            (None, "support", Level::Instance),
        ] {
            let define = DefineRole {
                organization: of.map(str::to_owned),
                name: name.to_owned(),
                level,
                permissions: texts(&["a:b"]),
            };
            world.admin(Command::DefineRole(define));
        }
        world
    }

    fn names(world: &World, caller: &Caller, of: Option<&str>) -> Vec<String> {
        let found = roles(&world.state, caller, of, None, 1_000).unwrap();
        found.iter().map(|role| role.name.to_string()).collect()
    }

    #[test]
    fn an_organization_shows_what_can_be_held_in_it() {
        let world = world();
        let of_acme = names(&world, &admin(), Some("acme"));
        for there in ["helper", "local", "shared", "owner", "project-writer"] {
            assert!(of_acme.iter().any(|name| name == there), "{there}");
        }
        assert!(of_acme.is_sorted() && !of_acme.iter().any(|name| name.starts_with("instance-")));
        assert!(!of_acme.contains(&"support".to_owned()));
        let of_all = names(&world, &admin(), None);
        assert!(of_all.contains(&"support".to_owned()) && !of_all.contains(&"helper".to_owned()));
        let level = |of| role(&world.state, &admin(), Some(of), "helper").unwrap().level;
        assert_eq!((level("acme"), level("other")), (Level::Organization, Level::Project));
        assert!(absent(role(&world.state, &admin(), Some("acme"), "support")));
        assert!(absent(role(&world.state, &admin(), None, "helper")));
    }

    #[test]
    fn roles_are_read_by_who_may_somewhere_there() {
        let mut world = world();
        let of_acme = || Read::Roles(Some("acme".to_owned()));
        let refused = |world: &World, id, read: Read| authorize(&world.state, &world.caller(id), &read);
        let (of_web, verifier) =
            (world.mint("acme/web", &["project-admin"]), world.mint("acme", &["verifier"]));
        let stranger = world.mint("other", &["owner"]);
        refused(&world, of_web, of_acme()).unwrap();
        assert_eq!(forbidden(refused(&world, verifier, of_acme())), "roles:read at organization acme");
        assert!(absent(refused(&world, stranger, of_acme())));
        assert_eq!(forbidden(refused(&world, stranger, Read::Roles(None))), "roles:read at the instance");
    }

    #[test]
    fn holders_are_counted_among_the_tokens_that_the_reader_may_read() {
        let mut world = world();
        for grants in [&["helper"][..], &["helper", "local@web", "local@api"], &["shared"]] {
            world.mint("acme", grants);
        }
        world.mint("other", &["shared"]);
        world.mint("acme/web", &["local"]);
        let ended = world.mint("acme", &["helper"]);
        world.revoke(&admin(), ended, false).unwrap();
        let counts = |caller: &Caller, of: Option<&str>| {
            let mut census = Census::default();
            while census.step(&world.state, caller, of, world.at).unwrap() {}
            ["helper", "local", "shared"].map(|name| {
                let found = role(&world.state, caller, of, name);
                found.map_or(99, |role| census.tokens(&role))
            })
        };
        assert_eq!(counts(&admin(), Some("acme")), [2, 2, 1]);
        assert_eq!(counts(&admin(), Some("other")), [0, 99, 1]);
        assert_eq!(counts(&admin(), None), [99, 99, 2]);
        let of_web = world.state.tokens().iter().find(|token| token.scope == world.scope("acme/web"));
        let holder = Caller::of_token(of_web.unwrap());
        assert!(roles(&world.state, &holder, Some("acme"), None, 9).is_err(), "it may not read roles");
    }
}
