//! Reviewing access: what a token may do, what of that it ever did, and what would be enough for it.

use crate::authority::{permissions_at, role_of};
use crate::id::OrganizationId;
use crate::name::Name;
use crate::permission::{Pattern, PermissionSet};
use crate::role::Level;
use crate::scope::Scope;
use crate::state::{Role, State, Token};
use std::collections::BTreeSet;
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;

/// The permissions of Chancery's own that count inside an organization. What else `*` stands for is for the services to
/// say, by the roles that name it.
const OWN: &[&str] = &[
    "audit:read",
    "leaks:read",
    "members:invite",
    "members:read",
    "members:remove",
    "members:update",
    "organizations:delete",
    "organizations:export",
    "organizations:read",
    "organizations:suspend",
    "organizations:update",
    "policies:read",
    "policies:update",
    "projects:create",
    "projects:delete",
    "projects:read",
    "projects:update",
    "roles:create",
    "roles:read",
    "roles:retire",
    "roles:update",
    "tokens:import",
    "tokens:mint",
    "tokens:read",
    "tokens:revoke",
    "tokens:rotate",
    "tokens:update",
    "tokens:verify",
];

/// The permissions that are known in an organization: Chancery's own, and those that roles name there.
pub struct Catalog {
    known: BTreeSet<String>,
    roles: Vec<Arc<Role>>,
}

/// What is found about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// What it may do, where.
    pub held: Vec<(Scope, PermissionSet)>,
    /// What it may do and never did. A wildcard stands for the permissions that are known; where none is, it stands here
    /// itself.
    pub never_used: Vec<String>,
    /// What it did and still may.
    pub needed: Vec<String>,
    /// The role with the fewest permissions that would be enough where the token acts, if it is less than what it has.
    pub narrower_role: Option<Name>,
}

impl Catalog {
    /// What is known in an organization.
    pub fn of(state: &State, organization: OrganizationId) -> Self {
        let shared = state.roles_of(None).filter(|role| role.level != Level::Instance);
        let roles: Vec<_> = shared.chain(state.roles_of(Some(organization))).cloned().collect();
        let named = roles.iter().flat_map(|role| role.permissions.patterns()).map(Pattern::as_str);
        let known = named.filter(|text| !text.ends_with('*')).chain(OWN.iter().copied());
        Self { known: known.map(str::to_owned).collect(), roles }
    }

    /// The permissions that patterns stand for, as far as they are known.
    fn expand<'p>(&self, patterns: impl Iterator<Item = &'p Pattern>) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for pattern in patterns {
            let text = pattern.as_str();
            // `noun:*` stands for what begins with `noun:`, and `*` for everything.
            let start = text.strip_suffix('*');
            let known = start.into_iter().flat_map(|start| {
                let from = self.known.range::<str, _>((Included(start), Unbounded));
                from.take_while(move |known| known.starts_with(start))
            });
            let mut known = known.cloned().peekable();
            if known.peek().is_none() {
                all.insert(text.to_owned());
            }
            all.extend(known);
        }
        all
    }

    /// Reviews a token that used these permissions.
    pub fn review(&self, state: &State, token: &Arc<Token>, used: &BTreeSet<String>) -> Review {
        let places: BTreeSet<Scope> = token
            .grants
            .iter()
            .filter(|grant| role_of(state, token.scope, grant).is_some())
            .map(|grant| grant.place(token.scope))
            .collect();
        let held: Vec<_> =
            places.into_iter().map(|place| (place, permissions_at(state, token, place))).collect();
        let patterns = || held.iter().flat_map(|(_, set)| set.patterns());
        let all = self.expand(patterns());
        let is_used = |text: &String| {
            used.contains(text)
                || Pattern::parse(text).is_some_and(|pattern| {
                    text.ends_with('*') && used.iter().any(|used| pattern.allows(used))
                })
        };
        let never_used = all.iter().filter(|text| !is_used(text)).cloned().collect();
        let needed: Vec<String> =
            used.iter().filter(|used| held.iter().any(|(_, set)| set.allows(used))).cloned().collect();
        let narrower_role = self.narrower(token, &needed, all.len());
        Review { held, never_used, needed, narrower_role }
    }

    /// The smallest role of the token's level that allows all that is needed.
    fn narrower(&self, token: &Token, needed: &[String], has: usize) -> Option<Name> {
        if needed.is_empty() {
            return None;
        }
        let fits = self.roles.iter().filter(|role| {
            role.level == token.scope.level() && needed.iter().all(|needed| role.permissions.allows(needed))
        });
        fits.map(|role| (self.expand(role.permissions.patterns().iter()).len(), &role.name))
            .filter(|(count, _)| *count < has)
            .min()
            .map(|(_, name)| name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    fn review(world: &World, id: crate::id::TokenId, used: &[&str]) -> Review {
        let token = world.token(id);
        let catalog = Catalog::of(&world.state, token.scope.organization().unwrap());
        catalog.review(&world.state, token, &used.iter().map(|used| (*used).to_owned()).collect())
    }

    #[test]
    fn what_was_never_used_is_what_is_held_without_what_was_used() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let found = review(&world, id, &["projects:read", "gone:since"]);
        assert_eq!(found.needed, ["projects:read"]);
        assert_eq!(
            found.never_used,
            ["members:read", "organizations:read", "roles:read", "tokens:mint", "tokens:read"]
        );
        assert_eq!(found.held.len(), 1);
        let found = review(&world, id, &[]);
        assert_eq!((found.needed.len(), found.never_used.len(), found.narrower_role), (0, 6, None));
    }

    #[test]
    fn the_narrowest_role_that_is_enough_is_found() {
        let mut world = World::with_tenants();
        let owner = world.mint("acme", &["owner"]);
        let role = |used: &[&str]| review(&world, owner, used).narrower_role.map(|name| name.to_string());
        assert_eq!(role(&["tokens:verify"]).as_deref(), Some("verifier"));
        assert_eq!(role(&["tokens:mint", "projects:read"]).as_deref(), Some("member"));
        assert_eq!(role(&["organizations:delete"]), None, "only an owner may");
        let verifier = world.mint("acme", &["verifier"]);
        assert_eq!(review(&world, verifier, &["tokens:verify"]).narrower_role, None);
    }

    #[test]
    fn a_wildcard_stands_for_what_is_known() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["project-writer@web"]);
        let found = review(&world, id, &["deployments:create"]);
        assert_eq!(found.never_used, ["deployments:read", "projects:read"]);
        assert_eq!(found.held[0].0, world.scope("acme/web"));
        assert_eq!(found.needed, ["deployments:create"]);
    }
}
