//! Keys that were issued elsewhere become tokens of this authority.

use super::mint::{
    DESCRIPTION, Expiry, NAME, ScopeText, inherited_end, read_grants, require_free_name, require_short_chain,
    resolve_expiry, unsaid_end,
};
use super::policy::{require_lifetime, require_roles, require_room};
use super::{Decision, metadata};
use crate::authority::{Caller, Reach};
use crate::event::{Event, Subject, TokenImported};
use crate::id::TokenId;
use crate::import::{Algorithm, Digest};
use crate::network::Networks;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::secret::SecretHash;
use crate::state::{Shown, State, Status, Token};
use crate::text;
use crate::time::Timestamp;
use std::sync::Arc;

/// The most bytes of an owner's name.
const OWNER: usize = 256;

/// Begin a token whose text was issued elsewhere.
#[derive(Debug)]
pub struct Import {
    /// The new token.
    pub id: TokenId,
    /// Where it acts.
    pub scope: ScopeText,
    /// What it may do: `role` or `role@project`.
    pub grants: Vec<String>,
    /// By what its key was hashed.
    pub algorithm: Algorithm,
    /// The hash of its key.
    pub digest: Digest,
    /// What is kept of that.
    pub hash: SecretHash,
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
    /// From where; empty is what the importing token has.
    pub allowed_networks: Vec<String>,
    /// Who owned it, as the caller says.
    pub owner: Option<String>,
    /// When it was issued, as the caller says.
    pub created_at: Option<Timestamp>,
    /// Only check it: nothing is imported.
    pub dry_run: bool,
}

impl Import {
    /// Whether it is the key of a token that the caller could not come to know in another way.
    pub fn is_hidden(&self, state: &State, caller: &Caller) -> bool {
        let holder = self.holder(state).map(|(token, _)| token);
        holder.is_some_and(|token| {
            !["tokens:read", "tokens:import"].iter().any(|known| caller.may(state, known, token.scope))
        })
    }

    /// The token that has or had the key. One of our own secrets is known by the hash itself.
    fn holder<'s>(&self, state: &'s State) -> Option<(&'s Arc<Token>, Shown)> {
        let own = SecretHash(self.digest.0);
        [&self.hash, &own].into_iter().find_map(|hash| state.tokens().by_secret(hash))
    }
}

pub(super) fn authorize_import(state: &State, caller: &Caller, import: &Import) -> Result<Scope, Rejection> {
    let scope = import.scope.find(state, caller)?;
    caller.require(state, "tokens:import", scope)?;
    Ok(scope)
}

pub(super) fn import(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    import: &Import,
) -> Result<Decision, Rejection> {
    let scope = authorize_import(state, caller, import)?;
    let imported = begin(state, caller, at, scope, import)?;
    let reach = Reach {
        scope,
        grants: &imported.grants,
        expires_at: imported.expires_at,
        networks: &imported.allowed_networks,
    };
    caller.require_reach(state, &reach)?;
    require_lifetime(state, scope, imported.expires_at, at)?;
    require_roles(state, scope, &imported.grants)?;
    let organization = scope.organization();
    if let Some(known) = known(state, at, scope, import, &imported.name)? {
        return Ok(Decision::new(organization, Vec::new(), Subject::Token(known)));
    }
    require_free_name(state, scope, &imported.name, at, None)?;
    require_room(state, scope, caller.token().filter(|_| imported.narrowed), at)?;
    let subject = Subject::Token(imported.token);
    let events = (!import.dry_run).then_some(Event::TokenImported(imported));
    Ok(Decision::new(organization, events.into_iter().collect(), subject))
}

/// The token that this very import has made already. Any other that has or had the key is a refusal: a key that was
/// revoked does not come back, and one text is never two tokens.
fn known(
    state: &State,
    at: Timestamp,
    scope: Scope,
    import: &Import,
    name: &str,
) -> Result<Option<TokenId>, Rejection> {
    match import.holder(state) {
        None => Ok(None),
        Some((token, shown))
            if token.scope == scope
                && *token.name == *name
                && shown.replaced.is_none()
                && state.imports().of(token.id).is_some()
                && state.status(token, at) == Status::Live =>
        {
            Ok(Some(token.id))
        }
        Some(_) => Err(Rejection::HashKnown),
    }
}

