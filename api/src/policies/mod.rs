//! Policies of organizations: what their tokens may be at most.

pub(crate) mod show;
pub(crate) mod update;

use crate::app::App;
use crate::edge::Problem;
use crate::error::problem;
use crate::wire;
use domain::census::Census;
use domain::policy::OrganizationPolicy;
use domain::scope::Scope;
use domain::state::Organization;
use std::sync::Arc;
use std::time::Duration;

/// A policy of an organization, its own or a draft, with what it would hit today.
async fn view(
    app: &App,
    organization: &Arc<Organization>,
    policy: &OrganizationPolicy,
) -> Result<wire::OrganizationPolicy, Problem> {
    let hits = hits(app, organization, policy).await?;
    Ok(wire::OrganizationPolicy { hits: Some(hits), ..settings(organization, policy) })
}

/// A policy of an organization, its own or a draft, by itself.
pub(crate) fn settings(organization: &Organization, policy: &OrganizationPolicy) -> wire::OrganizationPolicy {
    let lifetime = |seconds: u64| (seconds > 0).then(|| duration(seconds));
    wire::OrganizationPolicy {
        organization: organization.naming.name.to_string(),
        organization_id: organization.id.0,
        max_lifetime: lifetime(policy.max_lifetime_s),
        default_lifetime: lifetime(policy.default_lifetime_s),
        expiry_required: policy.expiry_required,
        max_inactive_days: policy.max_inactive_days,
        allowed_networks: policy.allowed_networks.list().iter().map(ToString::to_string).collect(),
        max_mints_per_hour: policy.max_mints_per_hour,
        max_live_tokens: policy.max_live_tokens,
        rotation_due_days: policy.rotation_due_days,
        rotation_enforced: policy.rotation_enforced,
        allowed_roles: policy.allowed_roles.iter().map(ToString::to_string).collect(),
        leak_response: policy.leak_response.as_str().to_owned(),
        hits: None,
        revision: organization.revision,
    }
}

async fn hits(
    app: &App,
    organization: &Arc<Organization>,
    policy: &OrganizationPolicy,
) -> Result<wire::PolicyHits, Problem> {
    let at = app.now();
    let mut census = Census::new(organization.id, policy);
    while app.node().live().read(|state| census.step(state, at)) {
        tokio::task::yield_now().await;
    }
    let hits = census.finish();
    let inactive = if policy.max_inactive_days == 0 {
        0
    } else {
        let scope = Scope::Organization(organization.id);
        let found = app.node().inactive(scope, policy.max_inactive_days).await;
        found.map_err(|failure| problem(&failure))?.len() as u64
    };
    Ok(wire::PolicyHits {
        live_tokens: hits.live_tokens,
        beyond_max_lifetime: hits.beyond_max_lifetime,
        without_expiry: hits.without_expiry,
        inactive,
        outside_networks: hits.outside_networks,
        rotation_overdue: hits.rotation_overdue,
        role_not_allowed: hits.role_not_allowed,
    })
}

/// Whole seconds as people write them, in the largest unit that says them with one number.
fn duration(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let fits = units.iter().find(|(size, _)| seconds.is_multiple_of(*size));
    let (size, unit) = fits.expect("every number is a multiple of one");
    format!("{}{unit}", seconds / size)
}

/// A lifetime of a body: empty is none, which the domain calls zero.
fn read_lifetime(field: &'static str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    match text {
        None => Ok(None),
        Some("") => Ok(Some(Duration::ZERO)),
        Some(text) => crate::tokens::read_duration(field, text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_written_as_they_are_read() {
        for (seconds, text) in [(7_776_000, "90d"), (43_200, "12h"), (5_400, "90m"), (61, "61s")] {
            assert_eq!(duration(seconds), text);
            assert_eq!(
                read_lifetime("max_lifetime", Some(text)).ok().unwrap(),
                Some(Duration::from_secs(seconds))
            );
        }
    }
}
