//! Looking at a state as it stood: what there was in a place, who could do what there, and what changed since.
//!
//! Whoever looks says with which clock: as of a time is the state after the last lifecycle event until then, looked at
//! at that time.

use crate::authority::{allows, permissions_at};
use crate::id::{ProjectId, TokenId, UserId};
use crate::name::Name;
use crate::scope::Scope;
use crate::state::{Member, Organization, Project, Role, Shown, State, Status, Token};
use crate::time::Timestamp;
use crate::verify::{Code, standing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A moment in the history of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A time: the longest part of the log from its start whose lifecycle events were not later.
    Time(Timestamp),
    /// So many lines from the start, at the time of the last one.
    Position(u64),
    /// So many lifecycle events from the start, at the time of the last one.
    Version(u64),
}

/// Organizations of a place by name, after a name.
pub fn organizations(
    state: &State,
    place: Scope,
    after: Option<&Name>,
    limit: usize,
) -> Vec<Arc<Organization>> {
    let is_inside = |found: &&Arc<Organization>| place.organization().is_none_or(|own| own == found.id);
    state.organizations_after(after).filter(is_inside).take(limit).cloned().collect()
}

/// Projects of a place by name, after a name; none where the place is the instance.
pub fn projects(state: &State, place: Scope, after: Option<&Name>, limit: usize) -> Vec<Arc<Project>> {
    let Some(organization) = place.organization() else { return Vec::new() };
    let is_inside = |found: &&Arc<Project>| place.contains(Scope::Project(organization, found.id));
    state.projects_after(organization, after).filter(is_inside).take(limit).cloned().collect()
}

/// Members of a place, after one; none where the place is the instance.
pub fn members(
    state: &State,
    place: Scope,
    after: Option<(UserId, Option<ProjectId>)>,
    limit: usize,
) -> Vec<Arc<Member>> {
    let Some(organization) = place.organization() else { return Vec::new() };
    let found = state.people().members_after(organization, after);
    found.filter(|member| place.contains(member.place)).take(limit).cloned().collect()
}

/// Roles that could be held in a place, by name, after a name; all of the instance's own where it is that.
pub fn roles(state: &State, place: Scope, after: Option<&Name>, limit: usize) -> Vec<Arc<Role>> {
    let own = place.organization();
    let can_be_held = |role: &&Arc<Role>| own.is_none() || role.level != crate::role::Level::Instance;
    let shared = state.roles_of(None).filter(can_be_held);
    let of_own = own.into_iter().flat_map(|own| state.roles_of(Some(own)));
    // Where two have a name, the organization's own is the one that is held there.
    let by_name: BTreeMap<&Name, &Arc<Role>> = shared.chain(of_own).map(|role| (&role.name, role)).collect();
    let follows = |role: &&Arc<Role>| after.is_none_or(|after| role.name > *after);
    by_name.into_values().filter(follows).take(limit).cloned().collect()
}

/// Tokens of a place with their slots, in the order of their minting, after a slot; with what had ended if that is
/// wanted.
pub fn tokens(
    state: &State,
    place: Scope,
    after: Option<u32>,
    with_ended: bool,
    at: Timestamp,
    limit: usize,
) -> Vec<(u32, Arc<Token>)> {
    let fits = |token: &Arc<Token>| {
        place.contains(token.scope) && (with_ended || state.status(token, at) == Status::Live)
    };
    let found = slots(state, place).filter(|slot| after.is_none_or(|after| *slot > after));
    let found = found.filter_map(|slot| Some((slot, state.tokens().at(slot)?)));
    found
        .filter(|(_, token)| fits(token))
        .take(limit)
        .map(|(slot, token)| (slot, Arc::clone(token)))
        .collect()
}

fn slots(state: &State, place: Scope) -> Box<dyn Iterator<Item = u32> + '_> {
    match place.organization() {
        Some(own) => Box::new(state.tokens().of(Some(own)).iter().copied()),
        None => Box::new((0..).take(state.tokens().len())),
    }
}

/// Whether a token's present secret was accepted, from an address that it may be used from.
pub fn is_in_force(state: &State, token: &Arc<Token>, at: Timestamp) -> bool {
    let shown = Shown { secret: token.secret, replaced: None };
    matches!(standing(state, token, shown, at, None), Ok(()) | Err(Code::AddressDenied))
}

/// Who could do something.
#[derive(Clone, Debug, PartialEq)]
pub enum Holder {
    /// A token in force. Sessions are not among them: they stand for members.
    Token(Arc<Token>),
    /// A member.
    Member(Arc<Member>),
}

