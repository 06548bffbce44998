use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::extract::{Json, Path};
use crate::edge::{Problem, codes};
use crate::error::problem;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{ChangeOrganizationPolicy, Command, PolicyChange, draft_policy};
use domain::event::Subject;
use domain::policy::LeakResponse;
use std::sync::Arc;

/// Change an organization's policy
///
/// In force on every node for whatever is minted, narrowed, rotated, changed or verified from then on. With `dry_run`
/// nothing is changed, and the answer is the policy that it would come to, with what that would hit today. Needs
/// `policies:update`.
#[utoipa::path(
    patch, path = "/v1/organizations/{organization}/policy", operation_id = "policies.update", tag = "policies",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::OrganizationPolicyChange,
    responses((status = 200, body = wire::OrganizationPolicy), (status = "default", body = wire::Problem))
)]
pub(crate) async fn update(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::OrganizationPolicyChange>,
) -> Result<Answer<wire::OrganizationPolicy>, Problem> {
    let change = read(&body)?;
    let command = Command::ChangeOrganizationPolicy(ChangeOrganizationPolicy {
        organization: organization.clone(),
        change: change.clone(),
        dry_run: body.dry_run,
    });
    let path = [organization.as_str()];
    let done = app.change(&session, "policies.update", &path, &body, conditions, command).await?;
    let Subject::Organization(id) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let found = app.node().live().read(|state| {
        let found = state.organization(id).map(Arc::clone)?;
        let draft = body.dry_run.then(|| draft_policy(state, &found, &change)).transpose();
        Some((draft.map_err(|rejection| problem(&rejection.into())), found))
    });
    let (draft, found) = found.ok_or_else(|| Problem::new(codes::NOT_FOUND))?;
    let policy = draft?.unwrap_or_else(|| found.policy.clone());
    let policy = super::view(&app, &found, &policy).await?;
    Ok(Answer::ok(policy, done.position).revision(found.revision))
}

fn read(body: &wire::OrganizationPolicyChange) -> Result<PolicyChange, Problem> {
    let leak_response = body.leak_response.as_deref().map(LeakResponse::parse).transpose();
    Ok(PolicyChange {
        max_lifetime: super::read_lifetime("max_lifetime", body.max_lifetime.as_deref())?,
        default_lifetime: super::read_lifetime("default_lifetime", body.default_lifetime.as_deref())?,
        expiry_required: body.expiry_required,
        max_inactive_days: body.max_inactive_days,
        allowed_networks: body.allowed_networks.clone(),
        max_mints_per_hour: body.max_mints_per_hour,
        max_live_tokens: body.max_live_tokens,
        rotation_due_days: body.rotation_due_days,
        rotation_enforced: body.rotation_enforced,
        allowed_roles: body.allowed_roles.clone(),
        leak_response: leak_response.map_err(|rejection| problem(&rejection.into()))?,
    })
}
