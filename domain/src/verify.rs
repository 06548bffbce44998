//! May this token do this? The question that services ask on every request.

use crate::authority::{self, Caller, Principal};
use crate::policy::OrganizationPolicy;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::secret::SecretHash;
use crate::state::{Project, Shown, State, Token};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// What is answered. The order is the fixed order of refusals: the first that applies is the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not the text of a token: it starts like one and its checksum fails.
    Malformed,
    /// No token has this text.
    Unknown,
    /// A rotation replaced this secret.
    Superseded,
    /// The token was revoked, or ended with the one it was narrowed from.
    Revoked,
    /// The token's organization is suspended.
    OrganizationSuspended,
    /// The token's time has not begun.
    NotYetValid,
    /// The token's time is over, or that of its secret, where its organization insists on rotation.
    Expired,
    /// The token may not be used from this address, or the address is not known.
    AddressDenied,
    /// The token is of another organization.
    WrongOrganization,
    /// The token is of another project.
    WrongProject,
    /// The token lacks the permission.
    Forbidden,
    /// It may.
    Valid,
}

impl Code {
    /// Every code, in order.
    pub const ALL: &[Self] = &[
        Self::Malformed,
        Self::Unknown,
        Self::Superseded,
        Self::Revoked,
        Self::OrganizationSuspended,
        Self::NotYetValid,
        Self::Expired,
        Self::AddressDenied,
        Self::WrongOrganization,
        Self::WrongProject,
        Self::Forbidden,
        Self::Valid,
    ];

    /// As lines and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
            Self::OrganizationSuspended => "organization_suspended",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::AddressDenied => "address_denied",
            Self::WrongOrganization => "wrong_organization",
            Self::WrongProject => "wrong_project",
            Self::Forbidden => "forbidden",
            Self::Valid => "valid",
        }
    }

    /// In a sentence, for who shows the token.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Malformed => "the text is not a whole token: it was cut or changed on the way",
            Self::Unknown => "no token has this text",
            Self::Superseded => "the token was rotated, and this is a secret that a newer one replaced",
            Self::Revoked => "the token was revoked",
            Self::OrganizationSuspended => "the token's organization is suspended",
            Self::NotYetValid => "the token is not in force yet",
            Self::Expired => "the token has expired",
            Self::AddressDenied => "the token may not be used from this address",
            Self::WrongOrganization => "the token is of another organization",
            Self::WrongProject => "the token is of another project",
            Self::Forbidden => "the token lacks the permission",
            Self::Valid => "the token is valid",
        }
    }
}

/// One question. Absent organization and project mean the caller's own.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// BLAKE3 of the presented text.
    pub hash: SecretHash,
    /// The text starts like one of ours and its checksum fails.
    pub malformed: bool,
    /// What the token would do; none asks only whether it is in force.
    pub permission: Option<&'a str>,
    /// The organization in question, by name or id.
    pub organization: Option<&'a str>,
    /// The project in question, by name or id.
    pub project: Option<&'a str>,
    /// The address that presented the token to the caller.
    pub address: Option<IpAddr>,
}

/// The answer to a question.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is answered.
    pub code: Code,
    /// The known token, and which of its secrets was shown.
    pub token: Option<(Arc<Token>, Shown)>,
    /// Where the question was decided.
    pub place: Scope,
}

