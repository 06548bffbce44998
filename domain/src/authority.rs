//! Who calls, what they may do, and whether they could hand a thing on.

use crate::event::{Actor, By};
use crate::id::UserId;
use crate::import::Hashes;
use crate::network::Networks;
use crate::permission::{Pattern, PermissionSet};
use crate::rejection::Rejection;
use crate::scope::{Grant, Scope};
use crate::secret::SecretHash;
use crate::state::{Role, Shown, State, Token};
use crate::time::Timestamp;
use crate::verify::{self, Code};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// What was shown to prove who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The break-glass token; the shell has compared it.
    AdminToken,
    /// A text: its hash, and whether it was one of ours that had been damaged.
    Secret {
        /// BLAKE3 of the text.
        hash: SecretHash,
        /// It starts like one of ours and its checksum fails.
        malformed: bool,
    },
    /// A text that is none of ours, and that may be an imported key's.
    Foreign(Hashes),
}

/// Who calls, from a credential that is in force.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// Where from.
    pub address: Option<IpAddr>,
}

/// Who may call.
#[derive(Clone, Debug)]
pub enum Principal {
    /// The holder of the break-glass token.
    AdminToken,
    /// A job of the authority's own.
    System(&'static str),
    /// The holder of a token, and which of its secrets was shown.
    Token(Arc<Token>, Shown),
    /// Somebody whom no credential binds to this authority: they may report, and nothing else.
    Outsider(By),
    /// Whoever holds the text of an invitation, as the person that accepting it makes or has made: it may do nothing
    /// else.
    Invited(UserId),
}

/// A credential that is not in force, and the token it belongs to if there is one.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub code: Code,
    /// The known token that it names.
    pub token: Option<(Arc<Token>, Shown)>,
}

/// Tells who shows a credential, if it is in force at `at` from `address`.
pub fn authenticate(
    state: &State,
    credential: Credential,
    at: Timestamp,
    address: Option<IpAddr>,
) -> Result<Caller, Refused> {
    let (hash, malformed) = match credential {
        Credential::AdminToken => return Ok(Caller { principal: Principal::AdminToken, address }),
        Credential::Secret { hash, malformed } => (hash, malformed),
        Credential::Foreign(hashes) => (hashes.known(state), false),
    };
    if malformed {
        return Err(Refused { code: Code::Malformed, token: None });
    }
    let Some((token, shown)) = state.tokens().by_secret(&hash) else {
        return Err(Refused { code: Code::Unknown, token: None });
    };
    match verify::standing(state, token, shown, at, address) {
        Ok(()) => Ok(Caller { principal: Principal::Token(Arc::clone(token), shown), address }),
        Err(code) => Err(Refused { code, token: Some((Arc::clone(token), shown)) }),
    }
}

impl Caller {
    /// A job of the authority's own.
    pub fn system(job: &'static str) -> Self {
        Self { principal: Principal::System(job), address: None }
    }

    /// Somebody without a credential of this authority.
    pub fn outsider(by: By, address: Option<IpAddr>) -> Self {
        Self { principal: Principal::Outsider(by), address }
    }

    /// The person of an invitation that is being accepted.
    pub fn invited(user: UserId, address: Option<IpAddr>) -> Self {
        Self { principal: Principal::Invited(user), address }
    }

    /// The holder of a token, wherever it calls from.
    pub(crate) fn of_token(token: &Arc<Token>) -> Self {
        let shown = Shown { secret: token.secret, replaced: None };
        Self { principal: Principal::Token(Arc::clone(token), shown), address: None }
    }

    /// The token that calls, if one does.
    pub fn token(&self) -> Option<&Arc<Token>> {
        match &self.principal {
            Principal::Token(token, _) => Some(token),
            Principal::AdminToken | Principal::System(_) | Principal::Outsider(_) | Principal::Invited(_) => {
                None
            }
        }
    }

    /// Whether nothing bounds what it may do.
    fn is_unbounded(&self) -> bool {
        matches!(self.principal, Principal::AdminToken | Principal::System(_))
    }

    /// Who it is, as lines and answers write it.
    pub fn by(&self) -> By {
        match &self.principal {
            Principal::AdminToken => By::AdminToken,
            Principal::System(job) => By::System(Cow::Borrowed(job)),
            Principal::Token(token, _) => token.by(),
            Principal::Outsider(by) => by.clone(),
            Principal::Invited(user) => By::Session(*user),
        }
    }

    /// The actor of what this caller causes.
    pub fn actor<S>(&self, request: Option<S>, address: Option<S>, agent: Option<S>) -> Actor<S> {
        Actor { by: self.by(), token: self.token().map(|token| token.id), request, address, agent }
    }

    /// Whether the caller may do `permission` at `place`.
    pub fn may(&self, state: &State, permission: &str, place: Scope) -> bool {
        match &self.principal {
            Principal::AdminToken | Principal::System(_) => true,
            Principal::Token(token, _) => allows(state, token, permission, place),
            Principal::Outsider(_) | Principal::Invited(_) => false,
        }
    }

