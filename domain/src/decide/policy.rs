//! An organization's policy: its changes, and what it asks of tokens that begin or change.

use super::{Decision, check_revision, find_organization};
use crate::authority::Caller;
use crate::event::{Event, Subject};
use crate::name::Name;
use crate::network::Networks;
use crate::policy::{LeakResponse, OrganizationPolicy, PolicySettings};
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::{Grant, Scope};
use crate::state::{Full, Organization, State, Token};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The shortest lifetime that a policy may set, and the longest.
const LIFETIMES: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(36_500 * 24));
/// The most days of inactivity that may be allowed.
const INACTIVE_DAYS: u32 = 365;
/// The most days after which a rotation may be due.
const ROTATION_DAYS: u32 = 3_650;
/// The most roles that a policy may name.
const ROLES: usize = 64;

/// Change an organization's policy; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ChangeOrganizationPolicy {
    /// Which, by name or id.
    pub organization: String,
    /// What changes.
    pub change: PolicyChange,
    /// Only check it: nothing is changed.
    pub dry_run: bool,
}

/// Settings as they are asked for.
#[derive(Clone, Debug, Default)]
pub struct PolicyChange {
    /// The longest lifetime; zero is off.
    pub max_lifetime: Option<Duration>,
    /// The lifetime of tokens that do not say one; zero is off.
    pub default_lifetime: Option<Duration>,
    /// Whether every token has to have an end.
    pub expiry_required: Option<bool>,
    /// The most days that a token may go unused, up to 365; 0 is off.
    pub max_inactive_days: Option<u32>,
    /// From where tokens may be used; empty is from anywhere.
    pub allowed_networks: Option<Vec<String>>,
    /// The most mints within an hour; 0 is off.
    pub max_mints_per_hour: Option<u32>,
    /// The most living tokens; 0 is off.
    pub max_live_tokens: Option<u32>,
    /// After how many days a rotation is due; 0 is off.
    pub rotation_due_days: Option<u32>,
    /// Whether a token whose secret is overdue is refused.
    pub rotation_enforced: Option<bool>,
    /// The roles that tokens may hold; empty is all.
    pub allowed_roles: Option<Vec<String>>,
    /// What a report does that proves that a token's secret is out.
    pub leak_response: Option<LeakResponse>,
}

pub(super) fn change(
    state: &State,
    caller: &Caller,
    change: &ChangeOrganizationPolicy,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let organization = find_organization(state, caller, &change.organization)?;
    caller.require(state, "policies:update", Scope::Organization(organization.id))?;
    check_revision(organization.revision, expected)?;
    let after = draft(state, organization, &change.change)?;
    require_own_networks(state, caller, &organization.policy, &after)?;
    let (before, after) = organization.policy.changes(&after);
    let changes = before != after && !change.dry_run;
    let events = changes.then_some(Event::OrganizationPolicyChanged { before, after });
    let subject = Subject::Organization(organization.id);
    Ok(Decision::new(Some(organization.id), events.into_iter().collect(), subject))
}

/// The policy that a change would come to.
pub fn draft(
    state: &State,
    organization: &Organization,
    change: &PolicyChange,
) -> Result<OrganizationPolicy, Rejection> {
    let networks = change.allowed_networks.as_deref().map(Networks::parse).transpose()?;
    let settings = PolicySettings {
        max_lifetime_s: lifetime("max_lifetime", change.max_lifetime)?,
        default_lifetime_s: lifetime("default_lifetime", change.default_lifetime)?,
        expiry_required: change.expiry_required,
        max_inactive_days: days("max_inactive_days", change.max_inactive_days, INACTIVE_DAYS)?,
        allowed_networks: networks,
        max_mints_per_hour: change.max_mints_per_hour,
        max_live_tokens: change.max_live_tokens,
        rotation_due_days: days("rotation_due_days", change.rotation_due_days, ROTATION_DAYS)?,
        rotation_enforced: change.rotation_enforced,
        allowed_roles: change
            .allowed_roles
            .as_deref()
            .map(|texts| read_roles(state, organization, texts))
            .transpose()?,
        leak_response: change.leak_response,
    };
    Ok(organization.policy.with(&settings))
}

/// Lifetimes are kept in whole seconds.
fn lifetime(field: &'static str, asked: Option<Duration>) -> Result<Option<u64>, Rejection> {
    let Some(asked) = asked else { return Ok(None) };
    let (least, most) = LIFETIMES;
    if asked.is_zero() || (least..=most).contains(&asked) && asked.subsec_nanos() == 0 {
        return Ok(Some(asked.as_secs()));
    }
    let given = format!("{} s", asked.as_secs_f64());
    Err(Rejection::invalid(field, &given, "whole seconds from 1m to 36500d, or empty for none".to_owned()))
}

