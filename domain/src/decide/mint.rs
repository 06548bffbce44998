//! New tokens: minted, or narrowed from the caller's own.

use super::policy::{require_lifetime, require_roles, require_room};
use super::{Decision, find_organization, find_organization_ever, find_project, find_project_ever, metadata};
use crate::authority::{Caller, Reach};
use crate::event::{Event, Subject, TokenMinted};
use crate::id::TokenId;
use crate::name::Name;
use crate::network::Networks;
use crate::policy::OrganizationPolicy;
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::{Grant, Scope};
use crate::secret::{ENTROPY, Secret};
use crate::state::{State, Status, Token};
use crate::text;
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a token's name.
pub(super) const NAME: usize = 128;
/// The most bytes of a description or a note.
pub(super) const DESCRIPTION: usize = 1_024;
/// The most grants of one token.
const GRANTS: usize = 64;
/// The most tokens of a chain, each narrowed from the one before: verify looks at every one.
const CHAIN: usize = 8;

/// Randomness for a secret. It does not show itself.
pub struct Entropy(pub [u8; ENTROPY]);

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}

impl Drop for Entropy {
    fn drop(&mut self) {
        self.0.fill(0);
    }
}

/// A scope as it is asked for, by names or ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeText {
    /// The instance.
    Instance,
    /// An organization.
    Organization(String),
    /// A project of an organization.
    Project(String, String),
}

impl ScopeText {
    /// The scope for the record, as it was asked for.
    pub fn object(&self) -> String {
        match self {
            Self::Instance => "instance".to_owned(),
            Self::Organization(organization) => format!("organization:{organization}"),
            Self::Project(organization, project) => format!("project:{organization}/{project}"),
        }
    }

    /// The scope, if the caller may know of it.
    pub fn find(&self, state: &State, caller: &Caller) -> Result<Scope, Rejection> {
        match self {
            Self::Instance => Ok(Scope::Instance),
            Self::Organization(organization) => {
                find_organization(state, caller, organization).map(|found| Scope::Organization(found.id))
            }
            Self::Project(organization, project) => find_project(state, caller, organization, project)
                .map(|found| Scope::Project(found.organization, found.id)),
        }
    }

    /// The same for a look: what is deleted is found by its id.
    pub fn find_ever(&self, state: &State, caller: &Caller) -> Result<Scope, Rejection> {
        match self {
            Self::Instance => Ok(Scope::Instance),
            Self::Organization(organization) => {
                find_organization_ever(state, caller, organization).map(|found| Scope::Organization(found.id))
            }
            Self::Project(organization, project) => find_project_ever(state, caller, organization, project)
                .map(|found| Scope::Project(found.organization, found.id)),
        }
    }
}

/// When a token expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// With the token that mints it, or after the organization's usual lifetime if that is earlier; never, if there is
    /// neither.
    #[default]
    Inherited,
    /// Never.
    Never,
    /// Then.
    At(Timestamp),
    /// So long after the minting.
    In(Duration),
}

/// What mint and narrow have in common.
#[derive(Debug)]
pub struct Particulars {
    /// The new token.
    pub id: TokenId,
    /// What its secret is made of.
    pub entropy: Entropy,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// A JSON object of the owner's.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// In force from then on.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub expiry: Expiry,
    /// From where; empty is what the minting token has.
    pub allowed_networks: Vec<String>,
}

/// Begin a token.
#[derive(Debug)]
pub struct Mint {
    /// Where it acts.
    pub scope: ScopeText,
    /// What it may do: `role` or `role@project`.
    pub grants: Vec<String>,
    /// The rest.
    pub particulars: Particulars,
}

/// Begin a token that can do no more than the caller, and ends with it.
#[derive(Debug)]
pub struct Narrow {
    /// A subset of the caller's grants; none is all of them.
    pub grants: Option<Vec<String>>,
    /// The rest.
    pub particulars: Particulars,
}

pub(super) fn authorize_mint(state: &State, caller: &Caller, mint: &Mint) -> Result<Scope, Rejection> {
    let scope = mint.scope.find(state, caller)?;
    caller.require(state, "tokens:mint", scope)?;
    Ok(scope)
}

