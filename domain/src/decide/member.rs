//! Members: another role, an end; and the end of a person's stay on the instance.

use super::invitation::read_role;
use super::{Decision, ScopeText, check_revision};
use crate::authority::{Caller, Reach};
use crate::event::{Event, Subject};
use crate::id::{OrganizationId, TokenId, UserId};
use crate::name::Name;
use crate::people::{Fate, MemberRemoved, MemberRoleChanged};
use crate::rejection::Rejection;
use crate::role;
use crate::scope::{Grant, Scope};
use crate::state::{Member, State, Status};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most tokens that the answer to a removal lists.
const LISTED: usize = 1_000;

/// Give a member another role, or a first one in a project.
#[derive(Clone, Debug)]
pub struct SetMemberRole {
    /// The organization or the project.
    pub place: ScopeText,
    /// The person.
    pub user: UserId,
    /// The role.
    pub role: String,
}

/// End a membership: of a project, or of an organization and all its projects.
#[derive(Clone, Debug)]
pub struct RemoveMember {
    /// The organization or the project.
    pub place: ScopeText,
    /// The person.
    pub user: UserId,
    /// What becomes of the tokens there that the person answers for.
    pub tokens: TokensFate,
}

/// End all memberships and sessions of a person.
#[derive(Clone, Debug)]
pub struct Offboard {
    /// The person.
    pub user: UserId,
    /// What becomes of the tokens that the person answers for.
    pub tokens: TokensFate,
}

/// What becomes of tokens, and who takes them over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokensFate {
    /// What.
    pub fate: Fate,
    /// Who takes them over.
    pub to: Option<UserId>,
}

/// A place of members that the caller may do something at.
fn find_place(
    state: &State,
    caller: &Caller,
    place: &ScopeText,
    permission: &'static str,
) -> Result<(OrganizationId, Scope), Rejection> {
    let place = place.find(state, caller)?;
    caller.require(state, permission, place)?;
    match place.organization() {
        Some(organization) => Ok((organization, place)),
        None => Err(Rejection::invalid("organization", "", "the name or id of an organization".to_owned())),
    }
}

pub(super) fn authorize_set_role(
    state: &State,
    caller: &Caller,
    set: &SetMemberRole,
) -> Result<(OrganizationId, Scope), Rejection> {
    find_place(state, caller, &set.place, "members:update")
}

pub(super) fn set_role(
    state: &State,
    caller: &Caller,
    set: &SetMemberRole,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let (organization, place) = authorize_set_role(state, caller, set)?;
    let people = state.people();
    if people.memberships(organization, set.user).next().is_none() {
        return Err(Rejection::not_found("member", &set.user));
    }
    let held = people.member(organization, set.user, place.project());
    // Where there is no role yet there is no revision either, and no condition on one holds.
    check_revision(held.map_or(0, |member| member.revision), expected)?;
    if let Some(member) = held {
        // Whoever could not give a role does not take it away either.
        require_holds(state, caller, member.place, &member.role)?;
    }
    let role = read_role(state, place, &set.role)?;
    let networks = crate::network::Networks::default();
    let grants = [Grant { role: role.name.clone(), project: None }];
    caller.require_reach(
        state,
        &Reach { scope: place, grants: &grants, expires_at: None, networks: &networks },
    )?;
    let before = held.map(|member| member.role.clone());
    let is_demoted = role.name.as_str() != role::OWNER && place.project().is_none();
    if is_demoted {
        require_other_owner(state, organization, set.user)?;
    }
    let after = role.name.clone();
    let events = if before.as_ref() == Some(&after) {
        Vec::new()
    } else {
        let project = place.project();
        vec![Event::MemberRoleChanged(MemberRoleChanged { user: set.user, project, before, after })]
    };
    Ok(Decision::new(Some(organization), events, Subject::Member(organization, set.user)))
}

pub(super) fn authorize_remove(
    state: &State,
    caller: &Caller,
    remove: &RemoveMember,
) -> Result<(OrganizationId, Scope), Rejection> {
    find_place(state, caller, &remove.place, "members:remove")
}