/// Where a question is asked, and whether the caller may ask it there.
///
/// A token of an organization asks about its own and need not name it; who asks for the whole instance names one. An
/// organization that the caller may not know of is answered like one that does not exist.
pub fn place_of(state: &State, caller: &Caller, question: &Question<'_>) -> Result<Place, Rejection> {
    let own = match &caller.principal {
        Principal::Token(token, _) => token.scope,
        Principal::AdminToken | Principal::System(_) | Principal::Outsider(_) | Principal::Invited(_) => {
            Scope::Instance
        }
    };
    let organization = match (question.organization, own.organization()) {
        (None, Some(own)) => Some(own),
        (None, None) => {
            let expected = "the name or id of an organization, because the caller is not of one itself";
            return Err(Rejection::invalid("organization", "", expected.to_owned()));
        }
        (Some(text), _) => state.find_organization(text).map(|found| found.id),
    };
    let is_own = |id| own.organization().is_none_or(|own| own == id);
    let Some(organization) = organization.filter(|id| is_own(*id)) else {
        // Only the instance's verifiers learn that there is no such organization.
        caller.require(state, "tokens:verify", own)?;
        return match own.organization() {
            None => Ok(Place { scope: Scope::Instance, organization: false, project: true }),
            Some(_) => Err(Rejection::not_found("organization", question.organization.unwrap_or_default())),
        };
    };
    // A project that the caller may not know of is answered like one that does not exist.
    let may_know = |project: &&Arc<Project>| caller.may_know(Scope::Project(organization, project.id));
    let project = match question.project {
        Some(text) => Some(state.find_project(organization, text).filter(may_know).map(|project| project.id)),
        None => own.project().map(Some),
    };
    let (scope, project_found) = match project {
        None => (Scope::Organization(organization), true),
        Some(Some(project)) => (Scope::Project(organization, project), true),
        Some(None) => (Scope::Organization(organization), false),
    };
    caller.require(state, "tokens:verify", scope)?;
    Ok(Place { scope, organization: true, project: project_found })
}

/// Where a question is decided.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The organization or project, as far as it was found.
    pub scope: Scope,
    /// Whether the organization in question exists.
    pub organization: bool,
    /// Whether the project in question exists.
    pub project: bool,
}

/// Decides a question at a place.
pub fn verify(
    state: &State,
    caller: &Caller,
    question: &Question<'_>,
    place: Place,
    at: Timestamp,
) -> Verdict {
    let verdict = |code, token| Verdict { code, token, place: place.scope };
    if question.malformed {
        return verdict(Code::Malformed, None);
    }
    let Some((token, shown)) = state.tokens().by_secret(&question.hash) else {
        return verdict(Code::Unknown, None);
    };
    let asks_for_instance = caller.token().is_none_or(|caller| caller.scope == Scope::Instance);
    let is_inside = token.scope.organization().is_some_and(|of| place.scope.organization() == Some(of));
    // To an organization's caller, a token of another one is like one that was never issued.
    if !is_inside && !asks_for_instance {
        return verdict(Code::Unknown, None);
    }
    let (code, decided) = match standing(state, token, shown, at, question.address) {
        Err(code) => (code, decided_at(token, place)),
        Ok(()) => answer(state, token, place, question.permission),
    };
    Verdict { code, token: Some((Arc::clone(token), shown)), place: decided }
}

/// The part of the order of refusals that a token in force comes to: what it is answered at a place, and where that
/// was decided.
pub(crate) fn answer(
    state: &State,
    token: &Arc<Token>,
    place: Place,
    permission: Option<&str>,
) -> (Code, Scope) {
    let is_inside = token.scope.organization().is_some_and(|of| place.scope.organization() == Some(of));
    let decided = decided_at(token, place);
    let lacks = |permission| !authority::allows(state, token, permission, decided);
    let code = if !place.organization || (!is_inside && token.scope != Scope::Instance) {
        Code::WrongOrganization
    } else if !place.project || token.scope.project().is_some_and(|of| !covers_project(place.scope, of)) {
        Code::WrongProject
    } else if permission.is_some_and(lacks) {
        Code::Forbidden
    } else {
        Code::Valid
    };
    (code, decided)
}

/// Asked about more than its scope, a token answers for its scope.
fn decided_at(token: &Token, place: Place) -> Scope {
    if place.scope.contains(token.scope) { token.scope } else { place.scope }
}

/// A question about a whole organization is also about a project token's own project.
fn covers_project(place: Scope, project: crate::id::ProjectId) -> bool {
    place.project().is_none_or(|asked| asked == project)
}

