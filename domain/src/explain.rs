//! Would a token be allowed to do a thing, by which grant, or what is missing? A dry run of [`crate::verify`], for
//! people: of a token that there is, or of a draft of one.

use crate::authority::{Caller, role_of};
use crate::decide::{ScopeText, find_organization, find_project, read_grants};
use crate::id::TokenId;
use crate::permission::{Pattern, Permission};
use crate::policy::OrganizationPolicy;
use crate::query;
use crate::rejection::Rejection;
use crate::scope::{Grant, Scope};
use crate::state::{Shown, State, Token};
use crate::time::Timestamp;
use crate::verify::{Code, standing};
use std::net::IpAddr;
use std::sync::Arc;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who would do it.
    pub subject: Subject,
    /// What it would do.
    pub permission: Permission,
    /// In which organization, by name or id. Without it and a project, at its own scope.
    pub organization: Option<String>,
    /// In which project of the organization, or of its own.
    pub project: Option<String>,
    /// From where; without it, networks are left aside.
    pub address: Option<IpAddr>,
}

/// Whom a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A token.
    Token(TokenId),
    /// A token that there could be. It is taken to be in force, unless no token of its organization is.
    Draft {
        /// Where it would act.
        scope: ScopeText,
        /// What it would hold: `role` or `role@project`.
        grants: Vec<String>,
    },
}

impl Subject {
    /// What is looked at, for the record: as it was asked.
    pub(crate) fn object(&self) -> String {
        match self {
            Self::Token(id) => format!("token:{id}"),
            Self::Draft { scope, .. } => scope.object(),
        }
    }
}

/// The answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What a verify would be answered.
    pub code: Code,
    /// Where the question was decided.
    pub place: Scope,
    /// The token or the draft, then each that it was narrowed from: all of them have to allow it.
    pub links: Vec<Link>,
}

/// What one link of a chain has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The token; none is the draft.
    pub token: Option<TokenId>,
    /// Whether it allows it.
    pub allows: bool,
    /// By which of its grants, each with the permission of its role that says so. Empty where the caller may not read
    /// the token.
    pub by: Vec<(Grant, Pattern)>,
}

impl Explanation {
    /// Whether it would be allowed.
    pub fn is_allowed(&self) -> bool {
        self.code == Code::Valid
    }

    /// Whether some link has no grant for it, whatever else stands against it.
    pub fn lacks_permission(&self) -> bool {
        self.links.iter().any(|link| !link.allows)
    }
}

/// A subject that was found, and the place in question.
struct Found<'a> {
    token: Option<&'a Arc<Token>>,
    scope: Scope,
    grants: Arc<[Grant]>,
    place: Scope,
}

/// Refuses a question that the caller may not ask: it needs `tokens:read` where the token is, or would be.
pub(crate) fn authorize(state: &State, caller: &Caller, question: &Question) -> Result<(), Rejection> {
    find(state, caller, question).map(drop)
}

/// Explains what a token, or a draft of one, may do at `at`.
pub fn explain(
    state: &State,
    caller: &Caller,
    question: &Question,
    at: Timestamp,
) -> Result<Explanation, Rejection> {
    let Found { token, scope, grants, place } = find(state, caller, question)?;
    // As in a verify: asked about more than its scope, a token answers for its scope.
    let decided = if place.contains(scope) { scope } else { place };
    let permission = question.permission.as_str();
    let links: Vec<Link> = match token {
        None => vec![link(state, None, scope, &grants, permission, decided)],
        Some(token) => {
            let of = |token: &Arc<Token>| {
                let found = link(state, Some(token.id), token.scope, &token.grants, permission, decided);
                let is_shown = query::token(state, caller, token.id).is_ok();
                if is_shown { found } else { Link { by: Vec::new(), ..found } }
            };
            state.chain(token).map(of).collect()
        }
    };
    let stands = match token {
        Some(token) => stands(state, token, at, question.address),
        None => draft_stands(state, scope, question.address),
    };
    let code = if let Err(code) = stands {
        code
    } else if scope.organization().is_some_and(|own| place.organization() != Some(own)) {
        Code::WrongOrganization
    } else if scope.project().is_some_and(|own| place.project().is_some_and(|asked| asked != own)) {
        Code::WrongProject
    } else if links.iter().any(|link| !link.allows) {
        Code::Forbidden
    } else {
        Code::Valid
    };
    Ok(Explanation { code, place: decided, links })
}