pub(super) fn remove(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    remove: &RemoveMember,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let (organization, place) = authorize_remove(state, caller, remove)?;
    let held: Vec<&Arc<Member>> = state
        .people()
        .memberships(organization, remove.user)
        .filter(|member| place.contains(member.place))
        .collect();
    let Some(first) = held.first() else { return Err(Rejection::not_found("member", &remove.user)) };
    check_revision(first.revision, expected)?;
    held.iter().try_for_each(|member| require_holds(state, caller, member.place, &member.role))?;
    if place.project().is_none() {
        require_other_owner(state, organization, remove.user)?;
    }
    let event = removed(state, at, remove.user, place, remove.tokens)?;
    let tokens = departing(state, at, remove.user, place);
    let subject = Subject::Member(organization, remove.user);
    Ok(Decision { tokens, ..Decision::new(Some(organization), vec![event], subject) })
}

pub(super) fn authorize_offboard(
    state: &State,
    caller: &Caller,
    offboard: &Offboard,
) -> Result<(), Rejection> {
    caller.require(state, "members:remove", Scope::Instance)?;
    match state.people().user(offboard.user) {
        Some(_) => Ok(()),
        None => Err(Rejection::not_found("user", &offboard.user)),
    }
}

pub(super) fn offboard(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    offboard: &Offboard,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    authorize_offboard(state, caller, offboard)?;
    let user = state.people().user(offboard.user).expect("it was found");
    check_revision(user.revision, expected)?;
    let organizations = places_of(state, user.id, offboard.tokens.fate);
    let mut elsewhere = Vec::with_capacity(organizations.len());
    for organization in organizations {
        let place = Scope::Organization(organization);
        for member in state.people().memberships(organization, user.id) {
            require_holds(state, caller, member.place, &member.role)?;
        }
        require_other_owner(state, organization, user.id)?;
        elsewhere.push((organization, removed(state, at, user.id, place, offboard.tokens)?));
    }
    // Somebody who has left, and left nothing behind, cannot be offboarded more.
    let is_done = user.offboarded_at.is_some() && elsewhere.is_empty();
    let events = if is_done { Vec::new() } else { vec![Event::UserOffboarded { user: user.id }] };
    let tokens = departing(state, at, user.id, Scope::Instance);
    Ok(Decision { elsewhere, tokens, ..Decision::new(None, events, Subject::User(user.id)) })
}

/// The tokens that the answer to a removal or an offboarding lists: live ones that the person answers for. To a repeated
/// request they are those that it answers for now.
pub(super) fn departing(state: &State, at: Timestamp, user: UserId, place: Scope) -> Vec<TokenId> {
    let live = state.answered_for(user, place).filter(|token| state.status(token, at) == Status::Live);
    live.take(LISTED).map(|token| token.id).collect()
}

/// The place of a member in a request that is repeated: the organization by its id, whatever its name is now.
pub(super) fn repeated_place(state: &State, subject: Subject, place: &ScopeText) -> Option<Scope> {
    match (subject, place) {
        (Subject::Member(organization, _), ScopeText::Project(_, project)) => {
            state.find_project(organization, project).map(|found| Scope::Project(organization, found.id))
        }
        (Subject::Member(organization, _), _) => Some(Scope::Organization(organization)),
        _ => None,
    }
}

/// Where a person is a member or, if something is to become of them, answers for tokens.
pub(super) fn places_of(state: &State, user: UserId, fate: Fate) -> BTreeSet<OrganizationId> {
    let mut organizations = state.people().organizations_of(user);
    organizations.retain(|id| state.end_of(Scope::Organization(*id)).is_none());
    if fate != Fate::Keep {
        let answered =
            state.answered_for(user, Scope::Instance).filter(|token| state.own_end(token).is_none());
        organizations.extend(answered.filter_map(|token| token.scope.organization()));
    }
    organizations
}

fn removed(
    state: &State,
    at: Timestamp,
    user: UserId,
    place: Scope,
    tokens: TokensFate,
) -> Result<Event, Rejection> {
    let to = match (tokens.fate, tokens.to) {
        (Fate::HandOver, Some(heir)) => {
            require_heir(state, at, user, place, heir)?;
            Some(heir)
        }
        (Fate::HandOver, None) => {
            return Err(Rejection::invalid("to", "", "the member who takes the tokens over".to_owned()));
        }
        (Fate::Keep | Fate::Revoke, None) => None,
        (Fate::Keep | Fate::Revoke, Some(heir)) => {
            let expected = "absent, unless tokens are handed over".to_owned();
            return Err(Rejection::invalid("to", &heir.to_string(), expected));
        }
    };
    Ok(Event::MemberRemoved(MemberRemoved { user, project: place.project(), tokens: tokens.fate, to }))
}

