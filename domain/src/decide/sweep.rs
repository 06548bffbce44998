//! The end of forgotten tokens.

use super::Decision;
use crate::authority::Caller;
use crate::event::{Event, Reason, Subject, TokenRevoked};
use crate::id::{OrganizationId, TokenId};
use crate::policy;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{Standing, State, Status};
use crate::time::Timestamp;
use std::collections::HashMap;

/// Revoke tokens that went unused for longer than their policy allows.
///
/// It is decided on uses, which are no part of the state: the command brings them along, and what it comes to may be
/// appended only while the log still has the size up to which they are known.
#[derive(Clone, Debug)]
pub struct RevokeInactive {
    /// The organization whose tokens they are; none is the instance, whose own they are.
    pub organization: Option<OrganizationId>,
    /// Those in question.
    pub tokens: Vec<TokenId>,
    /// When they, and the tokens narrowed from them, were last used; none is never. What is not in it is not known.
    pub last_uses: HashMap<TokenId, Option<Timestamp>>,
}

impl RevokeInactive {
    pub(super) fn scope(&self) -> Scope {
        self.organization.map_or(Scope::Instance, Scope::Organization)
    }
}

pub(super) fn authorize(state: &State, caller: &Caller, sweep: &RevokeInactive) -> Result<(), Rejection> {
    caller.require(state, "tokens:revoke", sweep.scope())
}

