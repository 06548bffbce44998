//! The authority's start, its policy, its built-in roles.

use super::policy::inactive_days;
use super::{Decision, check_revision, require_system};
use crate::authority::Caller;
use crate::event::{Answers, Event, InstancePolicy, LogPlace, Subject};
use crate::rejection::Rejection;
use crate::role;
use crate::scope::Scope;
use crate::state::State;
use crate::text;

/// The most bytes of an origin.
const ORIGIN: usize = 255;

/// Begin the authority.
#[derive(Clone, Debug)]
pub struct Start {
    /// The log's name, for ever.
    pub origin: Box<str>,
    /// The public key that signs checkpoints, base64.
    pub log_key: Box<str>,
    /// The first policy.
    pub policy: InstancePolicy,
}

/// Go on with a database that does not contain what was seen.
#[derive(Clone, Debug)]
pub struct Resume {
    /// What was seen.
    pub expected: LogPlace,
    /// What the database holds.
    pub found: LogPlace,
    /// The origin of checkpoints from here on.
    pub origin: Box<str>,
}

/// A change of the instance's policy; what is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChangePolicy {
    /// How verify is answered.
    pub answers: Option<Answers>,
    /// Milliseconds, 500 to 60,000.
    pub max_staleness_ms: Option<u32>,
    /// Milliseconds, 1 to 10,000.
    pub record_within_ms: Option<u32>,
    /// Days up to 365; 0 is off.
    pub max_inactive_days: Option<u32>,
}

impl InstancePolicy {
    /// The policy of a new authority.
    pub fn new(answers: Answers) -> Self {
        Self { answers, max_staleness_ms: 1_000, record_within_ms: 50, max_inactive_days: 0 }
    }
}

pub(super) fn start(state: &State, caller: &Caller, start: &Start) -> Result<Decision, Rejection> {
    require_system(caller)?;
    if state.instance().is_some() {
        return Ok(Decision::new(None, Vec::new(), Subject::Instance));
    }
    let started = Event::AuthorityStarted {
        origin: read_origin(&start.origin)?,
        log_key: start.log_key.clone(),
        policy: start.policy,
    };
    let events = [started].into_iter().chain(roles_to_enroll(state)).collect();
    Ok(Decision::new(None, events, Subject::Instance))
}

pub(super) fn enroll_roles(state: &State, caller: &Caller) -> Result<Decision, Rejection> {
    require_system(caller)?;
    Ok(Decision::new(None, roles_to_enroll(state).collect(), Subject::Instance))
}

fn roles_to_enroll(state: &State) -> impl Iterator<Item = Event> {
    role::built_in().filter_map(|role| match state.role(None, &role.name) {
        None => {
            Some(Event::RoleDefined { role: role.name, level: role.level, permissions: role.permissions })
        }
        // A role of the instance's own that had the name first keeps it, and what it means to its holders.
        Some(enrolled) if !enrolled.is_built_in() => None,
        Some(enrolled) if enrolled.permissions != role.permissions => Some(Event::RoleChanged {
            role: role.name,
            before: enrolled.permissions.clone(),
            after: role.permissions,
        }),
        Some(_) => None,
    })
}

pub(super) fn resume(state: &State, caller: &Caller, resume: &Resume) -> Result<Decision, Rejection> {
    require_system(caller)?;
    if state.instance().is_none() {
        return Err(Rejection::not_found("instance", ""));
    }
    let resumed = Event::LogResumed {
        expected: resume.expected.clone(),
        found: resume.found.clone(),
        origin: read_origin(&resume.origin)?,
    };
    Ok(Decision::new(None, vec![resumed], Subject::Instance))
}

/// An origin is the first line of every checkpoint, and for ever: one that could not stand there is refused now.
fn read_origin(origin: &str) -> Result<Box<str>, Rejection> {
    if origin.contains(|c: char| c == '+' || c.is_whitespace()) {
        let expected = "a name without spaces and without +, such as log.example.com/chancery".to_owned();
        return Err(Rejection::invalid("origin", origin, expected));
    }
    text::clean("origin", origin, ORIGIN)
}

