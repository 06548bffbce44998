//! One role as it stands, the table of roles, and who holds one.

use super::apply::{Corrupt, missing};
use super::{State, Status, Token, Undo};
use crate::event::By;
use crate::id::{OrganizationId, TokenId};
use crate::line::Line;
use crate::name::Name;
use crate::pack::Pack;
use crate::permission::PermissionSet;
use crate::role::Level;
use crate::scope::{Grant, Scope};
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A named set of permissions, held at one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The organization whose own it is; none is the instance's.
    pub organization: Option<OrganizationId>,
    /// Its name, unique among the instance's roles and those of one organization.
    pub name: Name,
    /// Where it can be held.
    pub level: Level,
    /// What it may do.
    pub permissions: PermissionSet,
    /// When it began.
    pub created_at: Timestamp,
    /// Who defined it.
    pub created_by: By,
    /// The version after the event that last changed it.
    pub revision: u64,
}

impl Role {
    /// Whether every authority has it. The log says so and not the build: a role of a later build's is one too.
    pub fn is_built_in(&self) -> bool {
        matches!(self.created_by, By::System(_))
    }

    /// The scope whose own it is. Everything that can hold it acts there or inside.
    pub fn scope(&self) -> Scope {
        self.organization.map_or(Scope::Instance, Scope::Organization)
    }
}

/// All roles, by whose own they are and by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Roles(HashMap<Option<OrganizationId>, BTreeMap<Name, Arc<Role>>>);

impl Pack for Roles {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Pack::unpack(from).map(Self)
    }
}

/// What stood under a name before: none where nothing did.
pub(super) struct RoleUndo {
    owner: Option<OrganizationId>,
    name: Name,
    before: Option<Arc<Role>>,
}

impl Roles {
    fn get(&self, owner: Option<OrganizationId>, name: &Name) -> Option<&Arc<Role>> {
        self.0.get(&owner)?.get(name)
    }

    /// Puts a role under its name, or takes it away; says how to take that back.
    fn put(&mut self, owner: Option<OrganizationId>, name: Name, role: Option<Arc<Role>>) -> RoleUndo {
        let own = self.0.entry(owner).or_default();
        let before = match role {
            Some(role) => own.insert(name.clone(), role),
            None => own.remove(&name),
        };
        if own.is_empty() {
            self.0.remove(&owner);
        }
        RoleUndo { owner, name, before }
    }

    pub(super) fn undo(&mut self, undo: RoleUndo) {
        self.put(undo.owner, undo.name, undo.before);
    }
}

impl State {
    /// A role by name, as it can be held in an organization or, without one, on the instance.
    ///
    /// An organization's own role goes before the instance's: no command makes two of one name, but an upgrade may
    /// bring a built-in role whose name an organization has used for long, and must not give its holders another one.
    pub fn role(&self, organization: Option<OrganizationId>, name: &Name) -> Option<&Arc<Role>> {
        let own = organization.and_then(|_| self.roles.get(organization, name));
        own.or_else(|| self.roles.get(None, name))
    }

    /// Every role of the instance (none) or an organization, by name.
    pub fn roles_of(&self, owner: Option<OrganizationId>) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.0.get(&owner).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether any organization that is not deleted has a role of its own with this name.
    pub fn is_role_of_some_organization(&self, name: &Name) -> bool {
        let stands = |id| self.organization(id).is_some_and(|found| found.deletion().is_none());
        self.roles.0.iter().any(|(owner, roles)| owner.is_some_and(stands) && roles.contains_key(name))
    }

    /// Whether a token has a grant of this role, and not of another of the same name.
    pub fn holds_role(&self, token: &Token, role: &Role) -> bool {
        let organization = token.scope.organization();
        let is_it = |found: &Arc<Role>| found.organization == role.organization;
        token.grants.iter().any(|grant| grant.role == role.name)
            && self.role(organization, &role.name).is_some_and(is_it)
    }

    /// The live tokens that hold a role, sessions among them.
    pub fn holders<'a>(&'a self, role: &'a Role, at: Timestamp) -> impl Iterator<Item = &'a Arc<Token>> {
        let is_of_one = role.organization.is_some() || role.level == Level::Instance;
        let of_one = is_of_one.then(|| self.tokens.of(role.organization)).into_iter().flatten();
        let of_all = (!is_of_one).then(|| self.tokens.iter()).into_iter().flatten();
        of_one
            .filter_map(|slot| self.tokens.at(*slot))
            .chain(of_all)
            .filter(move |token| self.holds_role(token, role) && self.status(token, at) == Status::Live)
    }

    pub(super) fn define_role(
        &mut self,
        line: &Line,
        name: &Name,
        level: Level,
        permissions: &PermissionSet,
    ) -> Result<(), Corrupt> {
        if let Some(organization) = line.org.filter(|org| self.organization(*org).is_none()) {
            return Err(missing("organization", organization));
        }
        if self.roles.get(line.org, name).is_some() {
            return Err(Corrupt(format!("the role {name} began twice")));
        }
        self.put_role(Role {
            organization: line.org,
            name: name.clone(),
            level,
            permissions: permissions.clone(),
            created_at: line.at,
            created_by: line.actor.by.clone(),
            revision: self.version(),
        });
        Ok(())
    }

    pub(super) fn change_role(
        &mut self,
        owner: Option<OrganizationId>,
        name: &Name,
        permissions: &PermissionSet,
    ) -> Result<(), Corrupt> {
        let role = self.roles.get(owner, name).ok_or_else(|| missing("role", name))?;
        let (permissions, revision) = (permissions.clone(), self.version());
        self.put_role(Role { permissions, revision, ..(**role).clone() });
        Ok(())
    }

    /// Ends a role. Its replacement takes its place in every live token, membership and open invitation; what has
    /// ended keeps the record of what it held.
    pub(super) fn retire_role(
        &mut self,
        line: &Line,
        name: &Name,
        replacement: Option<&Name>,
    ) -> Result<(), Corrupt> {
        let role = Arc::clone(self.roles.get(line.org, name).ok_or_else(|| missing("role", name))?);
        if let Some(replacement) = replacement {
            if self.role(line.org, replacement).is_none_or(|found| found.level != role.level) {
                return Err(missing("role", replacement));
            }
            let holders: Vec<TokenId> = self.holders(&role, line.at).map(|token| token.id).collect();
            for holder in holders {
                let token = self.tokens.get(holder).ok_or_else(|| missing("token", holder))?;
                let grants = replaced(&token.grants, name, replacement);
                let grants = self.tokens.share(&grants);
                self.change_token(holder, |token| token.grants = grants)?;
            }
            self.replace_role_of_people(line, &role, replacement)?;
        }
        let undo = self.roles.put(line.org, name.clone(), None);
        self.keep(|| Undo::Role(undo));
        Ok(())
    }

    fn put_role(&mut self, role: Role) {
        let undo = self.roles.put(role.organization, role.name.clone(), Some(Arc::new(role)));
        self.keep(|| Undo::Role(undo));
    }
}

/// Grants with one role in another's place: sorted, without repetitions.
fn replaced(grants: &[Grant], role: &Name, replacement: &Name) -> Arc<[Grant]> {
    let mut grants: Vec<Grant> = grants
        .iter()
        .map(|grant| Grant {
            role: if grant.role == *role { replacement.clone() } else { grant.role.clone() },
            project: grant.project,
        })
        .collect();
    grants.sort_unstable();
    grants.dedup();
    grants.into()
}