pub(super) fn revoke_inactive(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    sweep: &RevokeInactive,
) -> Result<Decision, Rejection> {
    authorize(state, caller, sweep)?;
    let days = state.max_inactive_days(sweep.scope());
    // Nobody can use a token of a suspended organization, so its silence there says nothing; a deleted one has none.
    let is_suspended = sweep
        .organization
        .and_then(|id| state.organization(id))
        .is_some_and(|organization| organization.standing != Standing::Active);
    let events = sweep.tokens.iter().filter(|_| !is_suspended).filter_map(|id| {
        let token = state.tokens().get(*id)?;
        let is_own = token.scope.organization() == sweep.organization;
        if !is_own || state.status(token, at) != Status::Live {
            return None;
        }
        let since = state.inactive_since(token, |id| sweep.last_uses.get(&id).copied())?;
        policy::is_inactive(since, days, at).then(|| {
            let (token, reason) = (token.id, Reason::Inactive);
            Event::TokenRevoked(TokenRevoked { token, reason, note: None, cascade: false })
        })
    });
    let subject = sweep.organization.map_or(Subject::Instance, Subject::Organization);
    Ok(Decision::new(sweep.organization, events.collect(), subject))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::SuspendOrganization;
    use crate::decide::{ChangeOrganizationPolicy, ChangePolicy, Command, PolicyChange};
    use crate::testing::{World, admin, forbidden, types};
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);
    const TICK: Duration = Duration::from_micros(1);

    fn allow(world: &mut World, days: u32) {
        let change = PolicyChange { max_inactive_days: Some(days), ..PolicyChange::default() };
        let organization = "acme".to_owned();
        world.admin(Command::ChangeOrganizationPolicy(ChangeOrganizationPolicy {
            organization,
            change,
            dry_run: false,
        }));
    }

    /// The tokens that a sweep of `acme` would revoke, all of whose last uses are these, or none.
    fn swept(world: &World, last_uses: &[(TokenId, Timestamp)]) -> Vec<TokenId> {
        let organization = world.scope("acme").organization();
        let tokens: Vec<TokenId> = world.state.tokens().iter().map(|token| token.id).collect();
        let mut known: HashMap<_, _> = tokens.iter().map(|id| (*id, None)).collect();
        known.extend(last_uses.iter().map(|(id, at)| (*id, Some(*at))));
        let sweep = RevokeInactive { organization, tokens, last_uses: known };
        let decision =
            revoke_inactive(&world.state, &Caller::system("inactivity"), world.at, &sweep).unwrap();
        let token = |event: &Event| match event {
            Event::TokenRevoked(TokenRevoked { token, reason: Reason::Inactive, .. }) => *token,
            other => panic!("{other:?}"),
        };
        decision.events.iter().map(token).collect()
    }

    #[test]
    fn what_is_unused_for_longer_than_allowed_is_revoked() {
        let mut world = World::with_tenants();
        let (never, used) = (world.mint("acme", &["member"]), world.mint("acme/web", &["project-reader"]));
        world.mint("other", &["member"]);
        let began = world.at;
        world.pass(365 * DAY);
        assert!(swept(&world, &[]).is_empty(), "without a limit nothing is forgotten");
        allow(&mut world, 30);
        assert_eq!(swept(&world, &[]), [never, used]);
        world.at = began.after(30 * DAY);
        assert!(swept(&world, &[]).is_empty(), "30 days are not more than 30 days");
        world.pass(TICK);
        assert_eq!(swept(&world, &[]), [never, used]);
        assert_eq!(swept(&world, &[(used, began.after(TICK))]), [never]);
        world.pass(TICK);
        assert_eq!(swept(&world, &[(used, began.after(TICK))]), [never, used]);
        assert!(swept(&world, &[(used, world.at), (never, world.at)]).is_empty());
    }

    #[test]
    fn a_use_of_what_was_narrowed_from_it_is_one_of_its_own() {
        let mut world = World::with_tenants();
        allow(&mut world, 30);
        let parent = world.mint("acme", &["member"]);
        let holder = world.caller(parent);
        let child = world.narrow(&holder, None, |_| ()).unwrap();
        let grandchild = world.caller(child);
        let grandchild = world.narrow(&grandchild, None, |_| ()).unwrap();
        world.pass(31 * DAY);
        assert_eq!(swept(&world, &[]), [parent, child, grandchild]);
        assert_eq!(swept(&world, &[(parent, world.at)]), [child, grandchild]);
        assert!(swept(&world, &[(grandchild, world.at)]).is_empty());
    }

    #[test]
    fn what_is_not_known_or_has_not_begun_stays() {
        let mut world = World::with_tenants();
        allow(&mut world, 30);
        let start = world.at.after(31 * DAY);
        let id = world.mint_by(&admin(), "acme", &["member"], |p| p.not_before = Some(start)).unwrap();
        world.pass(60 * DAY);
        assert!(swept(&world, &[]).is_empty());
        world.pass(2 * DAY);
        assert_eq!(swept(&world, &[]), [id]);
        let organization = world.scope("acme").organization();
        let unknown = RevokeInactive { organization, tokens: vec![id], last_uses: HashMap::new() };
        let run = |world: &mut World, caller: &Caller, sweep: &RevokeInactive| {
            world.run(caller, Command::RevokeInactive(sweep.clone()))
        };
        assert!(run(&mut world, &admin(), &unknown).unwrap().events.is_empty());
        let known = RevokeInactive { last_uses: HashMap::from([(id, None)]), ..unknown };
        let caller = world.mint("acme", &["member"]);
        let caller = world.caller(caller);
        assert_eq!(forbidden(run(&mut world, &caller, &known)), "tokens:revoke at organization acme");
        let suspend = SuspendOrganization { organization: "acme".to_owned(), note: None };
        world.admin(Command::SuspendOrganization(suspend));
        assert!(run(&mut world, &admin(), &known).unwrap().events.is_empty(), "nobody could use it");
    }

    #[test]
    fn two_sweeps_revoke_once() {
        let mut world = World::with_tenants();
        allow(&mut world, 1);
        let id = world.mint("acme", &["member"]);
        world.pass(2 * DAY);
        let organization = world.scope("acme").organization();
        let sweep = RevokeInactive { organization, tokens: vec![id], last_uses: HashMap::from([(id, None)]) };
        let system = Caller::system("inactivity");
        let first = world.run(&system, Command::RevokeInactive(sweep.clone())).unwrap();
        assert_eq!(types(&first), ["TokenRevoked"]);
        let revocation = world.state.own_revocation(world.token(id)).unwrap().clone();
        assert_eq!(revocation.by.to_string(), "system:inactivity");
        assert!(world.run(&system, Command::RevokeInactive(sweep)).unwrap().events.is_empty());
    }

    #[test]
    fn tokens_of_the_instance_follow_the_instance() {
        let mut world = World::with_tenants();
        let (own, other) = (world.mint("instance", &["instance-auditor"]), world.mint("acme", &["member"]));
        world.pass(100 * DAY);
        let sweep = RevokeInactive {
            organization: None,
            tokens: vec![own, other],
            last_uses: HashMap::from([(own, None), (other, None)]),
        };
        let system = Caller::system("inactivity");
        let run = |world: &mut World| world.run(&system, Command::RevokeInactive(sweep.clone())).unwrap();
        assert!(run(&mut world).events.is_empty());
        world.admin(Command::ChangePolicy(ChangePolicy {
            max_inactive_days: Some(99),
            ..ChangePolicy::default()
        }));
        assert_eq!(types(&run(&mut world)), ["TokenRevoked"]);
        assert!(
            world.state.own_revocation(world.token(own)).is_some()
                && world.state.own_revocation(world.token(other)).is_none()
        );
    }
}