/// Days up to the most that there may be.
pub(super) fn days(field: &'static str, asked: Option<u32>, most: u32) -> Result<Option<u32>, Rejection> {
    match asked {
        Some(days) if days > most => {
            Err(Rejection::invalid(field, &days.to_string(), format!("from 1 to {most} days, or 0 for none")))
        }
        asked => Ok(asked),
    }
}

/// The most days that tokens of the instance may go unused.
pub(super) fn inactive_days(asked: Option<u32>) -> Result<Option<u32>, Rejection> {
    days("max_inactive_days", asked, INACTIVE_DAYS)
}

fn read_roles(
    state: &State,
    organization: &Organization,
    texts: &[String],
) -> Result<Arc<[Name]>, Rejection> {
    if texts.len() > ROLES {
        let expected = format!("at most {ROLES} roles");
        return Err(Rejection::invalid("allowed_roles", &texts.len().to_string(), expected));
    }
    let read = |text: &String| {
        let name = Name::label(text);
        let role = name.as_ref().and_then(|name| state.role(Some(organization.id), name));
        role.filter(|role| role.level != Level::Instance).map(|role| role.name.clone()).ok_or_else(|| {
            let expected = "a role of an organization or a project".to_owned();
            Rejection::invalid("allowed_roles", text, expected)
        })
    };
    let mut roles = texts.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable();
    roles.dedup();
    Ok(roles.into())
}

/// Whoever lets tokens be used from more networks has to be allowed there itself: it may hold some of those tokens.
fn require_own_networks(
    state: &State,
    caller: &Caller,
    before: &OrganizationPolicy,
    after: &OrganizationPolicy,
) -> Result<(), Rejection> {
    let Some(token) = caller.token().filter(|_| !after.allowed_networks.within(&before.allowed_networks))
    else {
        return Ok(());
    };
    let outside = state.chain(token).find(|link| !after.allowed_networks.within(&link.allowed_networks));
    outside.map_or(Ok(()), |link| {
        let allowed: Vec<_> = link.allowed_networks.list().iter().map(ToString::to_string).collect();
        Err(Rejection::Escalation { missing: vec![format!("networks outside {}", allowed.join(", "))] })
    })
}

