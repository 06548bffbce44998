//! The erasure of a person: the values go, the lines stay.
//!
//! What is deleted is decided on the same state that the event is appended to. The state knows persons and invitations
//! by their commitments; which commitments are to the same mail address, the caller has looked up, so many at a time as
//! one commit can take. What has come in since that look stays until the next erasure.
//!
//! Anybody who may invite can have a person of any mail address, so an address that was not shown to be somebody's is
//! believed only where it takes nothing from anybody else: it neither refuses an erasure nor widens one.

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
    /// Commitments to its mail address, also as names: with an id, those that are not its own.
    pub addresses: Vec<Box<str>>,
    /// There are more of them, for further erasures. The person that is named by its id is left to the last one.
    pub more: bool,
}

/// What is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erasing {
    /// All that is kept about these persons.
    pub users: Vec<UserId>,
    /// The values behind these commitments, and no others.
    pub values: Vec<Box<str>>,
}

/// Whom and what an erasure is about.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The person's ids.
    pub users: Vec<Arc<User>>,
    /// Who has the mail address, did not show to receive mail there, and is a member: keeps everything but the address.
    pub members: Vec<UserId>,
    /// The invitations to the person's mail address, and those that it accepted.
    pub invitations: Vec<Arc<Invitation>>,
    /// What is deleted.
    pub erasing: Erasing,
    /// Whether it has to be repeated for the rest.
    pub more: bool,
}

impl Erase {
    /// Whom and what it is about. Refuses for somebody who is still a member.
    pub fn find(&self, state: &State) -> Result<Found, Rejection> {
        let people = state.people();
        let named = match self.user {
            Some(user) => Some(people.user(user).ok_or_else(|| Rejection::not_found("user", &user))?),
            None => None,
        };
        named.map_or(Ok(()), |named| require_no_member(state, named.id))?;
        let same = self.followed(state);
        let more = self.more && !same.is_empty();
        let (mut users, mut members) = (Vec::new(), Vec::new());
        for user in people.users_after(None).filter(|user| same.contains(&*user.email)) {
            match (named, user.email_verified) {
                (Some(named), _) if named.id == user.id => {}
                (_, true) => {
                    require_no_member(state, user.id)?;
                    users.push(Arc::clone(user));
                }
                (None, false) if places_of(state, user.id, Fate::Keep).is_empty() => {
                    users.push(Arc::clone(user));
                }
                (_, false) => members.push(user.id),
            }
        }
        users.extend(named.filter(|_| !more).cloned());
        let ids: BTreeSet<UserId> = users.iter().map(|user| user.id).collect();
        let is_about = |invitation: &&Arc<Invitation>| {
            same.contains(&*invitation.email)
                || matches!(invitation.end, Some(InvitationEnd::Accepted(user)) if ids.contains(&user))
        };
        let invitations: Vec<Arc<Invitation>> = people.invitations().filter(is_about).cloned().collect();
        let mut values: BTreeSet<&str> = same.iter().copied().collect();
        values.extend(invitations.iter().map(|invitation| &*invitation.email));
        values.extend(users.iter().flat_map(|user| [Some(&*user.email), user.name.as_deref()]).flatten());
        // As long as it is not its turn, the address is found by it.
        let kept = named.filter(|_| more).map(|named| &*named.email);
        let values = values.into_iter().filter(|value| Some(*value) != kept).map(Box::from).collect();
        let erasing = Erasing { users: ids.into_iter().collect(), values };
        Ok(Found { users, members, invitations, erasing, more })
    }

    /// The commitments that are followed to others: with an id, only where its mail address is known to be the
    /// person's.
    fn followed(&self, state: &State) -> HashSet<&str> {
        let named = self.user.and_then(|user| state.people().user(user));
        let is_followed = named.is_none_or(|named| named.email_verified);
        self.addresses.iter().filter(|_| is_followed).map(|address| &**address).collect()
    }
}