pub(super) fn mint(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    mint: &Mint,
) -> Result<Decision, Rejection> {
    let scope = authorize_mint(state, caller, mint)?;
    let grants = read_grants(state, caller, scope, &mint.grants)?;
    // A session stands for its person, who outlasts it: what it mints does too.
    let inherited = caller.token().filter(|parent| !parent.session).and_then(|parent| state.expiry(parent));
    let (parent, wanted) = (caller.token(), &mint.particulars);
    let mut minted = begin(state, Begun { parent, at, scope, grants, inherited }, wanted)?;
    caller.require_reach(state, &reach_of(scope, &minted))?;
    // What a narrowed token mints ends with it as well: otherwise minting would be the way out of the bounds.
    if let Some(parent) = caller.token().filter(|parent| parent.narrowed) {
        require_short_chain(state, parent)?;
        minted.narrowed = true;
    }
    finish(state, scope, at, minted, &mint.particulars.entropy)
}

pub(super) fn authorize_narrow(caller: &Caller) -> Result<&Arc<Token>, Rejection> {
    caller.token().ok_or_else(|| {
        let expected = "a token: only what a token holds can be narrowed; mint one instead".to_owned();
        Rejection::invalid("caller", &caller.by().to_string(), expected)
    })
}

pub(super) fn narrow(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    narrow: &Narrow,
) -> Result<Decision, Rejection> {
    let parent = authorize_narrow(caller)?;
    let grants = match &narrow.grants {
        None => Arc::clone(&parent.grants),
        Some(texts) => read_grants(state, caller, parent.scope, texts)?,
    };
    let inherited = state.expiry(parent);
    let begun = Begun { parent: Some(parent), at, scope: parent.scope, grants, inherited };
    let mut minted = begin(state, begun, &narrow.particulars)?;
    minted.narrowed = true;
    require_short_chain(state, parent)?;
    caller.require_reach(state, &reach_of(parent.scope, &minted))?;
    finish(state, parent.scope, at, minted, &narrow.particulars.entropy)
}

pub(super) fn require_short_chain(state: &State, parent: &Arc<Token>) -> Result<(), Rejection> {
    if state.chain(parent).count() < CHAIN {
        return Ok(());
    }
    let expected = format!("a token that is at most the {}th of tokens narrowed one from another", CHAIN - 1);
    Err(Rejection::invalid("caller", &parent.by().to_string(), expected))
}

fn reach_of(scope: Scope, minted: &TokenMinted) -> Reach<'_> {
    Reach { scope, grants: &minted.grants, expires_at: minted.expires_at, networks: &minted.allowed_networks }
}

/// What is settled about a new token before its particulars are read.
struct Begun<'a> {
    /// The token that mints it.
    parent: Option<&'a Arc<Token>>,
    at: Timestamp,
    scope: Scope,
    grants: Arc<[Grant]>,
    /// When it ends where nothing is said.
    inherited: Option<Timestamp>,
}

/// The new token as it was asked for. What was not said it has from the token that mints it.
fn begin(state: &State, begun: Begun<'_>, wanted: &Particulars) -> Result<TokenMinted, Rejection> {
    let Begun { parent, at, scope, grants, inherited } = begun;
    let usual = state.policy(scope).and_then(OrganizationPolicy::usual_lifetime).map(|usual| at.after(usual));
    let inherited = inherited.into_iter().chain(usual).min();
    let expires_at = resolve_expiry("expires_at", wanted.expiry, inherited, at)?;
    require_lifetime(state, scope, expires_at, at)?;
    require_roles(state, scope, &grants)?;
    let not_before = wanted.not_before;
    if let (Some(start), Some(end)) = (not_before, expires_at)
        && start >= end
    {
        return Err(Rejection::invalid(
            "not_before",
            &start.to_string(),
            format!("before the expiry, {end}"),
        ));
    }
    let allowed_networks = match Networks::parse(&wanted.allowed_networks)? {
        unsaid if unsaid.is_anywhere() => parent.map_or(unsaid, |parent| parent.allowed_networks.clone()),
        networks => networks,
    };
    let secret = Secret::from_entropy(scope.secret_kind(), &wanted.entropy.0);
    let description = wanted.description.as_deref().filter(|text| !text.is_empty());
    Ok(TokenMinted {
        token: wanted.id,
        project: scope.project(),
        name: text::clean("name", &wanted.name, NAME)?,
        description: description.map(|text| text::clean("description", text, DESCRIPTION)).transpose()?,
        metadata: wanted.metadata.as_ref().map(metadata).transpose()?.flatten(),
        grants,
        hash: secret.hash(),
        prefix: secret.prefix(),
        parent: parent.map(|parent| parent.id),
        narrowed: false,
        not_before,
        expires_at,
        allowed_networks,
    })
}