fn begin(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    scope: Scope,
    import: &Import,
) -> Result<TokenImported, Rejection> {
    let parent = caller.token();
    let unsaid = unsaid_end(state, scope, inherited_end(state, caller), at);
    let expires_at = resolve_expiry("expires_at", import.expiry, unsaid, at)?;
    if let (Some(start), Some(end)) = (import.not_before, expires_at)
        && start >= end
    {
        let expected = format!("before the expiry, {end}");
        return Err(Rejection::invalid("not_before", &start.to_string(), expected));
    }
    if let Some(issued) = import.created_at.filter(|issued| *issued > at) {
        return Err(Rejection::invalid("created_at", &issued.to_string(), format!("not later than {at}")));
    }
    let allowed_networks = match Networks::parse(&import.allowed_networks)? {
        unsaid if unsaid.is_anywhere() => parent.map_or(unsaid, |parent| parent.allowed_networks.clone()),
        networks => networks,
    };
    let narrowed = parent.is_some_and(|parent| parent.narrowed);
    if let Some(parent) = parent.filter(|_| narrowed) {
        require_short_chain(state, parent)?;
    }
    let line = |field, given: &Option<String>, most| {
        let said = given.as_deref().filter(|text| !text.is_empty());
        said.map(|text| text::clean(field, text, most)).transpose()
    };
    Ok(TokenImported {
        token: import.id,
        project: scope.project(),
        name: text::clean("name", &import.name, NAME)?,
        description: line("description", &import.description, DESCRIPTION)?,
        metadata: import.metadata.as_ref().map(metadata).transpose()?.flatten(),
        grants: read_grants(state, caller, scope, &import.grants)?,
        algorithm: import.algorithm,
        hash: import.hash,
        parent: parent.map(|parent| parent.id),
        narrowed,
        not_before: import.not_before,
        expires_at,
        allowed_networks,
        owner: line("owner", &import.owner, OWNER)?,
        created_at: import.created_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::{Credential, authenticate};
    use crate::decide::{ChangeOrganizationPolicy, Command, PolicyChange};
    use crate::import::{Hashes, ImportKey};
    use crate::testing::{World, admin, forbidden, invalid, missing, scope_text, texts, types};
    use crate::verify::Code;
    use std::time::Duration;

    const KEY: [u8; 32] = [7; 32];

    /// Stands in for the hash that a key comes with; which one it is makes no difference here.
    fn digest(text: &str) -> Digest {
        Digest(*blake3::hash(text.as_bytes()).as_bytes())
    }

    /// The key as it is imported by another hash of it.
    fn by(algorithm: Algorithm, import: &mut Import) {
        import.algorithm = algorithm;
        import.hash = ImportKey::new(KEY).hash(algorithm, &import.digest);
    }

    fn hashes(text: &str) -> Hashes {
        let imported = Algorithm::ALL.map(|algorithm| ImportKey::new(KEY).hash(algorithm, &digest(text)));
        Hashes { own: SecretHash::of(text), imported: Some(imported) }
    }

    fn key(world: &mut World, scope: &str, text: &str) -> Import {
        Import {
            id: TokenId(world.id()),
            scope: scope_text(scope),
            grants: texts(&["member"]),
            algorithm: Algorithm::Sha256,
            digest: digest(text),
            hash: ImportKey::new(KEY).hash(Algorithm::Sha256, &digest(text)),
            name: text.to_owned(),
            description: None,
            metadata: None,
            not_before: None,
            expiry: Expiry::Inherited,
            allowed_networks: Vec::new(),
            owner: None,
            created_at: None,
            dry_run: false,
        }
    }

    fn run(
        world: &mut World,
        caller: &Caller,
        text: &str,
        change: impl FnOnce(&mut Import),
    ) -> Result<Decision, Rejection> {
        let mut import = key(world, "acme", text);
        change(&mut import);
        world.run(caller, Command::Import(import))
    }

    fn log_in(world: &World, text: &str) -> Result<TokenId, Code> {
        let credential = Credential::Foreign(hashes(text));
        let caller =
            authenticate(&world.state, credential, world.at, None).map_err(|refused| refused.code)?;
        Ok(caller.token().unwrap().id)
    }

    fn id(decision: &Decision) -> TokenId {
        match decision.subject {
            Subject::Token(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_old_text_is_in_force_as_the_imported_token() {
        let mut world = World::with_tenants();
        assert_eq!(log_in(&world, "sk_1"), Err(Code::Unknown));
        let created = world.at;
        let done = run(&mut world, &admin(), "sk_1", |i| {
            i.owner = Some("ada".to_owned());
            i.created_at = Some(created);
        })
        .unwrap();
        assert_eq!(types(&done), ["TokenImported"]);
        assert_eq!(log_in(&world, "sk_1"), Ok(id(&done)));
        assert_eq!(log_in(&world, "sk_2"), Err(Code::Unknown));
        let claims = world.state.imports().of(id(&done)).unwrap();
        assert_eq!((claims.owner.as_deref(), claims.created_at), (Some("ada"), Some(created)));
        assert!(world.token(id(&done)).prefix.as_str().starts_with("imp_"));
        // Neither the text nor its hash is on the log.
        let plain = format!("{:?}", SecretHash(digest("sk_1").0));
        assert!(!world.lines.iter().any(|line| line.contains(&plain)));
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn a_rotation_gives_a_secret_of_our_own_and_may_leave_the_old_text_a_while() {
        let mut world = World::with_tenants();
        let token = id(&run(&mut world, &admin(), "sk_1", |_| ()).unwrap());
        world.rotate(&admin(), token, Duration::from_hours(1)).unwrap();
        assert!(world.secret(token, 0).starts_with("chyo_"));
        assert_eq!(log_in(&world, "sk_1"), Ok(token));
        world.pass(Duration::from_hours(1));
        assert_eq!(log_in(&world, "sk_1"), Err(Code::Superseded));
        assert_eq!(world.log_in(token, 0, None).unwrap().token().unwrap().id, token);
    }

    #[test]
    fn the_same_import_again_changes_nothing_and_any_other_of_the_key_is_refused() {
        let mut world = World::with_tenants();
        let first = id(&run(&mut world, &admin(), "sk_1", |_| ()).unwrap());
        let again = run(&mut world, &admin(), "sk_1", |_| ()).unwrap();
        assert_eq!((again.events.len(), id(&again)), (0, first));
        let refused = |world: &mut World, change: fn(&mut Import)| {
            assert_eq!(run(world, &admin(), "sk_1", change).unwrap_err(), Rejection::HashKnown);
        };
        refused(&mut world, |i| i.name = "another".to_owned());
        refused(&mut world, |i| i.scope = scope_text("other"));
        world.revoke(&admin(), first, false).unwrap();
        refused(&mut world, |_| ());
        // Nor is a secret of our own imported, which is known by its plain hash.
        let minted = world.mint("acme", &["member"]);
        let text = world.secret(minted, 0).to_owned();
        let own = run(&mut world, &admin(), &text, |i| i.name = "mine".to_owned());
        assert_eq!(own.unwrap_err(), Rejection::HashKnown);
    }

    #[test]
    fn a_key_stays_that_of_the_token_which_was_there_first() {
        let [blake3, sha256] = Algorithm::ALL;
        for (first, second) in [(blake3, sha256), (sha256, blake3)] {
            let mut world = World::with_tenants();
            let theirs = run(&mut world, &admin(), "sk_1", |i| by(first, i)).unwrap();
            let owner = world.mint("other", &["owner"]);
            let stranger = world.caller(owner);
            let again = run(&mut world, &stranger, "sk_1", |i| {
                by(second, i);
                i.scope = scope_text("other");
            });
            assert_ne!(id(&again.unwrap()), id(&theirs));
            assert_eq!(log_in(&world, "sk_1"), Ok(id(&theirs)));
            world.revoke(&admin(), id(&theirs), false).unwrap();
            assert_eq!(log_in(&world, "sk_1"), Err(Code::Revoked));
            // Nor does it come back where it was.
            let again = run(&mut world, &admin(), "sk_2", |i| by(first, i)).unwrap();
            world.revoke(&admin(), id(&again), false).unwrap();
            run(&mut world, &admin(), "sk_2", |i| by(second, i)).unwrap();
            assert_eq!(log_in(&world, "sk_2"), Err(Code::Revoked));
        }
    }

    #[test]
    fn nobody_imports_more_than_they_have() {
        let mut world = World::with_tenants();
        let holder = world
            .mint_by(&admin(), "acme", &["admin"], |p| {
                p.expiry = Expiry::In(Duration::from_hours(1));
                p.allowed_networks = texts(&["10.0.0.0/8"]);
            })
            .unwrap();
        let caller = world.caller(holder);
        let lacking = missing(run(&mut world, &caller, "a", |i| i.grants = texts(&["owner"])));
        assert_eq!(lacking, ["* at organization acme"]);
        let lacking = missing(run(&mut world, &caller, "a", |i| i.expiry = Expiry::Never));
        assert!(lacking[0].starts_with("time from"), "{lacking:?}");
        let lacking = missing(run(&mut world, &caller, "a", |i| i.allowed_networks = texts(&["::/0"])));
        assert!(lacking[0].starts_with("networks outside"), "{lacking:?}");
        let token = id(&run(&mut world, &caller, "a", |_| ()).unwrap());
        let (token, holder) = (world.token(token), world.token(holder));
        assert_eq!((token.parent, token.expires_at), (Some(holder.id), holder.expires_at));
        assert_eq!(token.allowed_networks, holder.allowed_networks);
        let member = world.mint("acme", &["member"]);
        let member = world.caller(member);
        assert_eq!(forbidden(run(&mut world, &member, "b", |_| ())), "tokens:import at organization acme");
    }

    #[test]
    fn an_import_that_says_no_end_has_the_usual_one() {
        let mut world = World::with_tenants();
        let day = Duration::from_hours(24);
        let change = PolicyChange {
            max_lifetime: Some(10 * day),
            default_lifetime: Some(2 * day),
            ..PolicyChange::default()
        };
        let organization = "acme".to_owned();
        let change = ChangeOrganizationPolicy { organization, change, dry_run: false };
        world.admin(Command::ChangeOrganizationPolicy(change));
        let usual = world.at.after(2 * day);
        let (_, session) = world.join("acme", "admin");
        let person = world.caller(session);
        for (text, caller) in [("sk_1", admin()), ("sk_2", person)] {
            let token = id(&run(&mut world, &caller, text, |_| ()).unwrap());
            assert_eq!(world.token(token).expires_at, Some(usual));
        }
        let said = Expiry::At(world.at.after(9 * day));
        let token = id(&run(&mut world, &admin(), "sk_3", |i| i.expiry = said).unwrap());
        assert_eq!(world.token(token).expires_at, Some(world.at.after(9 * day)));
        assert_eq!(invalid(run(&mut world, &admin(), "sk_4", |i| i.expiry = Expiry::Never)), "expires_at");
    }

    #[test]
    fn a_narrowed_token_imports_what_ends_with_it() {
        let mut world = World::with_tenants();
        let owner = world.mint("acme", &["owner"]);
        let owner = world.caller(owner);
        let narrowed = world.narrow(&owner, None, |_| ()).unwrap();
        let caller = world.caller(narrowed);
        let token = id(&run(&mut world, &caller, "a", |_| ()).unwrap());
        assert!(world.token(token).narrowed);
        world.revoke(&admin(), narrowed, false).unwrap();
        assert_eq!(log_in(&world, "a"), Err(Code::Revoked));
    }

    #[test]
    fn values_are_checked_as_a_mint_checks_them() {
        let mut world = World::with_tenants();
        run(&mut world, &admin(), "taken", |_| ()).unwrap();
        let taken = run(&mut world, &admin(), "sk", |i| i.name = "taken".to_owned());
        assert!(matches!(taken, Err(Rejection::NameTaken { .. })));
        let (past, later) = (world.at, world.at.after(Duration::from_secs(1)));
        assert_eq!(invalid(run(&mut world, &admin(), "sk", |i| i.expiry = Expiry::At(past))), "expires_at");
        assert_eq!(invalid(run(&mut world, &admin(), "sk", |i| i.created_at = Some(later))), "created_at");
        assert_eq!(invalid(run(&mut world, &admin(), "sk", |i| i.name = String::new())), "name");
        assert_eq!(invalid(run(&mut world, &admin(), "sk", |i| i.owner = Some("a\nb".to_owned()))), "owner");
        assert_eq!(invalid(run(&mut world, &admin(), "sk", |i| i.grants = texts(&["nope"]))), "grants");
    }

    #[test]
    fn an_import_can_be_taken_back() {
        let mut world = World::with_tenants();
        world.tentatively(|world| run(world, &admin(), "sk_1", |_| ()).unwrap());
        assert!(world.state.imports().is_empty());
        assert_eq!(log_in(&world, "sk_1"), Err(Code::Unknown));
        assert_eq!(world.state.difference(&world.folded()), None);
    }
}