fn find<'a>(state: &'a State, caller: &Caller, question: &Question) -> Result<Found<'a>, Rejection> {
    let (token, scope, grants) = match &question.subject {
        Subject::Token(id) => {
            let token = query::token(state, caller, *id)?;
            (Some(token), token.scope, Arc::clone(&token.grants))
        }
        Subject::Draft { scope, grants } => {
            let scope = scope.find(state, caller)?;
            caller.require(state, "tokens:read", scope)?;
            (None, scope, read_grants(state, caller, scope, grants)?)
        }
    };
    Ok(Found { token, scope, grants, place: place_of(state, caller, question, scope)? })
}

/// The place in question. One that the caller may not know of is answered like one that does not exist.
fn place_of(state: &State, caller: &Caller, question: &Question, own: Scope) -> Result<Scope, Rejection> {
    let organization = match (&question.organization, own.organization()) {
        (Some(text), _) => Some(find_organization(state, caller, text)?.id),
        (None, Some(own)) => Some(own),
        (None, None) if question.project.is_some() => {
            let expected = "the name or id of the project's organization".to_owned();
            return Err(Rejection::invalid("organization", "", expected));
        }
        (None, None) => None,
    };
    match (organization, &question.project) {
        (Some(organization), Some(text)) => {
            let project = find_project(state, caller, &organization.to_string(), text)?;
            Ok(Scope::Project(organization, project.id))
        }
        (Some(organization), None) if question.organization.is_some() => {
            Ok(Scope::Organization(organization))
        }
        _ => Ok(own),
    }
}

fn link(
    state: &State,
    token: Option<TokenId>,
    scope: Scope,
    grants: &[Grant],
    permission: &str,
    place: Scope,
) -> Link {
    let by: Vec<(Grant, Pattern)> = grants
        .iter()
        .filter(|grant| grant.place(scope).contains(place))
        .filter_map(|grant| {
            let role = role_of(state, scope, grant)?;
            let pattern = role.permissions.patterns().iter().find(|pattern| pattern.allows(permission))?;
            Some((grant.clone(), pattern.clone()))
        })
        .collect();
    Link { token, allows: !by.is_empty(), by }
}

/// Whether a token is in force for who shows its present secret. The networks are checked last of all, so that leaving
/// them aside hides nothing else.
fn stands(state: &State, token: &Arc<Token>, at: Timestamp, address: Option<IpAddr>) -> Result<(), Code> {
    match standing(state, token, Shown { secret: token.secret, replaced: None }, at, address) {
        Err(Code::AddressDenied) if address.is_none() => Ok(()),
        stands => stands,
    }
}