/// Tokens are handed only to who could have minted every one of them.
fn require_heir(
    state: &State,
    at: Timestamp,
    user: UserId,
    place: Scope,
    heir: UserId,
) -> Result<(), Rejection> {
    let refuse = |expected: String| Err(Rejection::invalid("to", &heir.to_string(), expected));
    let organization = place.organization().expect("members are of organizations");
    if heir == user || state.people().memberships(organization, heir).next().is_none() {
        return refuse(format!("another member of {}", state.describe(Scope::Organization(organization))));
    }
    let person = state.person(organization, heir);
    let handed = state.answered_for(user, place);
    for token in handed.filter(|token| state.status(token, at) == Status::Live) {
        let permitted = person.require(state, "tokens:mint", token.scope);
        if let Err(lacking) = permitted.and_then(|()| person.require_reach(state, &Reach::of(token))) {
            let id: TokenId = token.id;
            return refuse(format!("a member who could have minted the token {id}: {lacking}"));
        }
    }
    Ok(())
}

/// Refuses unless the caller holds what a member with a role holds; for how long it holds it does not matter here.
pub(super) fn require_holds(
    state: &State,
    caller: &Caller,
    place: Scope,
    role: &Name,
) -> Result<(), Rejection> {
    let Some(token) = caller.token() else { return Ok(()) };
    let grants = [Grant { role: role.clone(), project: None }];
    caller.require_reach(
        state,
        &Reach {
            scope: place,
            grants: &grants,
            expires_at: state.expiry(token),
            networks: &token.allowed_networks,
        },
    )
}