/// Whether a token is in force for who shows one of its secrets at `at` from `address`: the part of the order of
/// refusals that does not depend on the question. Every link of its chain counts.
pub fn standing(
    state: &State,
    token: &Arc<Token>,
    shown: Shown,
    at: Timestamp,
    address: Option<IpAddr>,
) -> Result<(), Code> {
    if shown.is_superseded(at) {
        return Err(Code::Superseded);
    }
    // All links of a chain are of the token's own scope, or of one that contains it and ends no sooner.
    let closed = state.closed(token.scope);
    let organization = token.scope.organization().and_then(|id| state.organization(id));
    let of_link = |link: &Arc<Token>| {
        if state.own_revocation(link).is_some() {
            Some(Code::Revoked)
        } else if closed.is_some() {
            closed
        } else if link.not_before.is_some_and(|start| at < start) {
            Some(Code::NotYetValid)
        } else if link.is_expired(at) {
            Some(Code::Expired)
        } else if !link.allowed_networks.allow(address) {
            Some(Code::AddressDenied)
        } else {
            None
        }
    };
    let of_policy = organization
        .and_then(|organization| bounded(&organization.policy, token.since(shown.secret), at, address));
    state.chain(token).filter_map(of_link).chain(of_policy).min().map_or(Ok(()), Err)
}

