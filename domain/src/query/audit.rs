//! Who may look into the record, and how far.

use super::token;
use crate::authority::Caller;
use crate::decide::ScopeText;
use crate::id::TokenId;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{State, Token};
use std::sync::Arc;

/// Reads the record: events, single uses, the stream.
pub const AUDIT: &str = "audit:read";

/// How far the caller may see: the place that it names or, without one, its own scope. `audit:read` has to be held
/// there, and what lies outside is not shown.
pub fn audited(state: &State, caller: &Caller, scope: Option<&ScopeText>) -> Result<Scope, Rejection> {
    let own = caller.token().map_or(Scope::Instance, |token| token.scope);
    let place = scope.map_or(Ok(own), |scope| scope.find_ever(state, caller))?;
    caller.require(state, AUDIT, place)?;
    Ok(place)
}

/// A token whose single uses the caller may see: one that it may read, at whose scope it may audit.
pub fn used_token<'a>(state: &'a State, caller: &Caller, id: TokenId) -> Result<&'a Arc<Token>, Rejection> {
    let found = token(state, caller, id)?;
    caller.require(state, AUDIT, found.scope)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, admin, forbidden};

    fn text(organization: &str, project: Option<&str>) -> ScopeText {
        match project {
            Some(project) => ScopeText::Project(organization.to_owned(), project.to_owned()),
            None => ScopeText::Organization(organization.to_owned()),
        }
    }

    #[test]
    fn an_auditor_sees_its_own_scope_and_what_lies_inside() {
        let mut world = World::with_tenants();
        for (scope, grant, asked, seen) in [
            ("instance", "instance-auditor", None, Some("instance")),
            ("instance", "instance-auditor", Some(("acme", None)), Some("acme")),
            ("acme", "auditor", None, Some("acme")),
            ("acme", "auditor", Some(("acme", Some("web"))), Some("acme/web")),
            ("acme", "auditor", Some(("other", None)), None),
            ("acme/web", "project-admin", None, Some("acme/web")),
            ("acme/web", "project-admin", Some(("acme", None)), None),
            ("acme", "project-admin@web", Some(("acme", Some("web"))), Some("acme/web")),
            ("acme", "project-admin@web", None, None),
            ("acme", "member", None, None),
        ] {
            let id = world.mint(scope, &[grant]);
            let caller = world.caller(id);
            let asked = asked.map(|(organization, project)| text(organization, project));
            let found = audited(&world.state, &caller, asked.as_ref());
            assert_eq!(found.ok(), seen.map(|place| world.scope(place)), "{grant} at {scope}: {asked:?}");
        }
        assert_eq!(audited(&world.state, &admin(), None).ok(), Some(Scope::Instance));
    }

    #[test]
    fn single_uses_are_for_auditors_and_what_is_not_read_does_not_exist() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let mut ask = |scope: &str, grant: &str| {
            let caller = world.mint(scope, &[grant]);
            let caller = world.caller(caller);
            used_token(&world.state, &caller, id).map(|found| found.id)
        };
        assert_eq!(ask("acme", "auditor").ok(), Some(id));
        assert_eq!(ask("instance", "instance-auditor").ok(), Some(id));
        assert_eq!(forbidden(ask("acme", "member")), "audit:read at organization acme");
        for (scope, grant) in [("other", "auditor"), ("acme", "verifier"), ("acme", "project-admin@web")] {
            assert!(matches!(ask(scope, grant), Err(Rejection::NotFound { .. })), "{grant} at {scope}");
        }
    }
}
