use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::problem;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{ChangePolicy, Command};
use domain::event::Answers;

/// Change the instance
///
/// Needs `instance:update`.
#[utoipa::path(
    patch, path = "/v1/instance", operation_id = "instance.update", tag = "instance",
    params(
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::InstanceChange,
    responses((status = 200, body = wire::Instance), (status = "default", body = wire::Problem))
)]
pub(crate) async fn update(
    State(app): State<App>,
    session: Session,
    conditions: Conditions,
    Json(body): Json<wire::InstanceChange>,
) -> Result<Answer<wire::Instance>, Problem> {
    let policy = body.policy.unwrap_or_default();
    let command = Command::ChangePolicy(ChangePolicy {
        answers: policy.answers.map(|answers| match answers {
            wire::Answers::Committed => Answers::Committed,
            wire::Answers::Bounded => Answers::Bounded,
        }),
        max_staleness_ms: policy.max_staleness_ms,
        record_within_ms: policy.record_within_ms,
        max_inactive_days: policy.max_inactive_days,
    });
    let done = app.change(&session, "instance.update", &[], &body, conditions, command).await?;
    let instance = app
        .node()
        .live()
        .read(|state| super::view(state, app.now()))
        .map_err(|rejection| problem(&rejection.into()))?;
    let revision = instance.revision;
    Ok(Answer::ok(instance, done.position).revision(revision))
}