/// What the organization's policy has against a token whose secret, the one that is shown, was made at `since`. A secret
/// that is overdue has run out, as a password does: the
/// token itself goes on, and is accepted again once somebody rotates it. Only `expired` says that, as `superseded`
/// would mean that there is another secret already.
fn bounded(
    policy: &OrganizationPolicy,
    since: Timestamp,
    at: Timestamp,
    address: Option<IpAddr>,
) -> Option<Code> {
    if policy.rotation_enforced && policy.is_overdue(since, at) {
        Some(Code::Expired)
    } else if !policy.allowed_networks.allow(address) {
        Some(Code::AddressDenied)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Expiry, SuspendOrganization};
    use crate::id::TokenId;
    use crate::testing::{Ask, World, absent, admin, forbidden, invalid};
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);
    const TICK: Duration = Duration::from_micros(1);
    const ACME: Ask<'static> =
        Ask { permission: None, organization: Some("acme"), project: None, address: None };

    fn code(world: &World, caller: &Caller, id: TokenId, ask: Ask<'_>) -> Code {
        world.verify(caller, id, ask).unwrap().code
    }

    /// A caller that asks about acme, and one for the whole instance.
    fn verifiers(world: &mut World) -> (Caller, Caller) {
        let of_acme = world.mint("acme", &["verifier"]);
        let of_all = world.mint("instance", &["instance-verifier"]);
        (world.caller(of_acme), world.caller(of_all))
    }

    #[test]
    fn the_first_refusal_that_applies_is_the_answer() {
        let mut world = World::with_tenants();
        let (_, everywhere) = verifiers(&mut world);
        let now = world.at;
        let owner = world.mint("acme/web", &["project-admin"]);
        let owner = world.caller(owner);
        let start = now.after(DAY);
        let id = world
            .mint_by(&owner, "acme/web", &["project-reader"], |p| {
                p.not_before = Some(start);
                p.expiry = Expiry::At(start.after(DAY));
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
            })
            .unwrap();
        world.rotate(&admin(), id, Duration::ZERO).unwrap();
        let (old, new) = (world.secret(id, 0).to_owned(), world.secret(id, 1).to_owned());
        let ask = |world: &World, text: &str, ask| world.verify_text(&everywhere, text, ask).unwrap().code;
        let fine = Ask {
            permission: Some("projects:read"),
            organization: Some("acme"),
            project: Some("web"),
            address: Some("10.1.2.3"),
        };
        // One thing after the other goes wrong, from the last of the order to the first, and stays so.
        world.at = start;
        assert_eq!(ask(&world, &new, fine), Code::Valid);
        let wrong = Ask { permission: Some("tokens:mint"), ..fine };
        assert_eq!(ask(&world, &new, wrong), Code::Forbidden);
        let wrong = Ask { project: Some("none"), ..wrong };
        assert_eq!(ask(&world, &new, wrong), Code::WrongProject);
        let wrong = Ask { organization: Some("other"), ..wrong };
        assert_eq!(ask(&world, &new, wrong), Code::WrongOrganization);
        let wrong = Ask { address: Some("192.0.2.1"), ..wrong };
        assert_eq!(ask(&world, &new, wrong), Code::AddressDenied);
        world.at = start.after(DAY);
        assert_eq!(ask(&world, &new, wrong), Code::Expired);
        world.at = now;
        assert_eq!(ask(&world, &new, wrong), Code::NotYetValid);
        let suspend = SuspendOrganization { organization: "acme".to_owned(), note: None };
        world.admin(Command::SuspendOrganization(suspend));
        assert_eq!(ask(&world, &new, wrong), Code::OrganizationSuspended);
        world.revoke(&admin(), id, false).unwrap();
        assert_eq!(ask(&world, &new, wrong), Code::Revoked);
        assert_eq!(ask(&world, &old, wrong), Code::Superseded);
        assert_eq!(ask(&world, "an-imported-key", wrong), Code::Unknown);
        assert_eq!(ask(&world, &format!("{new}x"), wrong), Code::Malformed);
    }

    #[test]
    fn the_order_of_codes_is_the_order_of_refusals() {
        assert!(Code::ALL.is_sorted());
        for code in Code::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.as_str()));
            assert!(!code.explanation().is_empty());
        }
    }

    #[test]
    fn a_token_is_in_force_from_its_start_until_just_before_its_end() {
        let mut world = World::with_tenants();
        let (caller, _) = verifiers(&mut world);
        let (start, end) = (world.at.after(DAY), world.at.after(2 * DAY));
        let id = world
            .mint_by(&admin(), "acme", &["member"], |p| {
                p.not_before = Some(start);
                p.expiry = Expiry::At(end);
            })
            .unwrap();
        let before = |moment: Timestamp| Timestamp::from_micros(moment.micros() - 1);
        for (at, expected) in [
            (before(start), Code::NotYetValid),
            (start, Code::Valid),
            (before(end), Code::Valid),
            (end, Code::Expired),
            (Timestamp::MAX, Code::Expired),
        ] {
            world.at = at;
            assert_eq!(code(&world, &caller, id, ACME), expected, "{at}");
        }
    }

    #[test]
    fn an_old_secret_is_good_until_just_before_its_overlap_ends() {
        let mut world = World::with_tenants();
        let (caller, _) = verifiers(&mut world);
        let id = world.mint("acme", &["member"]);
        world.rotate(&admin(), id, DAY).unwrap();
        let old = world.secret(id, 0).to_owned();
        world.pass_almost(DAY);
        let verdict = world.verify_text(&caller, &old, ACME).unwrap();
        assert_eq!((verdict.code, verdict.token.unwrap().1.secret), (Code::Valid, 0));
        world.pass(TICK);
        assert_eq!(world.verify_text(&caller, &old, ACME).unwrap().code, Code::Superseded);
        let verdict = world.verify(&caller, id, ACME).unwrap();
        assert_eq!((verdict.code, verdict.token.unwrap().1.secret), (Code::Valid, 1));
    }

    #[test]
    fn a_token_of_another_organization_is_unknown_but_to_the_instance() {
        let mut world = World::with_tenants();
        let (of_acme, everywhere) = verifiers(&mut world);
        let (foreign, root) = (world.mint("other", &["owner"]), world.mint("instance", &["instance-admin"]));
        world.revoke(&admin(), foreign, false).unwrap();
        for id in [foreign, root] {
            let verdict = world.verify(&of_acme, id, Ask::default()).unwrap();
            assert_eq!((verdict.code, verdict.token.is_none()), (Code::Unknown, true));
        }
        assert_eq!(code(&world, &everywhere, foreign, ACME), Code::Revoked);
        let foreign = world.mint("other", &["owner"]);
        assert_eq!(code(&world, &everywhere, foreign, ACME), Code::WrongOrganization);
        let none = Ask { organization: Some("none"), ..ACME };
        assert_eq!(code(&world, &everywhere, foreign, none), Code::WrongOrganization);
        assert_eq!(code(&world, &everywhere, root, none), Code::WrongOrganization);
        assert_eq!(code(&world, &everywhere, root, ACME), Code::Valid);
        let anything = Ask { permission: Some("any:thing"), project: Some("web"), ..ACME };
        assert_eq!(code(&world, &everywhere, root, anything), Code::Valid);
        assert_eq!(invalid(world.verify(&everywhere, root, Ask::default())), "organization");
    }

    #[test]
    fn a_grant_in_a_project_counts_there_alone() {
        let mut world = World::with_tenants();
        let (caller, _) = verifiers(&mut world);
        let of_org = world.mint("acme", &["project-writer@web", "auditor"]);
        let of_web = world.mint("acme/web", &["project-writer"]);
        let deploy = |project| Ask { permission: Some("deployments:create"), project, ..ACME };
        assert_eq!(code(&world, &caller, of_org, deploy(Some("web"))), Code::Valid);
        assert_eq!(code(&world, &caller, of_org, deploy(Some("api"))), Code::Forbidden);
        assert_eq!(code(&world, &caller, of_org, deploy(None)), Code::Forbidden);
        assert_eq!(code(&world, &caller, of_org, deploy(Some("none"))), Code::WrongProject);
        assert_eq!(code(&world, &caller, of_web, deploy(Some("web"))), Code::Valid);
        assert_eq!(code(&world, &caller, of_web, deploy(Some("api"))), Code::WrongProject);
        // Asked about the whole organization, it answers for its own project.
        let verdict = world.verify(&caller, of_web, deploy(None)).unwrap();
        assert_eq!((verdict.code, verdict.place), (Code::Valid, world.scope("acme/web")));
        let audit = Ask { permission: Some("audit:read"), project: Some("api"), ..ACME };
        assert_eq!(code(&world, &caller, of_org, audit), Code::Valid);
    }

    #[test]
    fn who_asks_holds_the_permission_where_it_asks() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let member = world.caller(id);
        let refused = world.verify(&member, id, ACME);
        assert_eq!(forbidden(refused), "tokens:verify at organization acme");
        let of_web = world.mint("acme/web", &["project-admin"]);
        let of_web = world.caller(of_web);
        assert_eq!(code(&world, &of_web, id, Ask::default()), Code::Valid);
        let (of_acme, _) = verifiers(&mut world);
        assert!(absent(world.verify(&of_acme, id, Ask { organization: Some("other"), ..ACME })));
        assert!(absent(world.verify(&of_acme, id, Ask { organization: Some("none"), ..ACME })));
        let other = Ask { organization: Some("other"), ..ACME };
        assert_eq!(forbidden(world.verify(&member, id, other)), "tokens:verify at organization acme");
    }

    #[test]
    fn asking_does_not_tell_which_projects_there_are() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let api = world.scope("acme/api").project().unwrap().to_string();
        for (scope, grant) in [("acme/web", "project-admin"), ("acme", "project-admin@web")] {
            let caller = world.mint(scope, &[grant]);
            let caller = world.caller(caller);
            for project in ["api", "none", &api] {
                let refused = world.verify(&caller, id, Ask { project: Some(project), ..ACME });
                assert_eq!(forbidden(refused), "tokens:verify at organization acme");
            }
            assert_eq!(code(&world, &caller, id, Ask { project: Some("web"), ..ACME }), Code::Valid);
        }
    }

    #[test]
    fn every_link_of_a_chain_counts() {
        let mut world = World::with_tenants();
        let (caller, _) = verifiers(&mut world);
        let parent = world
            .mint_by(&admin(), "acme", &["member"], |p| {
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
            })
            .unwrap();
        let holder = world.caller(parent);
        let child =
            world.narrow(&holder, None, |p| p.allowed_networks = vec!["10.1.0.0/16".to_owned()]).unwrap();
        let from = |address| Ask { permission: Some("tokens:mint"), address, ..ACME };
        assert_eq!(code(&world, &caller, child, from(Some("10.1.0.1"))), Code::Valid);
        for address in [None, Some("10.2.0.1"), Some("192.0.2.1")] {
            assert_eq!(code(&world, &caller, child, from(address)), Code::AddressDenied);
        }
        let end = world.at.after(DAY);
        world.update(&admin(), parent, |u| u.expiry = Some(Expiry::At(end))).unwrap();
        world.update(&admin(), parent, |u| u.grants = Some(vec!["auditor".to_owned()])).unwrap();
        assert_eq!(code(&world, &caller, child, from(Some("10.1.0.1"))), Code::Forbidden);
        world.pass(DAY);
        assert_eq!(code(&world, &caller, child, from(None)), Code::Expired);
        world.revoke(&admin(), parent, false).unwrap();
        assert_eq!(code(&world, &caller, child, from(None)), Code::Revoked);
    }
}