    /// Whether the caller may do `permission` at `place` or somewhere inside it: then it may look there, and sees
    /// what it may.
    pub fn may_somewhere(&self, state: &State, permission: &str, place: Scope) -> bool {
        let Some(token) = self.token() else { return self.is_unbounded() };
        state.chain(token).all(|link| {
            link.grants.iter().any(|grant| {
                let held = grant.place(link.scope);
                (held.contains(place) || place.contains(held))
                    && role_of(state, link.scope, grant)
                        .is_some_and(|role| role.permissions.allows(permission))
            })
        })
    }

    /// Refuses unless the caller may do `permission` at `place` or somewhere inside it.
    pub fn require_somewhere(
        &self,
        state: &State,
        permission: &'static str,
        place: Scope,
    ) -> Result<(), Rejection> {
        if self.may_somewhere(state, permission, place) {
            return Ok(());
        }
        Err(Rejection::Forbidden { permission: permission.to_owned(), place: state.describe(place) })
    }

    /// Refuses unless the caller may do `permission` at `place`.
    pub fn require(&self, state: &State, permission: &'static str, place: Scope) -> Result<(), Rejection> {
        if self.may(state, permission, place) {
            return Ok(());
        }
        Err(Rejection::Forbidden { permission: permission.to_owned(), place: state.describe(place) })
    }

    /// Whether the caller may do anything at `place`, or somewhere inside it: then it may know that it exists.
    pub fn may_know(&self, place: Scope) -> bool {
        self.token().map_or(self.is_unbounded(), |token| {
            token.grants.iter().any(|grant| {
                let held = grant.place(token.scope);
                held.contains(place) || place.contains(held)
            })
        })
    }

    /// Refuses unless the caller holds all that a token with this reach could do: the rule that nothing escalates.
    pub fn require_reach(&self, state: &State, reach: &Reach<'_>) -> Result<(), Rejection> {
        let token = match (self.token(), self.is_unbounded()) {
            (Some(token), _) => token,
            (None, true) => return Ok(()),
            (None, false) => return Err(Rejection::Escalation { missing: vec!["a credential".to_owned()] }),
        };
        let mut missing = Vec::new();
        for grant in reach.grants {
            let place = grant.place(reach.scope);
            let permissions = role_of(state, reach.scope, grant).map(|role| role.permissions.clone());
            for pattern in permissions.unwrap_or_default().patterns() {
                if !holds(state, token, pattern, place) {
                    missing.push(format!("{pattern} at {}", state.describe(place)));
                }
            }
        }
        for link in state.chain(token) {
            // Starts need no look: who calls is in force, so all of its starts have passed.
            // A session stands for its person, who outlasts it.
            let is_person = link.session && link.id == token.id;
            if let Some(end) = link.expires_at.filter(|_| !is_person)
                && reach.expires_at.is_none_or(|wanted| wanted > end)
            {
                missing.push(format!("time from {end} on"));
            }
            if !reach.networks.within(&link.allowed_networks) {
                let allowed: Vec<_> = link.allowed_networks.list().iter().map(ToString::to_string).collect();
                missing.push(format!("networks outside {}", allowed.join(", ")));
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() { Ok(()) } else { Err(Rejection::Escalation { missing }) }
    }
}

/// All that a token can do: where, what, when and from where.
pub struct Reach<'a> {
    /// Its scope.
    pub scope: Scope,
    /// Its grants.
    pub grants: &'a [Grant],
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// From where.
    pub networks: &'a Networks,
}

impl<'a> Reach<'a> {
    /// What an existing token can do.
    pub fn of(token: &'a Token) -> Self {
        Self {
            scope: token.scope,
            grants: &token.grants,
            expires_at: token.expires_at,
            networks: &token.allowed_networks,
        }
    }
}

/// The role that a grant of a token of `scope` names; none once the grant has ended with its project.
pub fn role_of<'a>(state: &'a State, scope: Scope, grant: &Grant) -> Option<&'a Arc<Role>> {
    state.role(scope.organization(), &grant.role).filter(|_| !state.has_ended(grant))
}

/// Whether `token` may do `permission` at `place`: each link of its chain has to allow it.
pub fn allows(state: &State, token: &Arc<Token>, permission: &str, place: Scope) -> bool {
    every_link(state, token, place, |permissions| permissions.allows(permission))
}

/// Whether `token` may do all that `pattern` stands for at `place`.
pub(crate) fn holds(state: &State, token: &Arc<Token>, pattern: &Pattern, place: Scope) -> bool {
    every_link(state, token, place, |permissions| permissions.covers(pattern))
}

fn every_link(state: &State, token: &Arc<Token>, place: Scope, has: impl Fn(&PermissionSet) -> bool) -> bool {
    state.chain(token).all(|link| {
        link.grants.iter().any(|grant| {
            grant.place(link.scope).contains(place)
                && role_of(state, link.scope, grant).is_some_and(|role| has(&role.permissions))
        })
    })
}

