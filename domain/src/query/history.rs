//! Who may look at the state as it stood.

use super::AUDIT;
use crate::authority::Caller;
use crate::decide::ScopeText;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::State;

/// How far somebody sees into the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What is looked at: the place that is named or, without one, the caller's own scope.
    pub place: Scope,
    /// What may be shown of whoever could act there: the widest scope around the place that the caller may audit.
    pub visible: Scope,
}

/// How far the caller sees. `audit:read` has to be held there as the state is now.
pub fn history(state: &State, caller: &Caller, scope: Option<&ScopeText>) -> Result<Sight, Rejection> {
    let own = caller.token().map_or(Scope::Instance, |token| token.scope);
    let place = scope.map_or(Ok(own), |scope| scope.find_ever(state, caller))?;
    caller.require(state, AUDIT, place)?;
    let around = [Some(Scope::Instance), place.organization().map(Scope::Organization)];
    let may_audit = |scope: &Scope| caller.may(state, AUDIT, *scope);
    let visible = around.into_iter().flatten().find(may_audit).unwrap_or(place);
    Ok(Sight { place, visible })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, scope_text};

    #[test]
    fn an_auditor_sees_the_past_of_its_own_scope() {
        let mut world = World::with_tenants();
        for (scope, grant, asked, seen) in [
            ("instance", "instance-auditor", None, Some(("instance", "instance"))),
            ("instance", "instance-auditor", Some("acme"), Some(("acme", "instance"))),
            ("acme", "auditor", None, Some(("acme", "acme"))),
            ("acme", "auditor", Some("acme/web"), Some(("acme/web", "acme"))),
            ("acme", "auditor", Some("other"), None),
            ("acme", "auditor", Some("instance"), None),
            ("acme/web", "project-admin", Some("acme/web"), Some(("acme/web", "acme/web"))),
            ("acme/web", "project-admin", Some("acme"), None),
            ("acme", "member", None, None),
        ] {
            let id = world.mint(scope, &[grant]);
            let caller = world.caller(id);
            let found = history(&world.state, &caller, asked.map(scope_text).as_ref()).ok();
            let expected = seen
                .map(|(place, visible)| Sight { place: world.scope(place), visible: world.scope(visible) });
            assert_eq!(found, expected, "{grant} at {scope}: {asked:?}");
        }
    }
}
