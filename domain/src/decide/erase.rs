//! The erasure of a person: the values go, the lines stay.
//!
//! What is deleted is decided on the same state that the event is appended to. The state knows persons and invitations by
//! their commitments; which commitments are to the same mail address, the caller has looked up.

use super::Decision;
use super::member::places_of;
use crate::authority::Caller;
use crate::event::{Event, Subject};
use crate::id::{InvitationId, OrganizationId, UserId};
use crate::people::{Fate, PersonErased};
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{Invitation, InvitationEnd, InvitationStatus, State, User};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// What it needs, on the instance.
pub(super) const PERMISSION: &str = "people:erase";
/// The most invitations that a line names.
const NAMED: usize = 1_000;
/// The most organizations that a refusal names.
const SHOWN: usize = 5;

/// Keep a person's values no longer.
#[derive(Clone, Debug, Default)]
pub struct Erase {
    /// The person, if it is named by its id.
    pub user: Option<UserId>,
    /// All commitments to its mail address.
    pub addresses: Vec<Box<str>>,
}

/// What is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasing {
    /// All that is kept about these persons.
    pub users: Vec<UserId>,
    /// The values behind these commitments.
    pub values: Vec<Box<str>>,
    /// The mail addresses behind these commitments, wherever they stand.
    pub addresses: Vec<Box<str>>,
}

/// Whom and what an erasure is about.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The person's ids.
    pub users: Vec<Arc<User>>,
    /// The invitations to the person's mail address, and those that it accepted.
    pub invitations: Vec<Arc<Invitation>>,
    /// What is deleted.
    pub erasing: Erasing,
}

impl Erase {
    /// Whom and what it is about. Refuses for somebody who is still a member.
    pub fn find(&self, state: &State) -> Result<Found, Rejection> {
        let people = state.people();
        if let Some(user) = self.user.filter(|user| people.user(*user).is_none()) {
            return Err(Rejection::not_found("user", &user));
        }
        let same: HashSet<&str> = self.addresses.iter().map(|address| &**address).collect();
        let is_meant = |user: &&Arc<User>| Some(user.id) == self.user || same.contains(&*user.email);
        let users: Vec<Arc<User>> = people.users_after(None).filter(is_meant).cloned().collect();
        users.iter().try_for_each(|user| require_no_member(state, user.id))?;
        let ids: BTreeSet<UserId> = users.iter().map(|user| user.id).collect();
        let is_about = |invitation: &&Arc<Invitation>| {
            same.contains(&*invitation.email)
                || matches!(invitation.end, Some(InvitationEnd::Accepted(user)) if ids.contains(&user))
        };
        let invitations: Vec<Arc<Invitation>> = people.invitations().filter(is_about).cloned().collect();
        let names = users.iter().filter_map(|user| user.name.clone());
        let values = names.chain(invitations.iter().map(|invitation| invitation.email.clone())).collect();
        let own = users.iter().map(|user| user.email.clone());
        let addresses = self.addresses.iter().cloned().chain(own).collect();
        let erasing = Erasing { users: ids.into_iter().collect(), values, addresses };
        Ok(Found { users, invitations, erasing })
    }
}

impl Found {
    /// Whether there is somebody, or an invitation to a mail address, that was not erased before.
    fn is_new(&self, erase: &Erase) -> bool {
        let same: HashSet<&str> = erase.addresses.iter().map(|address| &**address).collect();
        let is_known = |invitation: &Arc<Invitation>| same.contains(&*invitation.email);
        self.users.iter().any(|user| user.erased_at.is_none()) || self.invitations.iter().any(is_known)
    }

    /// What happens in the organizations that are there: open invitations end, and the erasure stands in their record.
    fn elsewhere(&self, state: &State, at: Timestamp) -> Vec<(OrganizationId, Event)> {
        /// Who accepted, what was given out, and what of it ends.
        type Invited = (BTreeSet<UserId>, Vec<InvitationId>, Vec<Event>);
        let mut of: BTreeMap<OrganizationId, Invited> = BTreeMap::new();
        for invitation in &self.invitations {
            let organization = invitation.place.organization().expect("invitations are of organizations");
            let (users, invitations, ended) = of.entry(organization).or_default();
            invitations.push(invitation.id);
            match (invitation.end, invitation.status(at)) {
                (Some(InvitationEnd::Accepted(user)), _) => drop(users.insert(user)),
                (_, InvitationStatus::Open) => {
                    ended.push(Event::InvitationWithdrawn { invitation: invitation.id });
                }
                _ => {}
            }
        }
        of.retain(|organization, _| state.end_of(Scope::Organization(*organization)).is_none());
        let mut events = Vec::new();
        for (organization, (users, mut invitations, ended)) in of {
            let known = &self.erasing.users;
            let users = users.into_iter().filter(|user| known.contains(user)).collect();
            invitations.truncate(NAMED);
            let erased = Event::PersonErased(PersonErased { users, invitations });
            events.extend(ended.into_iter().chain([erased]).map(|event| (organization, event)));
        }
        events
    }
}