fn finish(
    state: &State,
    scope: Scope,
    at: Timestamp,
    minted: TokenMinted,
    entropy: &Entropy,
) -> Result<Decision, Rejection> {
    require_free_name(state, scope, &minted.name, at, None)?;
    require_room(state, scope, at)?;
    let subject = Subject::Token(minted.token);
    let secret = Secret::from_entropy(scope.secret_kind(), &entropy.0);
    let decision = Decision::new(scope.organization(), vec![Event::TokenMinted(minted)], subject);
    Ok(Decision { secret: Some(secret), ..decision })
}

/// Names are unique among tokens of a scope that are neither revoked nor expired.
pub(super) fn require_free_name(
    state: &State,
    scope: Scope,
    name: &str,
    at: Timestamp,
    of: Option<TokenId>,
) -> Result<(), Rejection> {
    match state.tokens().by_name(scope, name) {
        Some(holder) if Some(holder.id) != of && state.status(holder, at) == Status::Live => {
            Err(Rejection::NameTaken { kind: "token", name: name.to_owned(), until: None })
        }
        _ => Ok(()),
    }
}

/// The moment that an expiry means, which has to come.
pub(super) fn resolve_expiry(
    field: &'static str,
    expiry: Expiry,
    inherited: Option<Timestamp>,
    at: Timestamp,
) -> Result<Option<Timestamp>, Rejection> {
    let end = match expiry {
        Expiry::Inherited => inherited,
        Expiry::Never => None,
        Expiry::At(end) => Some(end),
        Expiry::In(duration) => Some(at.after(duration)),
    };
    match end {
        Some(end) if end <= at => {
            Err(Rejection::invalid(field, &end.to_string(), format!("later than {at}")))
        }
        end => Ok(end),
    }
}

/// Reads grants for a token of `scope`: sorted, without repetitions, at least one.
pub(crate) fn read_grants(
    state: &State,
    caller: &Caller,
    scope: Scope,
    texts: &[String],
) -> Result<Arc<[Grant]>, Rejection> {
    if texts.is_empty() || texts.len() > GRANTS {
        let expected = format!("a list of 1 to {GRANTS} grants");
        return Err(Rejection::invalid("grants", &texts.len().to_string(), expected));
    }
    let mut grants =
        texts.iter().map(|text| read_grant(state, caller, scope, text)).collect::<Result<Vec<_>, _>>()?;
    grants.sort_unstable();
    grants.dedup();
    Ok(grants.into())
}

/// The grants that a token of `scope` can have, in a sentence.
fn roles_for(state: &State, scope: Scope) -> String {
    let own = scope.organization().map(Some).into_iter().flat_map(|owner| state.roles_of(owner));
    let names = state.roles_of(None).chain(own).filter_map(|role| match (role.level, scope) {
        (level, _) if level == scope.level() => Some(role.name.to_string()),
        (Level::Project, Scope::Organization(_)) => Some(format!("{}@<project>", role.name)),
        _ => None,
    });
    names.collect::<Vec<_>>().join(", ")
}

