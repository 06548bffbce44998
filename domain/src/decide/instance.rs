//! The authority's start, its policy, its built-in roles.

use super::{Decision, check_revision, require_system};
use crate::authority::Caller;
use crate::event::{Answers, Event, InstancePolicy, LogPlace, Subject};
use crate::rejection::Rejection;
use crate::role;
use crate::scope::Scope;
use crate::state::State;

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
}

impl InstancePolicy {
    /// The policy of a new authority.
    pub fn new(answers: Answers) -> Self {
        Self { answers, max_staleness_ms: 1_000, record_within_ms: 50 }
    }
}

pub(super) fn start(state: &State, caller: &Caller, start: &Start) -> Result<Decision, Rejection> {
    require_system(caller)?;
    if state.instance().is_some() {
        return Ok(Decision::new(None, Vec::new(), Subject::Instance));
    }
    let started = Event::AuthorityStarted {
        origin: start.origin.clone(),
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
        Some(enrolled) if enrolled.permissions != role.permissions => Some(Event::RoleChanged {
            role: role.name,
            before: enrolled.permissions.clone(),
            after: role.permissions,
        }),
        Some(_) => None,
    })
}

pub(super) fn resume(_state: &State, caller: &Caller, resume: &Resume) -> Result<Decision, Rejection> {
    require_system(caller)?;
    let resumed = Event::LogResumed {
        expected: resume.expected.clone(),
        found: resume.found.clone(),
        origin: resume.origin.clone(),
    };
    Ok(Decision::new(None, vec![resumed], Subject::Instance))
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
    };
    let events =
        if before == after { Vec::new() } else { vec![Event::InstancePolicyChanged { before, after }] };
    Ok(Decision::new(None, events, Subject::Instance))
}