impl Found {
    /// Whether there is somebody, or an invitation to a mail address, that was not erased before.
    fn is_new(&self, state: &State, erase: &Erase) -> bool {
        let same = erase.followed(state);
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
    if found.is_new(state, erase) {
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
    use crate::decide::{Command, Expiry, Giving, Invite, TokensFate};
    use crate::secret::Secret;
    use crate::testing::{World, absent, admin, forbidden, scope_text, types};

    fn erase(world: &mut World, user: Option<UserId>, addresses: &[Box<str>]) -> Result<Decision, Rejection> {
        world.run(&admin(), Command::Erase(Erase { user, addresses: addresses.to_vec(), more: false }))
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
        let asked = Command::Erase(Erase { user: Some(ada), ..Erase::default() });
        assert_eq!(forbidden(world.run(&owner, asked)), "people:erase at the instance");
        assert!(absent(erase(&mut world, Some(UserId(uuid::Uuid::from_u128(9))), &[])));
        world.offboard(&admin(), ada, TokensFate::default()).unwrap();
        let own = commitment(&world, ada);
        let done = erase(&mut world, None, &[own]).unwrap().erases.unwrap();
        assert_eq!(done.users, [ada]);
        assert_eq!(world.state.people().user(grace).unwrap().erased_at, None);
    }

    /// Somebody who has shown to receive mail at the address.
    fn join_by_mail(world: &mut World, place: &str) -> UserId {
        let id = InvitationId(world.id());
        let giving = Giving { entropy: world.entropy(), expiry: Expiry::Inherited, by_mail: true };
        let email = format!("email {id}").into();
        let invite = Invite { id, place: scope_text(place), role: "member".to_owned(), email, giving };
        let text = world.admin(Command::Invite(invite)).secret.map(Secret::into_text).unwrap();
        let (user, _) = world.accept(&text).unwrap();
        assert!(world.state.people().user(user).unwrap().email_verified);
        user
    }

    fn is_erased(world: &World, user: UserId) -> bool {
        world.state.people().user(user).unwrap().erased_at.is_some()
    }

    #[test]
    fn an_address_that_was_not_shown_to_be_somebodys_refuses_and_widens_nothing() {
        let mut world = World::with_tenants();
        let (fake, _) = world.join("acme", "member");
        let real = join_by_mail(&mut world, "other");
        let (of_fake, of_real) = (commitment(&world, fake), commitment(&world, real));
        let both = [of_fake.clone(), of_real.clone()];
        // Who has shown it and is a member is not erased through the other.
        let refused = erase(&mut world, None, &both).unwrap_err();
        assert!(matches!(refused, Rejection::StillMember { user, .. } if user == real.to_string()));
        world.offboard(&admin(), real, TokensFate::default()).unwrap();
        let asked = Erase { user: None, addresses: both.to_vec(), more: false };
        let found = asked.find(&world.state).unwrap();
        assert_eq!((&found.members, &found.erasing.users), (&vec![fake], &vec![real]));
        let done = erase(&mut world, None, &both).unwrap().erases.unwrap();
        assert_eq!((is_erased(&world, real), is_erased(&world, fake)), (true, false));
        let name = world.state.people().user(fake).unwrap().name.clone().unwrap();
        assert!(done.values.contains(&of_fake) && done.values.contains(&of_real));
        assert_eq!(done.values.iter().filter(|value| **value == name).count(), 1, "the other's");
    }

    #[test]
    fn by_id_only_an_address_that_was_shown_is_followed() {
        let mut world = World::with_tenants();
        let (fake, _) = world.join("acme", "member");
        let real = join_by_mail(&mut world, "other");
        world.invite(&admin(), "other", "member").unwrap();
        let open = world.state.people().invitations().find(|one| one.end.is_none()).unwrap().clone();
        let (of_fake, of_real) = (commitment(&world, fake), commitment(&world, real));
        world.offboard(&admin(), fake, TokensFate::default()).unwrap();
        let done = erase(&mut world, Some(fake), &[of_real, open.email.clone()]).unwrap();
        assert_eq!(done.erases.unwrap().values, [of_fake.clone(), "name".into()]);
        assert!(world.state.people().invitation_by_text(&open.issue.hash.unwrap()).unwrap().end.is_none());
        let also = join_by_mail(&mut world, "acme");
        world.offboard(&admin(), real, TokensFate::default()).unwrap();
        let of_also = commitment(&world, also);
        let refused = erase(&mut world, Some(real), std::slice::from_ref(&of_also)).unwrap_err();
        assert!(matches!(refused, Rejection::StillMember { user, .. } if user == also.to_string()));
        world.offboard(&admin(), also, TokensFate::default()).unwrap();
        erase(&mut world, Some(real), &[of_also, open.email.clone()]).unwrap();
        assert!(is_erased(&world, real) && is_erased(&world, also));
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn as_long_as_there_is_more_the_one_who_is_named_stays_to_be_found() {
        let mut world = World::with_tenants();
        let ada = join_by_mail(&mut world, "acme");
        world.offboard(&admin(), ada, TokensFate::default()).unwrap();
        world.invite(&admin(), "acme", "member").unwrap();
        let open = world.state.people().invitations().find(|one| one.end.is_none()).unwrap().clone();
        let step =
            |more| Command::Erase(Erase { user: Some(ada), addresses: vec![open.email.clone()], more });
        let first = world.run(&admin(), step(true)).unwrap();
        assert_eq!((first.erases.unwrap().values, is_erased(&world, ada)), (vec![open.email.clone()], false));
        assert_eq!(first.elsewhere.len(), 2);
        let last = world.run(&admin(), step(false)).unwrap().erases.unwrap();
        assert!(last.values.contains(&commitment(&world, ada)) && is_erased(&world, ada));
    }
}
