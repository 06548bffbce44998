//! The instance: its settings and policy.

pub(crate) mod show;
pub(crate) mod update;

use crate::wire;
use domain::event::{Answers, InstancePolicy};
use domain::rejection::Rejection;
use domain::state::{Instance, State};
use domain::time::Timestamp;
use eventlog::note::VerifierKey;

pub(crate) fn view(state: &State, now: Timestamp) -> Result<wire::Instance, Rejection> {
    let instance = state.instance().ok_or_else(|| Rejection::not_found("instance", ""))?;
    Ok(wire::Instance {
        origin: instance.origin.to_string(),
        log_key: instance.log_key.to_string(),
        verifier_keys: verifier_keys(instance, now),
        started_at: instance.started_at.to_string(),
        policy: view_policy(&instance.policy),
        version: state.version(),
        revision: instance.revision,
    })
}

/// The instance's policy.
pub(crate) fn view_policy(policy: &InstancePolicy) -> wire::Policy {
    wire::Policy {
        answers: match policy.answers {
            Answers::Committed => wire::Answers::Committed,
            Answers::Bounded => wire::Answers::Bounded,
        },
        max_staleness_ms: policy.max_staleness_ms,
        record_within_ms: policy.record_within_ms,
        max_inactive_days: policy.max_inactive_days,
    }
}

fn verifier_keys(instance: &Instance, now: Timestamp) -> Vec<String> {
    let before = instance.log_key_before.as_ref().filter(|(_, until)| now < *until).map(|(before, _)| before);
    let keys = std::iter::once(&instance.log_key).chain(before);
    keys.filter_map(|key| VerifierKey::new(&instance.origin, key)).map(|key| key.to_string()).collect()
}