/// Who could do `permission` at a place, of those whose own scope `visible` contains: members first, then tokens in the
/// order of their minting.
pub fn who_could(
    state: &State,
    permission: &str,
    place: Scope,
    visible: Scope,
    at: Timestamp,
    limit: usize,
) -> Vec<Holder> {
    let members = place.organization().into_iter().flat_map(|own| state.people().members_after(own, None));
    let may = |member: &&Arc<Member>| {
        let role = state.role(member.place.organization(), &member.role);
        member.place.contains(place)
            && visible.contains(member.place)
            && state.closed(member.place).is_none()
            && role.is_some_and(|role| role.permissions.allows(permission))
    };
    let members = members.filter(may).cloned().map(Holder::Member);
    let of_instance =
        if visible == Scope::Instance && place != Scope::Instance { state.tokens().of(None) } else { &[] };
    let own = state.tokens().of(place.organization());
    let tokens = of_instance.iter().chain(own).filter_map(|slot| state.tokens().at(*slot));
    let tokens = tokens.filter(|token| {
        !token.session
            && visible.contains(token.scope)
            && allows(state, token, permission, place)
            && is_in_force(state, token, at)
    });
    members.chain(tokens.cloned().map(Holder::Token)).take(limit).collect()
}

/// Who holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// A person, by its memberships.
    Member(UserId),
    /// A token.
    Token(TokenId),
}

/// What a principal gained and lost at a place between two moments, as patterns of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Who.
    pub principal: Principal,
    /// Where.
    pub place: Scope,
    /// What it could do after, and not before.
    pub gained: Vec<String>,
    /// What it could do before, and not after.
    pub lost: Vec<String>,
}

type Holdings = BTreeMap<(Principal, Scope), BTreeSet<String>>;

/// What changed inside a place between two states, each looked at with a clock of its own.
pub fn changes(before: (&State, Timestamp), after: (&State, Timestamp), place: Scope) -> Vec<Change> {
    let (mut had, has) = (holdings(before.0, before.1, place), holdings(after.0, after.1, place));
    let mut changes = Vec::new();
    for (key, now) in has {
        let then = had.remove(&key).unwrap_or_default();
        changes.push((
            key,
            now.difference(&then).cloned().collect(),
            then.difference(&now).cloned().collect(),
        ));
    }
    changes.extend(had.into_iter().map(|(key, then)| (key, Vec::new(), then.into_iter().collect())));
    changes.sort_unstable();
    let change = |((principal, place), gained, lost): ((Principal, Scope), Vec<String>, Vec<String>)| {
        Change { principal, place, gained, lost }
    };
    changes
        .into_iter()
        .map(change)
        .filter(|change| !change.gained.is_empty() || !change.lost.is_empty())
        .collect()
}