/// Refuses a token that would go on until `end` for longer than its organization allows from `at` on. To rotate one is
/// to let it go on as well.
pub(super) fn require_lifetime(
    state: &State,
    scope: Scope,
    end: Option<Timestamp>,
    at: Timestamp,
) -> Result<(), Rejection> {
    let Some(policy) = state.policy(scope) else { return Ok(()) };
    let given = end.map_or_else(|| "never".to_owned(), |end| end.to_string());
    let refuse = |expected: String| Err(Rejection::invalid("expires_at", &given, expected));
    match (policy.max_lifetime(), end) {
        (Some(most), _) if policy.is_too_long(end, at) => {
            refuse(format!("at most {}, the longest that the organization's policy allows", at.after(most)))
        }
        (None, None) if policy.expiry_required => {
            refuse("a time: the organization's policy asks for an expiry".to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses a role that may not be given to tokens.
pub(super) fn require_roles(state: &State, scope: Scope, grants: &[Grant]) -> Result<(), Rejection> {
    let Some(policy) = state.policy(scope) else { return Ok(()) };
    policy.forbidden_role(grants).map_or(Ok(()), |grant| {
        let allowed: Vec<&str> = policy.allowed_roles.iter().map(Name::as_str).collect();
        let expected =
            format!("one of the roles that the organization's policy allows: {}", allowed.join(", "));
        Err(Rejection::invalid("grants", grant.role.as_str(), expected))
    })
}

/// Refuses one more token where the policy leaves no room for it. What is narrowed from a token, or minted by a narrowed
/// one, takes the room of the minted token that it goes back to.
pub(super) fn require_room(
    state: &State,
    scope: Scope,
    narrowed_from: Option<&Arc<Token>>,
    at: Timestamp,
) -> Result<(), Rejection> {
    let full = state.is_full(scope, narrowed_from, at);
    let (Some(full), Some(policy)) = (full, state.policy(scope)) else { return Ok(()) };
    let (setting, limit, until) = match full {
        Full::Minted(until) => ("max_mints_per_hour", policy.max_mints_per_hour, Some(until)),
        Full::Living => ("max_live_tokens", policy.max_live_tokens, None),
    };
    Err(Rejection::PolicyLimit { setting, limit, until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Expiry, Request};
    use crate::id::TokenId;
    use crate::testing::{Ask, World, absent, admin, forbidden, invalid, missing, only, texts, types};
    use crate::verify::Code;

    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    const TICK: Duration = Duration::from_micros(1);

    fn command(change: PolicyChange) -> Command {
        let organization = "acme".to_owned();
        Command::ChangeOrganizationPolicy(ChangeOrganizationPolicy { organization, change, dry_run: false })
    }

    fn set(world: &mut World, change: PolicyChange) {
        assert_eq!(types(&world.admin(command(change))), ["OrganizationPolicyChanged"]);
    }

    fn mint(world: &mut World, expiry: Expiry) -> Result<TokenId, Rejection> {
        world.mint_by(&admin(), "acme", &["member"], |p| p.expiry = expiry)
    }

    fn limit<T: std::fmt::Debug>(result: Result<T, Rejection>) -> (&'static str, Option<Timestamp>) {
        match result {
            Err(Rejection::PolicyLimit { setting, until, .. }) => (setting, until),
            other => panic!("there is room: {other:?}"),
        }
    }

    #[test]
    fn a_change_says_what_changes_as_it_was_and_as_it_is() {
        let mut world = World::with_tenants();
        let change = PolicyChange {
            max_lifetime: Some(90 * DAY),
            allowed_networks: Some(texts(&["10.1.2.3/8"])),
            allowed_roles: Some(texts(&["verifier", "member", "member"])),
            ..PolicyChange::default()
        };
        let changed = world.admin(command(change.clone()));
        let Event::OrganizationPolicyChanged { before, after } = only(&changed) else {
            panic!("{changed:?}")
        };
        assert_eq!((before.max_lifetime_s, after.max_lifetime_s), (Some(0), Some(7_776_000)));
        assert_eq!(before.allowed_networks, Some(Networks::ANYWHERE));
        assert_eq!(
            after.allowed_roles.as_deref().unwrap().iter().map(Name::as_str).collect::<Vec<_>>(),
            ["member", "verifier"]
        );
        assert_eq!((before.max_inactive_days, after.max_inactive_days), (None, None));
        let off = PolicyChange {
            max_lifetime: Some(Duration::ZERO),
            allowed_networks: Some(Vec::new()),
            allowed_roles: Some(Vec::new()),
            ..PolicyChange::default()
        };
        assert!(world.admin(command(change)).events.is_empty());
        set(&mut world, off);
        let id = world.scope("acme").organization().unwrap();
        assert_eq!(world.state.organization(id).unwrap().policy, OrganizationPolicy::default());
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn settings_have_limits() {
        let mut world = World::with_tenants();
        let none = PolicyChange::default;
        for (field, change) in [
            ("max_lifetime", PolicyChange { max_lifetime: Some(Duration::from_secs(59)), ..none() }),
            ("max_lifetime", PolicyChange { max_lifetime: Some(Duration::from_millis(90_500)), ..none() }),
            ("default_lifetime", PolicyChange { default_lifetime: Some(36_501 * DAY), ..none() }),
            ("max_inactive_days", PolicyChange { max_inactive_days: Some(366), ..none() }),
            ("rotation_due_days", PolicyChange { rotation_due_days: Some(3_651), ..none() }),
            ("allowed_networks", PolicyChange { allowed_networks: Some(texts(&["here"])), ..none() }),
            ("allowed_roles", PolicyChange { allowed_roles: Some(texts(&["provisioner"])), ..none() }),
            ("allowed_roles", PolicyChange { allowed_roles: Some(texts(&["nobody"])), ..none() }),
        ] {
            assert_eq!(invalid(world.run(&admin(), command(change))), field);
        }
    }

    #[test]
    fn only_who_may_update_policies_does_and_a_dry_run_changes_nothing() {
        let mut world = World::with_tenants();
        let change = || PolicyChange { max_inactive_days: Some(90), ..PolicyChange::default() };
        for (grant, may) in [("owner", true), ("admin", false), ("auditor", false)] {
            let caller = world.mint("acme", &[grant]);
            let caller = world.caller(caller);
            let dry =
                ChangeOrganizationPolicy { organization: "acme".to_owned(), change: change(), dry_run: true };
            let result = world.run(&caller, Command::ChangeOrganizationPolicy(dry));
            if may {
                assert!(result.unwrap().events.is_empty());
            } else {
                assert_eq!(forbidden(result), "policies:update at organization acme");
            }
        }
        let stranger = world.mint("other", &["owner"]);
        let stranger = world.caller(stranger);
        assert!(absent(world.run(&stranger, command(change()))));
        let revision = world.state.find_organization("acme").unwrap().revision;
        let request = |expected| Request {
            command: command(change()),
            expected_revision: Some(expected),
            repeat: None,
        };
        world.request(&admin(), &request(revision)).unwrap();
        let refused = world.request(&admin(), &request(revision)).unwrap_err();
        assert!(matches!(refused, Rejection::PreconditionFailed { .. }));
    }

    #[test]
    fn nobody_lets_tokens_be_used_from_where_they_are_not_allowed_themselves() {
        let mut world = World::with_tenants();
        let networks = |texts_of: &[&str]| PolicyChange {
            allowed_networks: Some(texts(texts_of)),
            ..PolicyChange::default()
        };
        set(&mut world, networks(&["10.0.0.0/16"]));
        let bound = world
            .mint_by(&admin(), "acme", &["owner"], |p| p.allowed_networks = texts(&["10.0.0.0/8"]))
            .unwrap();
        let bound = world.caller(bound);
        for wider in [&[][..], &["10.0.0.0/16", "192.0.2.0/24"]] {
            let refused = world.run(&bound, command(networks(wider)));
            assert_eq!(missing(refused), ["networks outside 10.0.0.0/8"]);
        }
        world.run(&bound, command(networks(&["10.0.0.0/9"]))).unwrap();
        world.run(&bound, command(networks(&["10.0.0.0/24"]))).unwrap();
    }

    #[test]
    fn lifetimes_bound_what_is_minted_rotated_and_lengthened() {
        let mut world = World::with_tenants();
        let old = mint(&mut world, Expiry::Never).unwrap();
        set(
            &mut world,
            PolicyChange {
                max_lifetime: Some(10 * DAY),
                default_lifetime: Some(2 * DAY),
                ..PolicyChange::default()
            },
        );
        let usual = mint(&mut world, Expiry::Inherited).unwrap();
        assert_eq!(world.token(usual).expires_at, Some(world.at.after(2 * DAY)));
        mint(&mut world, Expiry::In(10 * DAY)).unwrap();
        assert_eq!(invalid(mint(&mut world, Expiry::In(10 * DAY + TICK))), "expires_at");
        assert_eq!(invalid(mint(&mut world, Expiry::Never)), "expires_at");
        // What was there before goes on, and is brought within the policy before it is rotated.
        assert_eq!(invalid(world.rotate(&admin(), old, Duration::ZERO)), "expires_at");
        world.update(&admin(), old, |u| u.name = Some("old".to_owned())).unwrap();
        world.update(&admin(), old, |u| u.expiry = Some(Expiry::In(20 * DAY))).unwrap();
        assert_eq!(invalid(world.rotate(&admin(), old, Duration::ZERO)), "expires_at");
        world.update(&admin(), old, |u| u.expiry = Some(Expiry::In(10 * DAY))).unwrap();
        world.rotate(&admin(), old, Duration::ZERO).unwrap();
        let longer = world.update(&admin(), usual, |u| u.expiry = Some(Expiry::In(11 * DAY)));
        assert_eq!(invalid(longer), "expires_at");
        let never = world.update(&admin(), usual, |u| u.expiry = Some(Expiry::Never));
        assert_eq!(invalid(never), "expires_at");
        let holder = world.caller(usual);
        let child = world.narrow(&holder, None, |_| ()).unwrap();
        assert_eq!(world.token(child).expires_at, world.token(usual).expires_at);
        // The instance's tokens are none of the organization's.
        world.mint("instance", &["instance-auditor"]);
    }

    #[test]
    fn an_expiry_may_be_required_of_any_length() {
        let mut world = World::with_tenants();
        set(&mut world, PolicyChange { expiry_required: Some(true), ..PolicyChange::default() });
        for none in [Expiry::Inherited, Expiry::Never] {
            assert_eq!(invalid(mint(&mut world, none)), "expires_at");
        }
        let id = mint(&mut world, Expiry::In(3_000 * DAY)).unwrap();
        assert_eq!(invalid(world.update(&admin(), id, |u| u.expiry = Some(Expiry::Never))), "expires_at");
    }

    #[test]
    fn roles_that_are_not_allowed_are_not_given() {
        let mut world = World::with_tenants();
        let owner = world.mint("acme", &["owner"]);
        let roles = Some(texts(&["member", "project-reader"]));
        set(&mut world, PolicyChange { allowed_roles: roles, ..PolicyChange::default() });
        assert_eq!(invalid(world.mint_by(&admin(), "acme", &["verifier"], |_| ())), "grants");
        assert_eq!(invalid(world.mint_by(&admin(), "acme", &["project-writer@web"], |_| ())), "grants");
        let id = world.mint("acme", &["member"]);
        world.mint("acme/web", &["project-reader"]);
        let give = |u: &mut super::super::Update| u.grants = Some(texts(&["member", "admin"]));
        assert_eq!(invalid(world.update(&admin(), id, give)), "grants");
        let holder = world.caller(owner);
        assert_eq!(invalid(world.narrow(&holder, None, |_| ())), "grants");
        world.narrow(&holder, Some(&["member"]), |_| ()).unwrap();
        assert_eq!(invalid(world.rotate(&admin(), owner, Duration::ZERO)), "grants");
        let less = |u: &mut super::super::Update| u.grants = Some(texts(&["member"]));
        world.update(&admin(), owner, less).unwrap();
        world.rotate(&admin(), owner, Duration::ZERO).unwrap();
    }

    #[test]
    fn mints_of_the_last_hour_are_counted_to_the_microsecond() {
        let mut world = World::with_tenants();
        set(&mut world, PolicyChange { max_mints_per_hour: Some(3), ..PolicyChange::default() });
        let first = world.at;
        let id = mint(&mut world, Expiry::Never).unwrap();
        world.pass(HOUR / 2);
        let holder = world.caller(id);
        mint(&mut world, Expiry::Never).unwrap();
        // What is narrowed takes no room from who mints, and has as much for each minted token.
        let narrowed = world.at.after(HOUR);
        let child = world.narrow(&holder, None, |_| ()).unwrap();
        let child = world.caller(child);
        world.narrow(&child, None, |_| ()).unwrap();
        world.narrow(&holder, None, |_| ()).unwrap();
        for holder in [&holder, &child] {
            let full = ("max_mints_per_hour", Some(narrowed));
            assert_eq!(limit(world.narrow(holder, None, |_| ())), full);
        }
        let another = mint(&mut world, Expiry::Never).unwrap();
        let another = world.caller(another);
        world.narrow(&another, None, |_| ()).unwrap();
        let full = ("max_mints_per_hour", Some(first.after(HOUR)));
        assert_eq!(limit(mint(&mut world, Expiry::Never)), full);
        world.revoke(&admin(), id, true).unwrap();
        world.pass_almost(HOUR / 2);
        assert_eq!(limit(mint(&mut world, Expiry::Never)), full);
        world.pass(TICK);
        mint(&mut world, Expiry::Never).unwrap();
        assert_eq!(limit(mint(&mut world, Expiry::Never)).0, "max_mints_per_hour");
        world.mint("other", &["member"]);
    }

    #[test]
    fn living_tokens_are_counted_exactly() {
        let mut world = World::with_tenants();
        let parent = mint(&mut world, Expiry::In(2 * DAY)).unwrap();
        let holder = world.caller(parent);
        let child = world.narrow(&holder, None, |_| ()).unwrap();
        mint(&mut world, Expiry::Never).unwrap();
        set(&mut world, PolicyChange { max_live_tokens: Some(3), ..PolicyChange::default() });
        let room = |world: &mut World, room: u64| {
            assert_eq!(world.state.difference(&world.folded()), None);
            let scope = world.scope("acme");
            assert_eq!(world.state.is_full(scope, None, world.at), (room == 0).then_some(Full::Living));
        };
        room(&mut world, 1);
        let short = mint(&mut world, Expiry::In(DAY)).unwrap();
        room(&mut world, 0);
        assert_eq!(limit(mint(&mut world, Expiry::Never)), ("max_live_tokens", None));
        // What is narrowed takes no room from who mints, and has as much for each minted token.
        let caller = world.caller(child);
        let grandchild = world.narrow(&caller, None, |_| ()).unwrap();
        world.narrow(&holder, None, |_| ()).unwrap();
        assert_eq!(limit(world.narrow(&caller, None, |_| ())), ("max_live_tokens", None));
        world.revoke(&admin(), grandchild, false).unwrap();
        let brief = world.narrow(&holder, None, |p| p.expiry = Expiry::In(HOUR)).unwrap();
        assert_eq!(limit(world.narrow(&caller, None, |_| ())), ("max_live_tokens", None));
        world.pass(HOUR);
        world.state.forget(world.at);
        world.narrow(&caller, None, |_| ()).unwrap();
        world.revoke(&admin(), brief, false).unwrap();
        room(&mut world, 0);
        world.pass_almost(Duration::from_hours(23));
        room(&mut world, 0);
        world.pass(TICK);
        room(&mut world, 1);
        world.state.forget(world.at);
        world.revoke(&admin(), short, false).unwrap();
        room(&mut world, 1);
        // A narrowed token ends with its parent, whenever that is made to.
        world.update(&admin(), parent, |u| u.expiry = Some(Expiry::In(HOUR))).unwrap();
        assert_eq!(world.state.expiry(world.token(child)), Some(world.at.after(HOUR)));
        world.pass(HOUR);
        room(&mut world, 2);
        let again = mint(&mut world, Expiry::Never).unwrap();
        let holder = world.caller(again);
        world.narrow(&holder, None, |_| ()).unwrap();
        room(&mut world, 1);
        world.tentatively(|world| drop(world.revoke(&admin(), again, true)));
        room(&mut world, 1);
        world.revoke(&admin(), again, false).unwrap();
        room(&mut world, 2);
        set(&mut world, PolicyChange { max_live_tokens: Some(0), ..PolicyChange::default() });
        for _ in 0..5 {
            mint(&mut world, Expiry::Never).unwrap();
        }
    }

    #[test]
    fn networks_of_the_organization_hold_beside_the_token_s_own_and_for_calls() {
        let mut world = World::with_tenants();
        let verifier = world.mint("instance", &["instance-verifier"]);
        let (verifier, id) = (world.caller(verifier), world.mint("acme", &["member"]));
        let inside = world
            .mint_by(&admin(), "acme", &["member"], |p| p.allowed_networks = texts(&["10.1.0.0/16"]))
            .unwrap();
        let networks = Some(texts(&["10.0.0.0/8"]));
        set(&mut world, PolicyChange { allowed_networks: networks, ..PolicyChange::default() });
        let code = |world: &World, id, address| {
            let ask = Ask { organization: Some("acme"), address, ..Ask::default() };
            world.verify(&verifier, id, ask).unwrap().code
        };
        assert_eq!(code(&world, id, Some("10.9.9.9")), Code::Valid);
        assert_eq!(code(&world, id, Some("192.0.2.1")), Code::AddressDenied);
        assert_eq!(code(&world, id, None), Code::AddressDenied);
        assert_eq!(code(&world, inside, Some("10.9.9.9")), Code::AddressDenied);
        assert_eq!(code(&world, inside, Some("10.1.9.9")), Code::Valid);
        assert_eq!(world.log_in(id, 0, Some("192.0.2.1")).unwrap_err(), Code::AddressDenied);
        world.log_in(id, 0, Some("10.0.0.1")).unwrap();
    }

    #[test]
    fn a_secret_that_is_overdue_is_refused_where_rotation_is_enforced() {
        let mut world = World::with_tenants();
        let verifier = world.mint("instance", &["instance-verifier"]);
        let (verifier, id) = (world.caller(verifier), world.mint("acme", &["member"]));
        set(&mut world, PolicyChange { rotation_due_days: Some(30), ..PolicyChange::default() });
        let due =
            |world: &World| world.state.policy(world.scope("acme")).unwrap().rotation_due(world.token(id));
        let code = |world: &World| {
            let ask = Ask { organization: Some("acme"), ..Ask::default() };
            world.verify(&verifier, id, ask).unwrap().code
        };
        assert_eq!(due(&world), Some(world.at.after(30 * DAY)));
        world.pass(31 * DAY);
        assert_eq!(code(&world), Code::Valid, "it is only reported");
        set(&mut world, PolicyChange { rotation_enforced: Some(true), ..PolicyChange::default() });
        assert_eq!(code(&world), Code::Expired);
        assert_eq!(world.state.status(world.token(id), world.at), crate::state::Status::Live);
        world.rotate(&admin(), id, Duration::ZERO).unwrap();
        assert_eq!(due(&world), Some(world.at.after(30 * DAY)));
        world.pass_almost(30 * DAY);
        assert_eq!(code(&world), Code::Valid);
        world.pass(TICK);
        assert_eq!(code(&world), Code::Expired);
    }
}