pub(super) fn change_policy(
    state: &State,
    caller: &Caller,
    change: &ChangePolicy,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    caller.require(state, "instance:update", Scope::Instance)?;
    let instance = state.instance().ok_or_else(|| Rejection::not_found("instance", ""))?;
    check_revision(instance.revision, expected)?;
    let before = instance.policy;
    let within = |field, value: Option<u32>, (least, most): (u32, u32), old| match value {
        None => Ok(old),
        Some(value) if (least..=most).contains(&value) => Ok(value),
        Some(value) => {
            Err(Rejection::invalid(field, &value.to_string(), format!("from {least} to {most} milliseconds")))
        }
    };
    let after = InstancePolicy {
        answers: change.answers.unwrap_or(before.answers),
        max_staleness_ms: within(
            "max_staleness_ms",
            change.max_staleness_ms,
            (500, 60_000),
            before.max_staleness_ms,
        )?,
        record_within_ms: within(
            "record_within_ms",
            change.record_within_ms,
            (1, 10_000),
            before.record_within_ms,
        )?,
        max_inactive_days: inactive_days(change.max_inactive_days)?.unwrap_or(before.max_inactive_days),
    };
    let events =
        if before == after { Vec::new() } else { vec![Event::InstancePolicyChanged { before, after }] };
    Ok(Decision::new(None, events, Subject::Instance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Request};
    use crate::permission::{Pattern, PermissionSet};
    use crate::testing::{World, absent, admin, forbidden, invalid, only, types};

    fn begin() -> Start {
        Start {
            origin: "chancery.example/log".into(),
            log_key: "b64".into(),
            policy: InstancePolicy::new(Answers::Committed),
        }
    }

    fn resumption(origin: &str) -> Resume {
        let place = LogPlace { size: 9, commit: uuid::Uuid::from_u128(1) };
        Resume { expected: place.clone(), found: LogPlace { size: 7, ..place }, origin: origin.into() }
    }

    #[test]
    fn the_authority_starts_once_with_its_roles() {
        let system = Caller::system("start");
        let first = crate::decide::instance::start(&State::default(), &system, &begin()).unwrap();
        assert_eq!(types(&first)[0], "AuthorityStarted");
        assert_eq!(types(&first)[1..], vec!["RoleDefined"; role::built_in().count()]);
        let mut world = World::new();
        assert!(world.run(&system, Command::Start(begin())).unwrap().events.is_empty());
        assert!(world.run(&system, Command::EnrollRoles).unwrap().events.is_empty());
    }

    #[test]
    fn what_the_authority_does_itself_nobody_else_may() {
        let mut world = World::new();
        let root = world.mint("instance", &["instance-admin"]);
        for caller in [admin(), world.caller(root)] {
            for command in [
                Command::Start(begin()),
                Command::EnrollRoles,
                Command::Resume(resumption("again.example/log")),
            ] {
                assert_eq!(forbidden(world.run(&caller, command)), "* at the authority's own jobs");
            }
        }
    }

    #[test]
    fn an_upgrade_enrolls_the_roles_that_it_changes() {
        let mut world = World::new();
        let name = crate::name::Name::label("member").unwrap();
        let before = world.state.role(None, &name).unwrap().permissions.clone();
        let old = PermissionSet::new([Pattern::parse("tokens:read").unwrap()]);
        let line = crate::line::Line {
            at: world.at,
            org: None,
            n: Some(world.state.next_ordinal(None)),
            actor: crate::event::Actor::system("test"),
            idempotency: None,
            event: Event::RoleChanged { role: name, before: before.clone(), after: old },
        };
        world.state.apply(&line).unwrap();
        let enrolled = world.run(&Caller::system("start"), Command::EnrollRoles).unwrap();
        assert!(matches!(only(&enrolled), Event::RoleChanged { after, .. } if *after == before));
    }

    #[test]
    fn a_log_is_resumed_under_an_origin_that_can_stand_in_a_checkpoint() {
        let (mut world, system) = (World::new(), Caller::system("resume"));
        for bad in ["", "two\nlines", "two words", "a+b", &"x".repeat(256)] {
            assert_eq!(invalid(world.run(&system, Command::Resume(resumption(bad)))), "origin");
            let start = Start { origin: bad.into(), ..begin() };
            assert_eq!(invalid(super::start(&State::default(), &system, &start)), "origin");
        }
        let resumed = world.run(&system, Command::Resume(resumption("again.example/log"))).unwrap();
        assert_eq!(types(&resumed), ["LogResumed"]);
        let instance = world.state.instance().unwrap();
        assert_eq!(&*instance.origin, "again.example/log");
        assert_eq!(instance.resumed.as_ref().unwrap().size, 9);
        // Where nothing started, there is nothing to go on with: the line would not fold.
        assert!(absent(resume(&State::default(), &system, &resumption("again.example/log"))));
    }

    #[test]
    fn the_policy_is_changed_within_its_limits() {
        let mut world = World::with_tenants();
        let change = |change: ChangePolicy| Command::ChangePolicy(change);
        let both = ChangePolicy {
            answers: Some(Answers::Bounded),
            max_staleness_ms: Some(500),
            record_within_ms: Some(10_000),
            max_inactive_days: Some(365),
        };
        assert_eq!(types(&world.admin(change(both))), ["InstancePolicyChanged"]);
        assert!(world.admin(change(both)).events.is_empty());
        assert!(world.admin(change(ChangePolicy::default())).events.is_empty());
        for bad in [499, 60_001, 0, u32::MAX] {
            let command = change(ChangePolicy { max_staleness_ms: Some(bad), ..ChangePolicy::default() });
            assert_eq!(invalid(world.run(&admin(), command)), "max_staleness_ms");
        }
        for bad in [0, 10_001] {
            let command = change(ChangePolicy { record_within_ms: Some(bad), ..ChangePolicy::default() });
            assert_eq!(invalid(world.run(&admin(), command)), "record_within_ms");
        }
        for (scope, role) in [("instance", "instance-auditor"), ("acme", "owner")] {
            let caller = world.mint(scope, &[role]);
            let caller = world.caller(caller);
            let refused = world.run(&caller, change(both));
            assert_eq!(forbidden(refused), "instance:update at the instance");
        }
    }

    #[test]
    fn the_policy_is_changed_only_from_the_revision_that_was_read() {
        let mut world = World::new();
        let revision = world.state.instance().unwrap().revision;
        let request = |record_within_ms, expected| Request {
            command: Command::ChangePolicy(ChangePolicy {
                record_within_ms: Some(record_within_ms),
                ..ChangePolicy::default()
            }),
            expected_revision: Some(expected),
            repeat: None,
        };
        world.request(&admin(), &request(60, revision)).unwrap();
        let refused = world.request(&admin(), &request(70, revision));
        let now = world.state.instance().unwrap().revision;
        assert_eq!(refused.unwrap_err(), Rejection::PreconditionFailed { current: now, expected: revision });
    }
}