fn holdings(state: &State, at: Timestamp, place: Scope) -> Holdings {
    let mut held = Holdings::new();
    let mut add = |principal, place, permissions: &crate::permission::PermissionSet| {
        let patterns = permissions.patterns().iter().map(ToString::to_string);
        held.entry((principal, place)).or_default().extend(patterns);
    };
    for slot in slots(state, place) {
        let Some(token) = state.tokens().at(slot) else { continue };
        if token.session || !place.contains(token.scope) || !is_in_force(state, token, at) {
            continue;
        }
        for grant in token.grants.iter() {
            let held_at = grant.place(token.scope);
            add(Principal::Token(token.id), held_at, &permissions_at(state, token, held_at));
        }
    }
    let organizations: Vec<_> = match place.organization() {
        Some(own) => vec![own],
        None => state.organizations_after(None).map(|found| found.id).collect(),
    };
    for member in organizations.into_iter().flat_map(|own| state.people().members_after(own, None)) {
        let role = state.role(member.place.organization(), &member.role);
        if let Some(role) =
            role.filter(|_| place.contains(member.place) && state.closed(member.place).is_none())
        {
            add(Principal::Member(member.user), member.place, &role.permissions);
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Expiry, TokensFate};
    use crate::testing::{World, admin};
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);

    fn ids(world: &World, permission: &str, place: &str, visible: &str) -> Vec<TokenId> {
        let (place, visible) = (world.scope(place), world.scope(visible));
        let found = who_could(&world.state, permission, place, visible, world.at, 100);
        let token = |holder| match holder {
            Holder::Token(token) => Some(token.id),
            Holder::Member(_) => None,
        };
        found.into_iter().filter_map(token).collect()
    }

    #[test]
    fn who_could_is_who_verify_would_have_answered_valid() {
        let mut world = World::with_tenants();
        let root = world.mint("instance", &["instance-admin"]);
        let owner = world.mint("acme", &["owner"]);
        let writer = world.mint("acme", &["project-writer@web"]);
        let of_web = world.mint("acme/web", &["project-writer"]);
        world.mint("acme/api", &["project-writer"]);
        world.mint("other", &["owner"]);
        let ended = world.mint("acme", &["owner"]);
        world.revoke(&admin(), ended, false).unwrap();
        let bound = world
            .mint_by(&admin(), "acme", &["owner"], |p| p.allowed_networks = vec!["10.0.0.0/8".to_owned()])
            .unwrap();
        let short = world.mint_by(&admin(), "acme", &["owner"], |p| p.expiry = Expiry::In(DAY)).unwrap();
        let deploy = "deployments:create";
        assert_eq!(
            ids(&world, deploy, "acme/web", "instance"),
            [root, owner, writer, of_web, bound, short],
            "instance tokens first"
        );
        assert_eq!(ids(&world, deploy, "acme/web", "acme"), [owner, writer, of_web, bound, short]);
        assert_eq!(ids(&world, deploy, "acme", "acme"), [owner, bound, short]);
        world.pass_almost(DAY);
        assert!(ids(&world, deploy, "acme", "acme").contains(&short));
        world.pass(Duration::from_micros(1));
        assert_eq!(ids(&world, deploy, "acme", "acme"), [owner, bound]);
    }

    #[test]
    fn members_are_among_who_could_and_their_sessions_are_not() {
        let mut world = World::with_tenants();
        let (user, _) = world.join("acme", "admin");
        let (place, at) = (world.scope("acme"), world.at);
        let could = |world: &World| who_could(&world.state, "tokens:mint", place, place, at, 100);
        let member = world.state.people().memberships(place.organization().unwrap(), user).next().cloned();
        assert_eq!(could(&world), [Holder::Member(member.unwrap())]);
        world.remove(&admin(), "acme", user, TokensFate::default()).unwrap();
        assert_eq!(could(&world), []);
    }

    #[test]
    fn changes_say_who_gained_and_who_lost_what() {
        let mut world = World::with_tenants();
        world.mint("acme", &["verifier"]);
        let goes = world.mint("acme", &["verifier"]);
        let (before, then) = (world.state.clone(), world.at);
        world.pass(DAY);
        world.revoke(&admin(), goes, false).unwrap();
        let comes = world.mint("acme/web", &["project-reader"]);
        world.mint("other", &["owner"]);
        let found = changes((&before, then), (&world.state, world.at), world.scope("acme"));
        let lost = found.iter().find(|change| change.principal == Principal::Token(goes)).unwrap();
        assert_eq!((lost.gained.len(), lost.lost.is_empty(), lost.place), (0, false, world.scope("acme")));
        let gained = found.iter().find(|change| change.principal == Principal::Token(comes)).unwrap();
        assert_eq!((gained.lost.len(), gained.gained.is_empty()), (0, false));
        assert_eq!((gained.place, found.len()), (world.scope("acme/web"), 2));
        assert_eq!(changes((&before, then), (&before, then), Scope::Instance), []);
    }

    #[test]
    fn lists_hold_what_is_inside_the_place_and_nothing_else() {
        let mut world = World::with_tenants();
        let own = world.mint("acme", &["member"]);
        let web = world.mint("acme/web", &["project-reader"]);
        world.mint("other", &["member"]);
        world.mint("instance", &["instance-auditor"]);
        let (state, at) = (&world.state, world.at);
        let found = |place: &str, after| {
            let found = tokens(state, world.scope(place), after, true, at, 100);
            found.into_iter().map(|(_, token)| token.id).collect::<Vec<_>>()
        };
        assert_eq!(found("acme", None), [own, web]);
        assert_eq!(found("acme/web", None), [web]);
        assert_eq!(found("instance", None).len(), 4);
        let first = tokens(state, world.scope("acme"), None, true, at, 1)[0].0;
        assert_eq!(found("acme", Some(first)), [web]);
        let names = |place: &str| organizations(state, world.scope(place), None, 9).len();
        assert_eq!((names("instance"), names("acme")), (2, 1));
        let count = |place: &str| projects(state, world.scope(place), None, 9).len();
        assert_eq!((count("acme"), count("acme/web"), count("instance")), (2, 1, 0));
        let levels = roles(state, world.scope("acme"), None, 99);
        assert!(levels.iter().all(|role| role.level != crate::role::Level::Instance) && !levels.is_empty());
    }
}
