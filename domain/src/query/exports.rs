//! The record, taken away whole: exports of the log and reviews of who may do what.

use super::AUDIT;
use crate::authority::Caller;
use crate::decide::{find_organization, find_organization_ever};
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{Organization, State};
use std::sync::Arc;

/// What of the log the caller may export: all of it or, with an organization, that part.
pub fn exported(state: &State, caller: &Caller, organization: Option<&str>) -> Result<Scope, Rejection> {
    let place = match organization {
        Some(text) => Scope::Organization(find_organization_ever(state, caller, text)?.id),
        None => Scope::Instance,
    };
    caller.require(state, AUDIT, place)?;
    Ok(place)
}

/// An organization whose access the caller may review.
pub fn reviewed<'a>(
    state: &'a State,
    caller: &Caller,
    text: &str,
) -> Result<&'a Arc<Organization>, Rejection> {
    let found = find_organization(state, caller, text)?;
    // Nothing of it is left out, so that nothing is confirmed that was not seen.
    for permission in [AUDIT, "tokens:read", "members:read"] {
        caller.require(state, permission, Scope::Organization(found.id))?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, forbidden};

    #[test]
    fn an_auditor_exports_its_own_place_and_knows_of_no_other() {
        let mut world = World::with_tenants();
        for (scope, grant, whole, acme, other) in [
            ("instance", "instance-auditor", true, true, true),
            ("acme", "auditor", false, true, false),
            ("acme", "project-admin@web", false, false, false),
            ("acme/web", "project-admin", false, false, false),
            ("acme", "member", false, false, false),
        ] {
            let id = world.mint(scope, &[grant]);
            let caller = world.caller(id);
            let may = |organization| exported(&world.state, &caller, organization).is_ok();
            assert_eq!((may(None), may(Some("acme")), may(Some("other"))), (whole, acme, other), "{grant}");
            assert_eq!(reviewed(&world.state, &caller, "acme").is_ok(), acme, "{grant}");
        }
        let id = world.mint("acme", &["auditor"]);
        let caller = world.caller(id);
        assert_eq!(forbidden(exported(&world.state, &caller, None).map(drop)), "audit:read at the instance");
        let unknown = exported(&world.state, &caller, Some("other")).unwrap_err();
        assert!(matches!(unknown, Rejection::NotFound { .. }), "{unknown}");
    }
}