pub(super) fn authorize(state: &State, caller: &Caller) -> Result<(), Rejection> {
    caller.require(state, PERMISSION, Scope::Instance)
}

/// A repeated erasure is no event; what has come to be kept since goes with its record all the same.
pub(super) fn erase(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    erase: &Erase,
) -> Result<Decision, Rejection> {
    authorize(state, caller)?;
    let found = erase.find(state)?;
    let users: Vec<UserId> = found.erasing.users.clone();
    let subject = users.first().map_or(Subject::Instance, |user| Subject::User(*user));
    let mut decision = Decision::new(None, Vec::new(), subject);
    if found.is_new(erase) {
        decision.elsewhere = found.elsewhere(state, at);
        decision.events.push(Event::PersonErased(PersonErased { users, invitations: Vec::new() }));
    }
    Ok(Decision { erases: Some(found.erasing), ..decision })
}

fn require_no_member(state: &State, user: UserId) -> Result<(), Rejection> {
    let organizations = places_of(state, user, Fate::Keep);
    if organizations.is_empty() {
        return Ok(());
    }
    let shown = organizations.iter().take(SHOWN).map(|id| state.describe(Scope::Organization(*id)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let organizations = match organizations.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    };
    Err(Rejection::StillMember { user: user.to_string(), organizations })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, TokensFate};
    use crate::testing::{World, absent, admin, forbidden, types};

    fn erase(world: &mut World, user: Option<UserId>, addresses: &[Box<str>]) -> Result<Decision, Rejection> {
        world.run(&admin(), Command::Erase(Erase { user, addresses: addresses.to_vec() }))
    }

    fn commitment(world: &World, user: UserId) -> Box<str> {
        world.state.people().user(user).unwrap().email.clone()
    }

    #[test]
    fn a_member_is_not_erased_until_it_has_left() {
        let mut world = World::with_tenants();
        let (user, _) = world.join("acme", "member");
        let refused = erase(&mut world, Some(user), &[]).unwrap_err();
        let Rejection::StillMember { organizations, .. } = refused else { panic!("{refused}") };
        assert_eq!(organizations, "organization acme");
        world.offboard(&admin(), user, TokensFate::default()).unwrap();
        let done = erase(&mut world, Some(user), &[]).unwrap();
        assert_eq!((types(&done), done.elsewhere.len()), (vec!["PersonErased"], 1));
        assert_eq!(world.state.people().user(user).unwrap().erased_at, Some(world.at));
        let again = erase(&mut world, Some(user), &[]).unwrap();
        assert!(again.events.is_empty() && again.elsewhere.is_empty() && again.erases.is_some());
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn an_open_invitation_to_the_address_ends() {
        let mut world = World::with_tenants();
        world.invite(&admin(), "acme", "member").unwrap();
        let open = Arc::clone(world.state.people().invitations().next().unwrap());
        let done = erase(&mut world, None, std::slice::from_ref(&open.email)).unwrap();
        let Event::PersonErased(instance) = &done.events[0] else { panic!() };
        assert_eq!(*instance, PersonErased::default());
        let there: Vec<_> = done.elsewhere.iter().map(|(_, event)| event.clone()).collect();
        let erased = PersonErased { users: Vec::new(), invitations: vec![open.id] };
        let withdrawn = Event::InvitationWithdrawn { invitation: open.id };
        assert_eq!(there, [withdrawn, Event::PersonErased(erased)]);
        assert_eq!(
            world.state.people().invitations().next().unwrap().status(world.at),
            InvitationStatus::Withdrawn
        );
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn only_the_instance_erases_and_only_who_is_meant() {
        let mut world = World::with_tenants();
        let (ada, _) = world.join("acme", "member");
        let (grace, session) = world.join("acme", "owner");
        world.join("acme", "owner");
        let owner = world.caller(session);
        let asked = Command::Erase(Erase { user: Some(ada), addresses: Vec::new() });
        assert_eq!(forbidden(world.run(&owner, asked)), "people:erase at the instance");
        assert!(absent(erase(&mut world, Some(UserId(uuid::Uuid::from_u128(9))), &[])));
        world.offboard(&admin(), ada, TokensFate::default()).unwrap();
        let own = commitment(&world, ada);
        let done = erase(&mut world, None, &[own]).unwrap().erases.unwrap();
        assert_eq!(done.users, [ada]);
        assert_eq!(world.state.people().user(grace).unwrap().erased_at, None);
    }
}