fn read_grant(state: &State, caller: &Caller, scope: Scope, text: &str) -> Result<Grant, Rejection> {
    let (role_text, project_text) = match text.split_once('@') {
        Some((role, project)) => (role, Some(project)),
        None => (text, None),
    };
    let refuse = |expected: String| Err(Rejection::invalid("grants", text, expected));
    let role = Name::label(role_text).and_then(|name| state.role(scope.organization(), &name));
    let Some(role) = role else { return refuse(format!("one of {}", roles_for(state, scope))) };
    let project = match (project_text, scope) {
        (None, _) => None,
        (Some(project), Scope::Organization(organization)) => {
            let found = state.find_project(organization, project).map(|found| found.id);
            // To narrow needs no permission, so it must not tell which projects there are.
            match found.filter(|id| caller.may_know(Scope::Project(organization, *id))) {
                Some(id) => Some(id),
                None => return refuse(format!("a role at a project of {}", state.describe(scope))),
            }
        }
        (Some(_), Scope::Instance | Scope::Project(..)) => {
            return refuse("a role without @: only a token of an organization names projects".to_owned());
        }
    };
    let level = if project.is_some() { Level::Project } else { scope.level() };
    if role.level != level {
        let held = if role.level == Level::Project { "role@project" } else { "its own level" };
        return refuse(format!(
            "held here: {} is a role of level {}, given as {held}; this needs one of level {}",
            role.name,
            role.level.as_str(),
            level.as_str()
        ));
    }
    Ok(Grant { role: role.name.clone(), project })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, absent, admin, forbidden, invalid, missing, only};
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);

    fn is_taken<T>(result: &Result<T, Rejection>) -> bool {
        matches!(result, Err(Rejection::NameTaken { .. }))
    }

    #[test]
    fn the_administrator_mints_at_every_scope() {
        let mut world = World::with_tenants();
        for (scope, grant, start) in [
            ("instance", "instance-auditor", "chyi_"),
            ("acme", "project-writer@web", "chyo_"),
            ("acme/web", "project-writer", "chyp_"),
        ] {
            let id = world.mint(scope, &[grant]);
            let token = world.token(id);
            assert!(world.secret(id, 0).starts_with(start));
            assert_eq!((token.scope, token.parent, token.narrowed), (world.scope(scope), None, false));
            assert_eq!(token.created_by.to_string(), "admin-token");
        }
    }

    #[test]
    fn what_a_token_mints_is_its_child_and_inherits_time_and_networks() {
        let mut world = World::with_tenants();
        let end = world.at.after(90 * DAY);
        let owner = world
            .mint_by(&admin(), "acme", &["owner"], |p| {
                p.expiry = Expiry::At(end);
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
            })
            .unwrap();
        let caller = world.caller(owner);
        let child = world.mint_by(&caller, "acme/web", &["project-reader"], |_| ()).unwrap();
        let token = world.token(child);
        assert_eq!((token.parent, token.expires_at), (Some(owner), Some(end)));
        assert_eq!(token.allowed_networks, world.token(owner).allowed_networks);
        assert_eq!(token.created_by, world.token(owner).by());
    }

    #[test]
    fn to_mint_needs_the_permission_in_a_place_that_the_caller_may_know_of() {
        let mut world = World::with_tenants();
        let auditor = world.mint("acme", &["auditor"]);
        let auditor = world.caller(auditor);
        let refused = world.mint_by(&auditor, "acme", &["auditor"], |_| ());
        assert_eq!(forbidden(refused), "tokens:mint at organization acme");
        assert_eq!(
            forbidden(world.mint_by(&auditor, "instance", &["instance-auditor"], |_| ())),
            "tokens:mint at the instance"
        );
        for scope in ["other", "other/web"] {
            assert!(absent(world.mint_by(&auditor, scope, &["verifier"], |_| ())));
        }
        assert!(absent(world.mint_by(&auditor, "none", &["verifier"], |_| ())));
        let of_web = world.mint("acme/web", &["project-admin"]);
        let of_web = world.caller(of_web);
        assert!(absent(world.mint_by(&of_web, "acme/api", &["project-reader"], |_| ())));
    }

    #[test]
    fn nobody_mints_more_than_it_has() {
        let mut world = World::with_tenants();
        let end = world.at.after(DAY);
        let admin_of_acme = world
            .mint_by(&admin(), "acme", &["admin"], |p| {
                p.expiry = Expiry::At(end);
                p.allowed_networks = vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()];
            })
            .unwrap();
        let caller = world.caller(admin_of_acme);
        let mut mint = |grant: &str, expiry: Expiry, networks: &[&str]| {
            world.mint_by(&caller, "acme", &[grant], |p| {
                p.expiry = expiry;
                p.allowed_networks = crate::testing::texts(networks);
            })
        };
        assert!(mint("admin", Expiry::At(end), &["10.1.0.0/16"]).is_ok());
        assert_eq!(missing(mint("owner", Expiry::Inherited, &[])), ["* at organization acme"]);
        let later = end.after(Duration::from_micros(1));
        for expiry in [Expiry::Never, Expiry::At(later), Expiry::In(2 * DAY)] {
            assert_eq!(missing(mint("member", expiry, &[])), [format!("time from {end} on")]);
        }
        for networks in [&["0.0.0.0/0"][..], &["10.0.0.0/8", "192.0.2.1"], &["::/0"]] {
            let refused = mint("member", Expiry::Inherited, networks);
            assert_eq!(missing(refused), ["networks outside 10.0.0.0/8, 2001:db8::/32"]);
        }
    }

    #[test]
    fn a_grant_in_a_project_gives_nothing_beside_it() {
        let mut world = World::with_tenants();
        let caller = world.mint("acme", &["project-admin@web", "member"]);
        let caller = world.caller(caller);
        world.mint_by(&caller, "acme", &["project-writer@web"], |_| ()).unwrap();
        world.mint_by(&caller, "acme/web", &["project-admin"], |_| ()).unwrap();
        let refused = missing(world.mint_by(&caller, "acme", &["project-writer@api"], |_| ()));
        assert_eq!(refused, ["deployments:* at project api of acme"]);
        let refused = missing(world.mint_by(&caller, "acme/api", &["project-reader"], |_| ()));
        assert_eq!(refused, ["deployments:read at project api of acme"]);
    }

    #[test]
    fn grants_are_roles_of_the_scope_and_its_level() {
        let mut world = World::with_tenants();
        for (scope, grants) in [
            ("acme", &[][..]),
            ("acme", &[""]),
            ("acme", &["Owner"]),
            ("acme", &["nobody"]),
            ("acme", &["instance-admin"]),
            ("acme", &["project-reader"]),
            ("acme", &["member@web"]),
            ("acme", &["project-reader@none"]),
            ("acme", &["project-reader@"]),
            ("acme", &["project-reader@web@web"]),
            ("acme/web", &["member"]),
            ("acme/web", &["project-reader@web"]),
            ("instance", &["owner"]),
            ("instance", &["project-reader@web"]),
            ("acme", &["member"; 65]),
        ] {
            assert_eq!(invalid(world.mint_by(&admin(), scope, grants, |_| ())), "grants", "{grants:?}");
        }
        let other_web = world.state.find_project(world.scope("other").organization().unwrap(), "web");
        let grant = format!("project-reader@{}", other_web.unwrap().id);
        assert_eq!(invalid(world.mint_by(&admin(), "acme", &[&grant], |_| ())), "grants");
        let id = world.mint("acme", &["project-reader@web", "member", "member"]);
        assert_eq!(world.token(id).grants.len(), 2);
    }

    #[test]
    fn a_token_begins_before_it_ends_and_ends_later_than_now() {
        let mut world = World::with_tenants();
        let at = world.at;
        let mut mint = |start: Option<Timestamp>, expiry: Expiry| {
            world.mint_by(&admin(), "acme", &["member"], |p| {
                p.not_before = start;
                p.expiry = expiry;
            })
        };
        assert_eq!(invalid(mint(None, Expiry::At(at))), "expires_at");
        assert_eq!(invalid(mint(None, Expiry::In(Duration::ZERO))), "expires_at");
        assert_eq!(invalid(mint(None, Expiry::In(Duration::from_nanos(999)))), "expires_at");
        assert!(mint(None, Expiry::At(at.after(Duration::from_micros(1)))).is_ok());
        assert_eq!(invalid(mint(Some(at.after(DAY)), Expiry::In(DAY))), "not_before");
        assert!(mint(Some(at.after(DAY)), Expiry::In(DAY + Duration::from_micros(1))).is_ok());
        assert!(mint(Some(Timestamp::MIN), Expiry::In(Duration::MAX)).is_ok());
    }

    #[test]
    fn texts_are_cleaned_masked_and_limited() {
        let mut world = World::with_tenants();
        let known = world.mint("acme", &["member"]);
        let secret = world.secret(known, 0).to_owned();
        let pasted = serde_json::json!({ "b": [secret.as_str()], "a": { secret.as_str(): 1 } });
        let id = world
            .mint_by(&admin(), "acme", &["member"], |p| {
                p.name = format!("  of {secret} ");
                p.description = Some(secret.clone());
                p.metadata = pasted.as_object().cloned();
            })
            .unwrap();
        let start = &secret[..12];
        let token = world.token(id);
        assert_eq!(*token.name, format!("of {start}…"));
        assert_eq!(
            token.metadata.as_ref().unwrap().json().get(),
            format!(r#"{{"a":{{"{start}…":1}},"b":["{start}…"]}}"#)
        );
        assert!(!world.lines.concat().contains(&secret));
        for bad in ["", " ", "a\u{7}", &"x".repeat(129)] {
            assert_eq!(
                invalid(world.mint_by(&admin(), "acme", &["member"], |p| p.name = bad.into())),
                "name"
            );
        }
        let long = Some("x".repeat(1_025));
        let refused = world.mint_by(&admin(), "acme", &["member"], |p| p.description = long);
        assert_eq!(invalid(refused), "description");
        let networks = vec!["10.0.0.0/8 or so".to_owned()];
        let refused = world.mint_by(&admin(), "acme", &["member"], |p| p.allowed_networks = networks);
        assert_eq!(invalid(refused), "allowed_networks");
    }

    #[test]
    fn metadata_is_small_and_has_one_way_to_be_written() {
        let read = |value: serde_json::Value| metadata(value.as_object().unwrap());
        for bad in [
            serde_json::json!({ "a": 1.5 }),
            serde_json::json!({ "a": [{ "b": -0.0 }] }),
            serde_json::json!({ "a": "\u{0}" }),
            serde_json::json!({ "a\n": 1 }),
            serde_json::json!({ "a": { "\u{202e}": [] } }),
            serde_json::json!({ "a": "x".repeat(4_096 - 7) }),
        ] {
            assert_eq!(invalid(read(bad)), "metadata");
        }
        assert!(read(serde_json::json!({ "a": "x".repeat(4_096 - 8) })).unwrap().is_some());
        assert_eq!(read(serde_json::json!({})).unwrap(), None);
        let sorted = read(serde_json::json!({ "b": u64::MAX, "a": i64::MIN })).unwrap().unwrap();
        assert_eq!(sorted.json().get(), r#"{"a":-9223372036854775808,"b":18446744073709551615}"#);
    }

    #[test]
    fn a_name_is_held_by_one_live_token_of_a_scope() {
        let mut world = World::with_tenants();
        let mint = |world: &mut World, scope: &str, expiry: Expiry| {
            world.mint_by(
                &admin(),
                scope,
                &[if scope == "acme" { "member" } else { "project-reader" }],
                |p| {
                    p.name = "deploy".to_owned();
                    p.expiry = expiry;
                },
            )
        };
        let first = mint(&mut world, "acme", Expiry::In(DAY)).unwrap();
        assert!(is_taken(&mint(&mut world, "acme", Expiry::Never)));
        mint(&mut world, "acme/web", Expiry::Never).unwrap();
        world.pass_almost(DAY);
        assert!(is_taken(&mint(&mut world, "acme", Expiry::Never)));
        // An expired token lets its name go, and does not get it back by being revoked.
        world.pass(Duration::from_micros(1));
        let second = mint(&mut world, "acme", Expiry::Never).unwrap();
        world.revoke(&admin(), first, false).unwrap();
        assert!(is_taken(&mint(&mut world, "acme", Expiry::Never)));
        world.revoke(&admin(), second, false).unwrap();
        mint(&mut world, "acme", Expiry::Never).unwrap();
    }

    #[test]
    fn any_holder_narrows_what_it_holds() {
        let mut world = World::with_tenants();
        let reader = world.mint("acme", &["project-reader@web"]);
        let caller = world.caller(reader);
        let child = world.narrow(&caller, None, |_| ()).unwrap();
        let token = world.token(child);
        assert_eq!((token.parent, token.narrowed), (Some(reader), true));
        assert_eq!(token.grants, world.token(reader).grants);
        let refused = missing(world.narrow(&caller, Some(&["project-writer@web"]), |_| ()));
        assert_eq!(refused, ["deployments:* at project web of acme"]);
        assert_eq!(invalid(world.narrow(&caller, Some(&[]), |_| ())), "grants");
        assert_eq!(invalid(world.narrow(&admin(), None, |_| ())), "caller");
    }

    #[test]
    fn narrowing_does_not_tell_which_projects_there_are() {
        let mut world = World::with_tenants();
        let api = world.scope("acme/api").project().unwrap();
        let caller = world.mint("acme", &["project-reader@web"]);
        let caller = world.caller(caller);
        let mut refusal = |grant: &str| {
            let refused = world.narrow(&caller, Some(&[grant]), |_| ()).unwrap_err().to_string();
            refused.replace(grant, "…")
        };
        let absent = refusal("project-reader@none");
        assert_eq!(refusal("project-reader@api"), absent);
        assert_eq!(refusal(&format!("project-reader@{api}")), absent);
    }

    #[test]
    fn a_chain_has_eight_links_and_every_one_bounds_the_last() {
        let mut world = World::with_tenants();
        let root = world.mint("acme", &["admin"]);
        let mut chain = vec![root];
        for _ in 1..CHAIN {
            let caller = world.caller(*chain.last().unwrap());
            chain.push(world.narrow(&caller, None, |_| ()).unwrap());
        }
        let last = *chain.last().unwrap();
        let caller = world.caller(last);
        assert_eq!(invalid(world.narrow(&caller, None, |_| ())), "caller");
        assert_eq!(invalid(world.mint_by(&caller, "acme", &["member"], |_| ())), "caller");
        // A grant taken from any link is gone for all below it.
        assert!(caller.may(&world.state, "roles:update", world.scope("acme")));
        world.update(&admin(), chain[3], |u| u.grants = Some(vec!["member".to_owned()])).unwrap();
        let caller = world.caller(last);
        assert!(!caller.may(&world.state, "roles:update", world.scope("acme")));
        assert!(caller.may(&world.state, "tokens:mint", world.scope("acme")));
        // Nor is it to be had back by minting instead of narrowing.
        let refused = missing(world.mint_by(&caller, "acme", &["admin"], |_| ()));
        assert!(refused.contains(&"roles:* at organization acme".to_owned()));
        // Each link's revocation ends all below it, and nothing above.
        world.revoke(&admin(), chain[2], false).unwrap();
        for (index, id) in chain.iter().enumerate() {
            let expected = if index < 2 { Status::Live } else { Status::Revoked };
            assert_eq!(world.state.status(world.token(*id), world.at), expected);
        }
    }

    #[test]
    fn what_a_narrowed_token_mints_ends_with_it() {
        let mut world = World::with_tenants();
        let root = world.mint("acme", &["admin"]);
        let caller = world.caller(root);
        let narrowed = world.narrow(&caller, None, |_| ()).unwrap();
        let caller = world.caller(narrowed);
        let minted = world.mint_by(&caller, "acme", &["member"], |_| ()).unwrap();
        world.revoke(&admin(), root, false).unwrap();
        assert_eq!(world.state.status(world.token(minted), world.at), Status::Revoked);
    }

    #[test]
    fn what_a_mint_comes_to_says_all_that_was_asked() {
        let mut world = World::with_tenants();
        let particulars = world.particulars("ci");
        let mint =
            Mint { scope: ScopeText::Instance, grants: vec!["instance-verifier".to_owned()], particulars };
        let decision = world.admin(super::super::Command::Mint(mint));
        let Event::TokenMinted(minted) = only(&decision) else { panic!() };
        let secret = decision.secret.as_ref().unwrap();
        assert_eq!((minted.hash, minted.prefix), (secret.hash(), secret.prefix()));
        assert_eq!(decision.subject, Subject::Token(minted.token));
        assert!(!format!("{decision:?}").contains(secret.text()));
    }
}