/// What `token` may do at `place`, in its shortest form.
pub fn permissions_at(state: &State, token: &Arc<Token>, place: Scope) -> PermissionSet {
    let mut applying = token
        .grants
        .iter()
        .filter(|grant| grant.place(token.scope).contains(place))
        .filter_map(|grant| role_of(state, token.scope, grant));
    match (applying.next(), applying.next()) {
        (None, _) => PermissionSet::default(),
        // The usual token has one grant and was not narrowed: its role's set is shared as it is.
        (Some(only), None) if !token.narrowed => only.permissions.clone(),
        (Some(first), second) => {
            let roles = [first].into_iter().chain(second).chain(applying);
            let patterns = roles.flat_map(|role| role.permissions.patterns()).cloned();
            PermissionSet::new(patterns.filter(|pattern| holds(state, token, pattern, place)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::Expiry;
    use crate::testing::{World, admin, forbidden};
    use std::time::Duration;

    #[test]
    fn a_caller_shows_a_credential_that_is_in_force() {
        let mut world = World::with_tenants();
        let id = world
            .mint_by(&admin(), "acme", &["member"], |p| {
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
                p.expiry = Expiry::In(Duration::from_secs(1));
            })
            .unwrap();
        let caller = world.log_in(id, 0, Some("10.0.0.1")).unwrap();
        assert_eq!(caller.token().unwrap().id, id);
        assert_eq!(caller.by().to_string(), format!("org-token:{}", world.token(id).prefix));
        for address in [None, Some("192.0.2.1")] {
            assert_eq!(world.log_in(id, 0, address).unwrap_err(), Code::AddressDenied);
        }
        world.pass(Duration::from_secs(1));
        assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::Expired);
        let show = |malformed| {
            let credential = Credential::Secret { hash: SecretHash::of("never issued"), malformed };
            authenticate(&world.state, credential, world.at, None).unwrap_err()
        };
        assert_eq!((show(true).code, show(false).code), (Code::Malformed, Code::Unknown));
        let by_admin = authenticate(&world.state, Credential::AdminToken, world.at, None).unwrap();
        assert_eq!(by_admin.actor::<&str>(None, None, None).by, By::AdminToken);
    }

    #[test]
    fn a_refused_credential_still_names_its_token() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        world.revoke(&admin(), id, false).unwrap();
        let credential = Credential::Secret { hash: world.token(id).hash, malformed: false };
        let refused = authenticate(&world.state, credential, world.at, None).unwrap_err();
        assert_eq!((refused.code, refused.token.unwrap().0.id), (Code::Revoked, id));
    }

    #[test]
    fn a_caller_knows_of_what_lies_around_and_in_its_grants() {
        let mut world = World::with_tenants();
        let places = ["instance", "acme", "acme/web", "acme/api", "other", "other/web"];
        for (scope, grant, known) in [
            ("instance", "instance-verifier", [true; 6]),
            ("acme", "verifier", [true, true, true, true, false, false]),
            ("acme", "project-reader@web", [true, true, true, false, false, false]),
            ("acme/web", "project-reader", [true, true, true, false, false, false]),
        ] {
            let caller = world.mint(scope, &[grant]);
            let caller = world.caller(caller);
            assert_eq!(places.map(|place| caller.may_know(world.scope(place))), known, "{grant} at {scope}");
        }
    }

    #[test]
    fn somewhere_is_there_or_inside() {
        let mut world = World::with_tenants();
        let caller = world.mint("acme", &["project-admin@web", "verifier"]);
        let caller = world.caller(caller);
        let somewhere =
            |permission, place| caller.may_somewhere(&world.state, permission, world.scope(place));
        assert!(somewhere("tokens:read", "acme") && somewhere("tokens:read", "acme/web"));
        assert!(!somewhere("tokens:read", "acme/api") && !somewhere("tokens:read", "other"));
        assert!(somewhere("tokens:verify", "acme/api") && !somewhere("members:read", "acme/api"));
        assert!(!caller.may(&world.state, "tokens:read", world.scope("acme")));
        let refused = caller.require_somewhere(&world.state, "tokens:read", world.scope("acme/api"));
        assert_eq!(forbidden(refused), "tokens:read at project api of acme");
    }

    #[test]
    fn what_a_token_may_do_is_said_in_its_shortest_form() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["project-admin@web", "project-reader@web", "verifier"]);
        let say = |world: &World, id, place| {
            let set = permissions_at(&world.state, world.token(id), world.scope(place));
            set.patterns().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(say(&world, id, "acme"), "tokens:verify");
        assert_eq!(
            say(&world, id, "acme/web"),
            "audit:read deployments:* leaks:read members:* projects:* roles:read tokens:*"
        );
        let holder = world.caller(id);
        let child = world.narrow(&holder, None, |_| ()).unwrap();
        assert_eq!(say(&world, child, "acme/web"), say(&world, id, "acme/web"));
        let only = vec!["project-reader@web".to_owned()];
        world.update(&admin(), id, |u| u.grants = Some(only)).unwrap();
        assert_eq!(say(&world, child, "acme/web"), "deployments:read projects:read");
        assert_eq!(say(&world, child, "acme"), "");
    }
}
