//! The instance: its settings and policy.

pub(crate) mod show;
pub(crate) mod update;

use crate::wire;
use domain::event::Answers;
use domain::rejection::Rejection;
use domain::state::State;

pub(crate) fn view(state: &State) -> Result<wire::Instance, Rejection> {
    let instance = state.instance().ok_or_else(|| Rejection::not_found("instance", ""))?;
    Ok(wire::Instance {
        origin: instance.origin.to_string(),
        log_key: instance.log_key.to_string(),
        started_at: instance.started_at.to_string(),
        policy: wire::Policy {
            answers: match instance.policy.answers {
                Answers::Committed => wire::Answers::Committed,
                Answers::Bounded => wire::Answers::Bounded,
            },
            max_staleness_ms: instance.policy.max_staleness_ms,
            record_within_ms: instance.policy.record_within_ms,
            max_inactive_days: instance.policy.max_inactive_days,
        },
        version: state.version(),
        revision: instance.revision,
    })
}