fn require_other_owner(state: &State, organization: OrganizationId, user: UserId) -> Result<(), Rejection> {
    if state.people().is_last_owner(organization, user) {
        let organization = state.describe(Scope::Organization(organization));
        return Err(Rejection::LastOwner { organization });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, DeleteProject, Expiry, NamingChange, RenameOrganization, Request};
    use crate::testing::{World, absent, admin, forbidden, invalid, missing, repeat, scope_text, types};
    use crate::verify::Code;
    use std::time::Duration;

    const KEEP: TokensFate = TokensFate { fate: Fate::Keep, to: None };
    const REVOKE: TokensFate = TokensFate { fate: Fate::Revoke, to: None };

    fn to(heir: UserId) -> TokensFate {
        TokensFate { fate: Fate::HandOver, to: Some(heir) }
    }

    fn is_last_owner<T: std::fmt::Debug>(result: Result<T, Rejection>) -> bool {
        match result {
            Err(Rejection::LastOwner { organization }) => organization == "organization acme",
            other => panic!("not refused for the last owner: {other:?}"),
        }
    }

    #[test]
    fn a_role_change_is_in_force_at_once_for_sessions_too() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "member");
        let may = |world: &World, permission: &str, place: &str| {
            world.caller(session).may(&world.state, permission, world.scope(place))
        };
        let changed = world.set_role(&admin(), "acme", user, "auditor").unwrap();
        assert_eq!(types(&changed), ["MemberRoleChanged"]);
        assert!(may(&world, "audit:read", "acme") && !may(&world, "tokens:mint", "acme"));
        assert!(world.set_role(&admin(), "acme", user, "auditor").unwrap().events.is_empty());
        world.set_role(&admin(), "acme/web", user, "project-writer").unwrap();
        assert!(
            may(&world, "deployments:create", "acme/web") && !may(&world, "deployments:create", "acme/api")
        );
        let (stranger, _) = world.join("other", "member");
        assert!(absent(world.set_role(&admin(), "acme", stranger, "member")));
        assert_eq!(invalid(world.set_role(&admin(), "acme", user, "project-writer")), "role");
        world.tentatively(|world| world.remove(&admin(), "acme", user, KEEP).unwrap());
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn a_condition_on_a_role_that_is_not_there_does_not_hold() {
        let mut world = World::with_tenants();
        let (user, _) = world.join("acme", "member");
        let set = |place: &str, role: &str, expected_revision| Request {
            command: Command::SetMemberRole(SetMemberRole {
                place: scope_text(place),
                user,
                role: role.to_owned(),
            }),
            expected_revision,
            repeat: None,
        };
        let refused = world.request(&admin(), &set("acme/web", "project-reader", Some(7))).unwrap_err();
        assert_eq!(refused, Rejection::PreconditionFailed { current: 0, expected: 7 });
        world.request(&admin(), &set("acme/web", "project-reader", None)).unwrap();
    }

    #[test]
    fn a_repeated_request_finds_its_place_by_id() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "member");
        let caller = world.caller(session);
        let kept = world.mint_by(&caller, "acme", &["member"], |_| ()).unwrap();
        let (place, tokens) = (scope_text("acme"), KEEP);
        let remove = RemoveMember { place, user, tokens };
        let request = Request {
            command: Command::RemoveMember(remove),
            expected_revision: None,
            repeat: Some(repeat("members.remove", "k", "")),
        };
        assert_eq!(world.request(&admin(), &request).unwrap().tokens, [kept]);
        let change = NamingChange { name: Some("beta".to_owned()), display_name: None };
        let organization = "acme".to_owned();
        world.admin(Command::RenameOrganization(RenameOrganization { organization, change }));
        let again = world.request(&admin(), &request).unwrap();
        assert!(again.repeated && again.tokens == [kept]);
        let stranger = world.mint("other", &["owner"]);
        let stranger = world.caller(stranger);
        assert!(absent(world.request(&stranger, &request)));
    }

    #[test]
    fn a_session_ends_with_the_last_project_that_gave_it_anything() {
        let mut world = World::with_tenants();
        let (_, of_web) = world.join("acme/web", "project-writer");
        let (user, of_both) = world.join("acme/web", "project-writer");
        world.set_role(&admin(), "acme/api", user, "project-reader").unwrap();
        let (organization, project, note) = ("acme".to_owned(), "web".to_owned(), None);
        let confirm = project.clone();
        world.admin(Command::DeleteProject(DeleteProject { organization, project, confirm, note }));
        assert_eq!(world.log_in(of_web, 0, None).unwrap_err(), Code::Revoked);
        let caller = world.log_in(of_both, 0, None).unwrap();
        assert_eq!(caller.token().unwrap().grants.len(), 1);
        let person = world.state.person(world.scope("acme").organization().unwrap(), user);
        assert!(!person.may(
            &world.state,
            "deployments:create",
            Scope::Organization(world.scope("acme").organization().unwrap())
        ));
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn who_changes_or_ends_a_membership_holds_what_it_gives_before_and_after() {
        let mut world = World::with_tenants();
        let (owner, _) = world.join("acme", "owner");
        world.join("acme", "owner");
        let (member, session) = world.join("acme", "member");
        let boss = world.mint("acme", &["admin"]);
        let boss = world.caller(boss);
        missing(world.set_role(&boss, "acme", member, "owner"));
        missing(world.set_role(&boss, "acme", owner, "member"));
        missing(world.remove(&boss, "acme", owner, KEEP));
        let own = world.caller(session);
        assert_eq!(
            forbidden(world.set_role(&own, "acme", member, "admin")),
            "members:update at organization acme"
        );
        assert_eq!(forbidden(world.remove(&own, "acme", owner, KEEP)), "members:remove at organization acme");
        assert_eq!(forbidden(world.offboard(&boss, owner, KEEP)), "members:remove at the instance");
        world.set_role(&boss, "acme", member, "admin").unwrap();
        let bound =
            world.mint_by(&admin(), "acme", &["admin"], |p| p.expiry = Expiry::In(Duration::from_hours(1)));
        let bound = world.caller(bound.unwrap());
        missing(world.set_role(&bound, "acme", member, "auditor"));
        // To take away needs no time of one's own.
        world.remove(&bound, "acme", member, KEEP).unwrap();
    }

    #[test]
    fn the_last_owner_stays() {
        let mut world = World::with_tenants();
        let (first, _) = world.join("acme", "owner");
        assert!(is_last_owner(world.set_role(&admin(), "acme", first, "admin")));
        assert!(is_last_owner(world.remove(&admin(), "acme", first, KEEP)));
        assert!(is_last_owner(world.offboard(&admin(), first, REVOKE)));
        let (second, _) = world.join("acme", "owner");
        world.set_role(&admin(), "acme", first, "admin").unwrap();
        assert!(is_last_owner(world.offboard(&admin(), second, KEEP)));
        world.set_role(&admin(), "acme", first, "owner").unwrap();
        world.offboard(&admin(), second, KEEP).unwrap();
    }

    #[test]
    fn who_is_removed_loses_sessions_at_once_and_tokens_as_the_remover_says() {
        for (fate, expected) in [(KEEP, None), (REVOKE, Some(Code::Revoked))] {
            let mut world = World::with_tenants();
            let (user, session) = world.join("acme", "admin");
            let caller = world.caller(session);
            let minted = world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap();
            let by_token = world.caller(minted);
            let below = world.mint_by(&by_token, "acme/web", &["project-writer"], |_| ()).unwrap();
            let narrowed = world.narrow(&caller, None, |_| ()).unwrap();
            let foreign = world.mint("acme", &["admin"]);
            let removed = world.remove(&admin(), "acme", user, fate).unwrap();
            assert_eq!(types(&removed), ["MemberRemoved"]);
            for gone in [session, narrowed] {
                assert_eq!(world.log_in(gone, 0, None).unwrap_err(), Code::Revoked);
            }
            for token in [minted, below] {
                assert_eq!(world.log_in(token, 0, None).err(), expected);
            }
            assert!(world.log_in(foreign, 0, None).is_ok());
            assert!(absent(world.remove(&admin(), "acme", user, fate)));
            assert_eq!(world.state.difference(&world.folded()), None);
        }
    }

    #[test]
    fn who_leaves_a_project_keeps_the_rest() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "member");
        world.set_role(&admin(), "acme/web", user, "project-admin").unwrap();
        let caller = world.caller(session);
        let inside = world.mint_by(&caller, "acme/web", &["project-writer"], |_| ()).unwrap();
        let outside = world.mint_by(&caller, "acme", &["member"], |_| ()).unwrap();
        world.remove(&admin(), "acme/web", user, REVOKE).unwrap();
        assert!(world.log_in(inside, 0, None).is_err() && world.log_in(outside, 0, None).is_ok());
        let caller = world.log_in(session, 0, None).unwrap();
        assert!(caller.may(&world.state, "tokens:mint", world.scope("acme")));
        assert!(!caller.may(&world.state, "deployments:create", world.scope("acme/web")));
    }

    #[test]
    fn tokens_are_handed_over_to_who_could_have_minted_them() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "admin");
        let caller = world.caller(session);
        let minted = world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap();
        let (member, _) = world.join("acme", "member");
        let (auditor, _) = world.join("acme", "auditor");
        let (stranger, _) = world.join("other", "owner");
        for heir in [member, auditor, stranger, user, UserId(world.id())] {
            assert_eq!(invalid(world.remove(&admin(), "acme", user, to(heir))), "to");
        }
        let without = TokensFate { fate: Fate::HandOver, to: None };
        assert_eq!(invalid(world.remove(&admin(), "acme", user, without)), "to");
        assert_eq!(
            invalid(world.remove(&admin(), "acme", user, TokensFate { to: Some(member), ..KEEP })),
            "to"
        );
        let (heir, _) = world.join("acme", "admin");
        world.remove(&admin(), "acme", user, to(heir)).unwrap();
        assert!(world.log_in(minted, 0, None).is_ok());
        assert_eq!(world.token(minted).person, Some(heir));
        world.remove(&admin(), "acme", heir, REVOKE).unwrap();
        assert_eq!(world.log_in(minted, 0, None).unwrap_err(), Code::Revoked);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn who_is_offboarded_is_gone_everywhere_and_every_organization_has_its_line() {
        let mut world = World::with_tenants();
        let (user, session) = world.join("acme", "member");
        let caller = world.caller(session);
        let (_, text) = world.invite(&admin(), "other", "admin").unwrap();
        let other = world.accept_as(&caller, &text.unwrap()).unwrap();
        let holder = world.caller(other);
        let minted = world.mint_by(&holder, "other", &["member"], |_| ()).unwrap();
        let left = world.offboard(&admin(), user, KEEP).unwrap();
        assert_eq!((types(&left), left.elsewhere.len()), (vec!["UserOffboarded"], 2));
        assert!(world.log_in(session, 0, None).is_err() && world.log_in(other, 0, None).is_err());
        assert!(world.log_in(minted, 0, None).is_ok());
        assert!(world.offboard(&admin(), user, KEEP).unwrap().events.is_empty());
        // What was left behind can still be ended.
        assert_eq!(world.offboard(&admin(), user, REVOKE).unwrap().elsewhere.len(), 1);
        assert!(world.log_in(minted, 0, None).is_err());
        assert!(world.offboard(&admin(), user, REVOKE).unwrap().events.is_empty());
        let never = UserId(world.id());
        assert!(absent(world.offboard(&admin(), never, KEEP)));
        assert_eq!(world.state.difference(&world.folded()), None);
        world.tentatively(|world| world.join("acme", "owner"));
        assert_eq!(world.state.difference(&world.folded()), None);
    }
}