/// Whether a draft would be in force, as far as its organization says: the rest of it is yet to be settled.
fn draft_stands(state: &State, scope: Scope, address: Option<IpAddr>) -> Result<(), Code> {
    let is_denied =
        |policy: &OrganizationPolicy| address.is_some() && !policy.allowed_networks.allow(address);
    match state.closed(scope) {
        Some(closed) => Err(closed),
        None if state.policy(scope).is_some_and(is_denied) => Err(Code::AddressDenied),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{ChangeOrganizationPolicy, Command, Expiry, PolicyChange, SuspendOrganization};
    use crate::testing::{Ask, World, absent, admin, forbidden, invalid, ip, scope_text, texts};
    use std::time::Duration;

    fn about(subject: Subject, permission: &str) -> Question {
        let permission = Permission::parse("permission", permission).unwrap();
        Question { subject, permission, organization: None, project: None, address: None }
    }

    fn draft(scope: &str, grants: &[&str], permission: &str) -> Question {
        about(Subject::Draft { scope: scope_text(scope), grants: texts(grants) }, permission)
    }

    fn said(explanation: &Explanation) -> Vec<String> {
        let links = explanation.links.iter().flat_map(|link| &link.by);
        links.map(|(grant, pattern)| format!("{} {pattern}", grant.role)).collect()
    }

    #[test]
    fn it_says_which_grants_allow_it() {
        let world = World::with_tenants();
        let explain =
            |question: &Question| super::explain(&world.state, &admin(), question, world.at).unwrap();
        let mut question = draft("acme", &["member", "auditor", "project-admin@web"], "tokens:read");
        assert_eq!(said(&explain(&question)), ["auditor tokens:read", "member tokens:read"]);
        question.project = Some("web".to_owned());
        let found = explain(&question);
        assert_eq!(said(&found), ["auditor tokens:read", "member tokens:read", "project-admin tokens:*"]);
        assert!(found.is_allowed() && !found.lacks_permission());
        question.permission = Permission::parse("permission", "deployments:create").unwrap();
        assert_eq!(explain(&question).code, Code::Valid);
        question.project = Some("api".to_owned());
        let found = explain(&question);
        assert!(
            found.code == Code::Forbidden
                && found.lacks_permission()
                && found.place == world.scope("acme/api")
        );
    }

    #[test]
    fn a_draft_is_bounded_by_its_organization() {
        let mut world = World::with_tenants();
        let mut question = draft("acme/web", &["project-reader"], "deployments:read");
        let code = |world: &World, question: &Question| {
            super::explain(&world.state, &admin(), question, world.at).unwrap().code
        };
        let allowed_networks = Some(texts(&["10.0.0.0/8"]));
        let change = PolicyChange { allowed_networks, ..PolicyChange::default() };
        let organization = "acme".to_owned();
        let change = ChangeOrganizationPolicy { organization, change, dry_run: false };
        world.admin(Command::ChangeOrganizationPolicy(change));
        assert_eq!(code(&world, &question), Code::Valid);
        for (address, expected) in [("10.0.0.1", Code::Valid), ("192.0.2.1", Code::AddressDenied)] {
            question.address = Some(ip(address));
            assert_eq!(code(&world, &question), expected);
        }
        let suspend = SuspendOrganization { organization: "acme".to_owned(), note: None };
        world.admin(Command::SuspendOrganization(suspend));
        assert_eq!(code(&world, &question), Code::OrganizationSuspended);
    }

    #[test]
    fn it_says_what_a_verify_is_answered() {
        let mut world = World::with_tenants();
        let of_web = world.mint("acme/web", &["project-writer"]);
        let ended = world.mint("acme", &["member"]);
        world.revoke(&admin(), ended, false).unwrap();
        let near = world.mint_by(&admin(), "acme", &["member"], |p| {
            p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
            p.expiry = Expiry::In(Duration::from_hours(1));
        });
        let all = [of_web, ended, near.unwrap(), world.mint("instance", &["instance-auditor"])];
        let places = [("acme", None), ("acme", Some("web")), ("acme", Some("api")), ("other", Some("web"))];
        let mut codes = std::collections::BTreeSet::new();
        for hours in [0, 1] {
            world.pass(Duration::from_hours(hours));
            for (id, (organization, project)) in all.iter().flat_map(|id| places.map(|place| (*id, place))) {
                for permission in ["deployments:create", "tokens:read"] {
                    for address in ["10.0.0.1", "192.0.2.1"] {
                        let mut question = about(Subject::Token(id), permission);
                        question.organization = Some(organization.to_owned());
                        question.project = project.map(str::to_owned);
                        question.address = Some(ip(address));
                        let found = explain(&world.state, &admin(), &question, world.at).unwrap();
                        let ask = Ask {
                            permission: Some(permission),
                            organization: Some(organization),
                            project,
                            address: Some(address),
                        };
                        let verdict = world.verify(&admin(), id, ask).unwrap();
                        assert_eq!((found.code, found.place), (verdict.code, verdict.place), "{question:?}");
                        codes.insert(found.code.as_str());
                    }
                }
            }
        }
        assert_eq!(codes.len(), 7, "{codes:?}");
    }

    #[test]
    fn without_an_address_networks_are_left_aside() {
        let mut world = World::with_tenants();
        let id = world
            .mint_by(&admin(), "acme", &["member"], |p| p.allowed_networks = vec!["10.0.0.0/8".to_owned()])
            .unwrap();
        let mut question = about(Subject::Token(id), "tokens:read");
        let code = |question: &Question| explain(&world.state, &admin(), question, world.at).unwrap().code;
        assert_eq!(code(&question), Code::Valid);
        question.address = Some(ip("192.0.2.1"));
        assert_eq!(code(&question), Code::AddressDenied);
    }

    #[test]
    fn every_link_of_a_chain_is_explained_to_who_may_read_it() {
        let mut world = World::with_tenants();
        let parent = world.mint("acme", &["admin"]);
        let holder = world.caller(parent);
        let child = world.narrow(&holder, None, |_| ()).unwrap();
        let narrowed = world.caller(child);
        let of_web = world.mint_by(&narrowed, "acme/web", &["project-admin"], |_| ()).unwrap();
        world.update(&admin(), parent, |u| u.grants = Some(texts(&["member"]))).unwrap();
        let question = about(Subject::Token(of_web), "tokens:rotate");
        let found = explain(&world.state, &admin(), &question, world.at).unwrap();
        let links: Vec<_> = found.links.iter().map(|link| (link.token.unwrap(), link.allows)).collect();
        assert_eq!(links, [(of_web, true), (child, true), (parent, false)]);
        assert_eq!(found.code, Code::Forbidden);
        let reader = world.mint("acme/web", &["project-admin"]);
        let found = explain(&world.state, &world.caller(reader), &question, world.at).unwrap();
        assert_eq!(found.links.iter().map(|link| link.by.len()).collect::<Vec<_>>(), [1, 0, 0]);
        assert!(found.links[1].allows, "that it allows it is said");
    }

    #[test]
    fn who_may_not_read_tokens_there_is_told_nothing() {
        let mut world = World::with_tenants();
        let target = world.mint("acme", &["member"]);
        let (verifier, stranger) = (world.mint("acme", &["verifier"]), world.mint("other", &["owner"]));
        let (verifier, stranger) = (world.caller(verifier), world.caller(stranger));
        let ask = |caller: &Caller, question: &Question| authorize(&world.state, caller, question);
        let drafted = draft("acme", &["member"], "tokens:read");
        assert_eq!(forbidden(ask(&verifier, &drafted)), "tokens:read at organization acme");
        assert!(absent(ask(&stranger, &drafted)));
        let question = about(Subject::Token(target), "tokens:read");
        assert!(absent(ask(&verifier, &question)) && absent(ask(&stranger, &question)));
        ask(&world.caller(target), &question).unwrap();
        let mut elsewhere = draft("other", &["member"], "tokens:read");
        elsewhere.organization = Some("acme".to_owned());
        assert!(absent(ask(&stranger, &elsewhere)));
    }

    #[test]
    fn questions_have_values_that_can_be() {
        let world = World::with_tenants();
        let ask = |question: &Question| authorize(&world.state, &admin(), question);
        assert_eq!(invalid(ask(&draft("acme", &["never"], "a:b"))), "grants");
        assert_eq!(invalid(ask(&draft("acme", &[], "a:b"))), "grants");
        let mut question = draft("instance", &["instance-admin"], "a:b");
        ask(&question).unwrap();
        question.project = Some("web".to_owned());
        assert_eq!(invalid(ask(&question)), "organization");
        question.organization = Some("acme".to_owned());
        ask(&question).unwrap();
        question.project = Some("never".to_owned());
        assert!(absent(ask(&question)));
    }
}
