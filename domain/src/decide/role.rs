//! Roles of the instance's and the organizations' own: defined, changed, retired.
//!
//! Nobody writes into a role what they could not do themselves, everywhere where it can ever be held: at the scope
//! whose own it is. Whoever is bound in time or to networks adds nothing to what is held beyond those bounds.

use super::{Decision, check_revision, find_organization};
use crate::authority::{self, Caller, Reach};
use crate::event::{Event, Subject};
use crate::name::Name;
use crate::network::Networks;
use crate::permission::{Pattern, PermissionSet};
use crate::rejection::Rejection;
use crate::role::Level;
use crate::scope::Scope;
use crate::state::{Role, State, Token};
use crate::time::Timestamp;
use std::sync::Arc;

/// The most permissions of one role, as they are written: two such lists fit into a line.
const PERMISSIONS: usize = 200;

/// Begin a role.
#[derive(Clone, Debug)]
pub struct DefineRole {
    /// Whose own it is, by name or id; none is the instance.
    pub organization: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it can be held.
    pub level: Level,
    /// What it may do: `noun:verb`, `noun:*` or `*`.
    pub permissions: Vec<String>,
}

/// Change what a role may do: all of it, or what is added and removed.
#[derive(Clone, Debug, Default)]
pub struct ChangeRole {
    /// Whose own it is, by name or id; none is the instance.
    pub organization: Option<String>,
    /// Which.
    pub role: String,
    /// All that it may do.
    pub permissions: Option<Vec<String>>,
    /// What it may do as well.
    pub add: Vec<String>,
    /// What it may no longer do.
    pub remove: Vec<String>,
}

/// End a role.
#[derive(Clone, Debug)]
pub struct RetireRole {
    /// Whose own it is, by name or id; none is the instance.
    pub organization: Option<String>,
    /// Which.
    pub role: String,
    /// What its holders have from then on in its place.
    pub replacement: Option<String>,
}

impl DefineRole {
    /// Where it would begin, for the record.
    pub(super) fn object(&self) -> String {
        self.organization.as_ref().map_or_else(|| "instance".to_owned(), |own| format!("organization:{own}"))
    }
}

/// A role for the record, as it was asked for.
pub(crate) fn object(organization: Option<&str>, role: &str) -> String {
    organization.map_or_else(|| format!("role:{role}"), |own| format!("role:{own}/{role}"))
}

pub(super) fn define(state: &State, caller: &Caller, define: &DefineRole) -> Result<Decision, Rejection> {
    let scope = authorize(state, caller, define.organization.as_deref(), "roles:create")?;
    let name = Name::parse("name", &define.name)?;
    if define.level == Level::Instance && scope != Scope::Instance {
        let expected = "`organization` or `project`: an organization's role is held in it".to_owned();
        return Err(Rejection::invalid("level", define.level.as_str(), expected));
    }
    let permissions = limited("permissions", PermissionSet::new(read("permissions", &define.permissions)?))?;
    require_free_name(state, scope, &name)?;
    require_held(state, caller, permissions.patterns(), scope)?;
    let event = Event::RoleDefined { role: name, level: define.level, permissions };
    Ok(decision(scope, vec![event]))
}

pub(super) fn change(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    change: &ChangeRole,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let scope = authorize(state, caller, change.organization.as_deref(), "roles:update")?;
    let role = find_own(state, scope, &change.role)?;
    check_revision(role.revision, expected)?;
    let after = changed(&role.permissions, change)?;
    require_no_escalation(state, caller, at, role, &after)?;
    let before = role.permissions.clone();
    let events = if before == after {
        Vec::new()
    } else {
        vec![Event::RoleChanged { role: role.name.clone(), before, after }]
    };
    Ok(decision(scope, events))
}

pub(super) fn retire(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    retire: &RetireRole,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let scope = authorize(state, caller, retire.organization.as_deref(), "roles:retire")?;
    let role = find_own(state, scope, &retire.role)?;
    check_revision(role.revision, expected)?;
    let replacement = if let Some(text) = &retire.replacement {
        let replacement = find_replacement(state, role, text)?;
        require_no_escalation(state, caller, at, role, &replacement.permissions)?;
        Some(replacement.name.clone())
    } else {
        require_unheld(state, role, at)?;
        None
    };
    Ok(decision(scope, vec![Event::RoleRetired { role: role.name.clone(), replacement }]))
}

fn decision(scope: Scope, events: Vec<Event>) -> Decision {
    Decision::new(scope.organization(), events, Subject::Roles(scope.organization()))
}

/// The scope whose own roles are meant, where the caller may do `permission`.
fn authorize(
    state: &State,
    caller: &Caller,
    organization: Option<&str>,
    permission: &'static str,
) -> Result<Scope, Rejection> {
    let scope = match organization {
        None => Scope::Instance,
        Some(text) => Scope::Organization(find_organization(state, caller, text)?.id),
    };
    caller.require(state, permission, scope)?;
    Ok(scope)
}

/// A role that can be changed there: not a built-in one, and in an organization not the instance's either.
fn find_own<'a>(state: &'a State, scope: Scope, text: &str) -> Result<&'a Arc<Role>, Rejection> {
    let found = Name::label(text).and_then(|name| state.role(scope.organization(), &name));
    let role = found.ok_or_else(|| Rejection::not_found("role", text))?;
    let fixed = |owner| Err(Rejection::RoleFixed { role: role.name.to_string(), owner });
    if role.is_built_in() {
        return fixed("built in");
    }
    if role.organization != scope.organization() {
        return fixed("the instance's");
    }
    Ok(role)
}

/// Names of an organization's roles are never those of the instance's, so that each means one thing there.
fn require_free_name(state: &State, scope: Scope, name: &Name) -> Result<(), Rejection> {
    let is_taken = state.role(scope.organization(), name).is_some()
        || (scope == Scope::Instance && state.is_role_of_some_organization(name));
    if is_taken {
        return Err(Rejection::NameTaken { kind: "role", name: name.to_string(), until: None });
    }
    Ok(())
}

fn find_replacement<'a>(state: &'a State, role: &Role, text: &str) -> Result<&'a Arc<Role>, Rejection> {
    let found = Name::label(text).and_then(|name| state.role(role.organization, &name));
    let fits = |found: &&Arc<Role>| {
        // In an organization with a role of that name the replacement would be that role.
        let is_clear = role.organization.is_some() || !state.is_role_of_some_organization(&found.name);
        found.name != role.name && found.level == role.level && is_clear
    };
    found.filter(fits).ok_or_else(|| {
        let expected = format!("another role of level {} that can be held there", role.level.as_str());
        Rejection::invalid("replacement", text, expected)
    })
}

fn require_unheld(state: &State, role: &Role, at: Timestamp) -> Result<(), Rejection> {
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        many => Some(format!("{many} {what}s")),
    };
    let holders: Vec<String> = [
        counted(state.holders(role, at).filter(|token| !token.session).count(), "live token"),
        counted(state.members_with(role).count(), "member"),
        counted(state.invitations_with(role, at).count(), "open invitation"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if holders.is_empty() {
        return Ok(());
    }
    Err(Rejection::RoleHeld { role: role.name.to_string(), holders: holders.join(", ") })
}

/// Refuses what would let a holder of `role` do more than it can and the caller could, if it could do `after`.
fn require_no_escalation(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    role: &Role,
    after: &PermissionSet,
) -> Result<(), Rejection> {
    let added: Vec<&Pattern> =
        after.patterns().iter().filter(|pattern| !role.permissions.covers(pattern)).collect();
    require_held(state, caller, added.iter().copied(), role.scope())?;
    if added.is_empty() || !is_bound(state, caller) {
        return Ok(());
    }
    // A membership has no end and is bound to no network, and an invitation gives one.
    if state.members_with(role).next().is_some() || state.invitations_with(role, at).next().is_some() {
        let networks = Networks::default();
        let reach = Reach { scope: role.scope(), grants: &[], expires_at: None, networks: &networks };
        caller.require_reach(state, &reach)?;
    }
    let gains = |holder: &Arc<Token>| {
        holder.grants.iter().filter(|grant| grant.role == role.name).any(|grant| {
            let place = grant.place(holder.scope);
            added.iter().any(|pattern| !authority::holds(state, holder, pattern, place))
        })
    };
    for holder in state.holders(role, at).filter(|holder| gains(holder)) {
        // What is added is held; left to compare are the times and networks at which the holder would have it.
        let reach = Reach { grants: &[], expires_at: state.expiry(holder), ..Reach::of(holder) };
        caller.require_reach(state, &reach)?;
    }
    Ok(())
}

/// Whether the caller's authority ends, or holds in some networks only.
fn is_bound(state: &State, caller: &Caller) -> bool {
    caller.token().is_some_and(|token| {
        state.chain(token).any(|link| link.expires_at.is_some() || !link.allowed_networks.is_anywhere())
    })
}

fn require_held<'p>(
    state: &State,
    caller: &Caller,
    patterns: impl IntoIterator<Item = &'p Pattern>,
    place: Scope,
) -> Result<(), Rejection> {
    let Some(token) = caller.token() else { return Ok(()) };
    let lacks = |pattern: &&Pattern| !authority::holds(state, token, pattern, place);
    let missing: Vec<String> = patterns
        .into_iter()
        .filter(lacks)
        .map(|pattern| format!("{pattern} at {}", state.describe(place)))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(Rejection::Escalation { missing }) }
}

fn read(field: &'static str, texts: &[String]) -> Result<Vec<Pattern>, Rejection> {
    let pattern = |text: &String| {
        Pattern::parse(text).ok_or_else(|| {
            let expected = "noun:verb, noun:* or *, in lower-case letters, digits and hyphens".to_owned();
            Rejection::invalid(field, text, expected)
        })
    };
    texts.iter().map(pattern).collect()
}

fn limited(field: &'static str, permissions: PermissionSet) -> Result<PermissionSet, Rejection> {
    match permissions.patterns().len() {
        1..=PERMISSIONS => Ok(permissions),
        count => {
            let expected = format!("from 1 to {PERMISSIONS} permissions of a role");
            Err(Rejection::invalid(field, &count.to_string(), expected))
        }
    }
}

/// What a role may do after a change.
fn changed(before: &PermissionSet, change: &ChangeRole) -> Result<PermissionSet, Rejection> {
    if let Some(all) = &change.permissions {
        if !change.add.is_empty() || !change.remove.is_empty() {
            let expected = "either all `permissions`, or those to `add` and to `remove`".to_owned();
            return Err(Rejection::invalid("permissions", "both", expected));
        }
        return limited("permissions", PermissionSet::new(read("permissions", all)?));
    }
    let removed = read("remove", &change.remove)?;
    let stands = |pattern: &Pattern| before.patterns().contains(pattern);
    if let Some(inner) = removed.iter().find(|pattern| !stands(pattern) && before.covers(pattern)) {
        let expected =
            "a permission that stands in the role by itself; a wider one there gives it".to_owned();
        return Err(Rejection::invalid("remove", inner.as_str(), expected));
    }
    let kept = before.patterns().iter().filter(|pattern| !removed.contains(pattern)).cloned();
    let after = PermissionSet::new(kept.chain(read("add", &change.add)?));
    limited(if change.add.is_empty() { "remove" } else { "add" }, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Expiry, Request};
    use crate::id::TokenId;
    use crate::testing::{Ask, World, absent, admin, forbidden, invalid, missing, repeat, texts, types};
    use crate::verify::Code;
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);

    fn define(
        world: &mut World,
        caller: &Caller,
        of: &str,
        name: &str,
        all: &[&str],
    ) -> Result<Decision, Rejection> {
        define_at(world, caller, of, name, Level::Organization, all)
    }

    fn define_at(
        world: &mut World,
        caller: &Caller,
        of: &str,
        name: &str,
        level: Level,
        all: &[&str],
    ) -> Result<Decision, Rejection> {
        let define =
            DefineRole { organization: owner(of), name: name.to_owned(), level, permissions: texts(all) };
        world.run(caller, Command::DefineRole(define))
    }

    fn change(
        world: &mut World,
        caller: &Caller,
        of: &str,
        name: &str,
        all: &[&str],
    ) -> Result<Decision, Rejection> {
        let permissions = Some(texts(all));
        let change = ChangeRole {
            organization: owner(of),
            role: name.to_owned(),
            permissions,
            ..ChangeRole::default()
        };
        world.run(caller, Command::ChangeRole(change))
    }

    fn adjust(
        world: &mut World,
        caller: &Caller,
        add: &[&str],
        remove: &[&str],
    ) -> Result<Decision, Rejection> {
        let change = ChangeRole {
            organization: owner("acme"),
            role: "helper".to_owned(),
            permissions: None,
            add: texts(add),
            remove: texts(remove),
        };
        world.run(caller, Command::ChangeRole(change))
    }

    fn retire(
        world: &mut World,
        caller: &Caller,
        of: &str,
        name: &str,
        replacement: Option<&str>,
    ) -> Result<Decision, Rejection> {
        let replacement = replacement.map(str::to_owned);
        let retire = RetireRole { organization: owner(of), role: name.to_owned(), replacement };
        world.run(caller, Command::RetireRole(retire))
    }

    fn owner(of: &str) -> Option<String> {
        Some(of.to_owned()).filter(|of| of != "instance")
    }

    fn is_taken<T>(result: &Result<T, Rejection>) -> bool {
        matches!(result, Err(Rejection::NameTaken { kind: "role", .. }))
    }

    fn is_fixed<T>(result: &Result<T, Rejection>, of: &str) -> bool {
        matches!(result, Err(Rejection::RoleFixed { owner, .. }) if *owner == of)
    }

    fn held<T: std::fmt::Debug>(result: Result<T, Rejection>) -> String {
        match result {
            Err(Rejection::RoleHeld { holders, .. }) => holders,
            other => panic!("not held: {other:?}"),
        }
    }

    fn code(world: &World, id: TokenId, permission: &str, project: Option<&str>) -> Code {
        let ask = Ask {
            permission: Some(permission),
            organization: Some("acme"),
            project,
            address: Some("10.0.0.1"),
        };
        world.verify(&admin(), id, ask).unwrap().code
    }

    /// A world in which acme has the role `helper` with `deployments:read`, and the holder of the given role.
    fn with_helper(role: &str) -> (World, Caller) {
        let mut world = World::with_tenants();
        define(&mut world, &admin(), "acme", "helper", &["deployments:read"]).unwrap();
        let id = world.mint("acme", &[role]);
        let caller = world.caller(id);
        (world, caller)
    }

    #[test]
    fn a_role_is_held_where_it_was_defined_and_changes_at_once_for_its_holders() {
        let (mut world, boss) = with_helper("owner");
        let holder = world.mint_by(&boss, "acme", &["helper"], |_| ()).unwrap();
        assert_eq!(code(&world, holder, "deployments:read", Some("web")), Code::Valid);
        assert_eq!(code(&world, holder, "deployments:create", None), Code::Forbidden);
        let done = change(&mut world, &boss, "acme", "helper", &["deployments:create", "any:*"]).unwrap();
        assert_eq!(types(&done), ["RoleChanged"]);
        assert_eq!(code(&world, holder, "deployments:read", None), Code::Forbidden);
        assert_eq!(code(&world, holder, "any:thing", None), Code::Valid);
        let again = change(&mut world, &boss, "acme", "helper", &["any:*", "deployments:create", "any:one"]);
        assert!(again.unwrap().events.is_empty());
        let elsewhere = world.mint_by(&admin(), "other", &["helper"], |_| ());
        assert_eq!(invalid(elsewhere), "grants");
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn permissions_are_added_and_removed_one_by_one() {
        let (mut world, boss) = with_helper("owner");
        let of = |world: &World| {
            let name = Name::label("helper").unwrap();
            let role = world.state.role(world.scope("acme").organization(), &name).unwrap();
            role.permissions.patterns().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        adjust(&mut world, &boss, &["a:*", "b:c"], &[]).unwrap();
        assert_eq!(of(&world), "a:* b:c deployments:read");
        adjust(&mut world, &boss, &["b:d"], &["b:c", "never:there"]).unwrap();
        assert_eq!(of(&world), "a:* b:d deployments:read");
        assert_eq!(invalid(adjust(&mut world, &boss, &[], &["a:b"])), "remove");
        assert_eq!(invalid(adjust(&mut world, &boss, &["A"], &[])), "add");
        assert_eq!(invalid(adjust(&mut world, &boss, &[], &["a:*", "b:d", "deployments:read"])), "remove");
        assert!(adjust(&mut world, &boss, &["a:x"], &["x:y"]).unwrap().events.is_empty());
        let both = ChangeRole {
            organization: owner("acme"),
            role: "helper".to_owned(),
            permissions: Some(texts(&["a:b"])),
            add: texts(&["a:c"]),
            remove: Vec::new(),
        };
        assert_eq!(invalid(world.run(&boss, Command::ChangeRole(both))), "permissions");
    }

    #[test]
    fn roles_are_defined_with_values_that_can_be() {
        let mut world = World::with_tenants();
        let by = admin();
        for bad in ["", "A", "owner", "instance-admin", "a_b"] {
            assert_eq!(invalid(define(&mut world, &by, "acme", bad, &["a:b"])), "name", "{bad}");
        }
        for bad in [&[][..], &[""], &["a"], &["a:b", "A:b"], &["**"], &["*:a"]] {
            assert_eq!(invalid(define(&mut world, &by, "acme", "r", bad)), "permissions", "{bad:?}");
        }
        let many: Vec<String> = (0..=PERMISSIONS).map(|n| format!("a:v{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(invalid(define(&mut world, &by, "acme", "r", &many)), "permissions");
        define(&mut world, &by, "acme", "r", &many[1..]).unwrap();
        let level = define_at(&mut world, &by, "acme", "i", Level::Instance, &["a:b"]);
        assert_eq!(invalid(level), "level");
        define_at(&mut world, &by, "instance", "i", Level::Instance, &["a:b"]).unwrap();
        assert!(absent(define(&mut world, &by, "never", "s", &["a:b"])));
        assert!(absent(change(&mut world, &by, "acme", "never", &["a:b"])));
        assert!(absent(retire(&mut world, &by, "acme", "NEVER", None)));
    }

    #[test]
    fn the_longest_change_of_a_role_fits_into_a_line() {
        let mut world = World::with_tenants();
        let all = |start: char| -> Vec<String> {
            let noun = |n: usize| format!("{start}{n:062}");
            (0..PERMISSIONS).map(|n| format!("{}:{}", noun(n), "v".repeat(63))).collect()
        };
        let (before, after) = (all('a'), all('b'));
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let after: Vec<&str> = after.iter().map(String::as_str).collect();
        let name = "r".repeat(63);
        define(&mut world, &admin(), "acme", &name, &before).unwrap();
        change(&mut world, &admin(), "acme", &name, &after).unwrap();
        let longest = world.lines.iter().map(String::len).max().unwrap();
        assert!((50_000..crate::line::MOST_BYTES - 8_000).contains(&longest), "{longest}");
    }

    #[test]
    fn a_name_means_one_role_wherever_it_is_held() {
        let mut world = World::with_tenants();
        let by = admin();
        define(&mut world, &by, "acme", "one", &["a:b"]).unwrap();
        assert!(is_taken(&define(&mut world, &by, "acme", "one", &["a:b"])));
        define(&mut world, &by, "other", "one", &["a:c"]).unwrap();
        assert!(is_taken(&define(&mut world, &by, "instance", "one", &["a:b"])));
        define(&mut world, &by, "instance", "two", &["a:b"]).unwrap();
        assert!(is_taken(&define(&mut world, &by, "acme", "two", &["a:b"])));
        retire(&mut world, &by, "acme", "one", None).unwrap();
        retire(&mut world, &by, "other", "one", None).unwrap();
        define(&mut world, &by, "instance", "one", &["a:b"]).unwrap();
        let everywhere = world.mint("other", &["one"]);
        assert_eq!(world.token(everywhere).grants.len(), 1);
    }

    #[test]
    fn built_in_roles_stand_and_the_instances_are_changed_there() {
        let mut world = World::with_tenants();
        let by = admin();
        define(&mut world, &by, "instance", "shared", &["a:b"]).unwrap();
        for of in ["instance", "acme"] {
            assert!(is_fixed(&change(&mut world, &by, of, "member", &["*"]), "built in"));
            assert!(is_fixed(&retire(&mut world, &by, of, "member", Some("auditor")), "built in"));
        }
        assert!(is_fixed(&change(&mut world, &by, "acme", "shared", &["*"]), "the instance's"));
        assert!(is_fixed(&retire(&mut world, &by, "acme", "shared", None), "the instance's"));
        change(&mut world, &by, "instance", "shared", &["a:c"]).unwrap();
        retire(&mut world, &by, "instance", "shared", None).unwrap();
    }

    #[test]
    fn only_who_may_changes_roles_and_strangers_see_nothing() {
        let (mut world, auditor) = with_helper("auditor");
        let of_web = world.mint("acme/web", &["project-admin"]);
        let (of_web, stranger) = (world.caller(of_web), world.mint("other", &["owner"]));
        let stranger = world.caller(stranger);
        for caller in [&auditor, &of_web] {
            let at = "at organization acme";
            assert_eq!(
                forbidden(define(&mut world, caller, "acme", "x", &["a:b"])),
                format!("roles:create {at}")
            );
            assert_eq!(
                forbidden(change(&mut world, caller, "acme", "helper", &["a:b"])),
                format!("roles:update {at}")
            );
            assert_eq!(
                forbidden(retire(&mut world, caller, "acme", "helper", None)),
                format!("roles:retire {at}")
            );
            // Not even which roles there are is told.
            assert_eq!(
                forbidden(change(&mut world, caller, "acme", "none", &["a:b"])),
                format!("roles:update {at}")
            );
        }
        assert!(absent(define(&mut world, &stranger, "acme", "x", &["a:b"])));
        assert!(absent(change(&mut world, &stranger, "acme", "helper", &["a:b"])));
        assert!(absent(retire(&mut world, &stranger, "acme", "helper", None)));
        let refused = define(&mut world, &stranger, "instance", "x", &["a:b"]);
        assert_eq!(forbidden(refused), "roles:create at the instance");
    }

    #[test]
    fn nobody_writes_into_a_role_what_they_could_not_do() {
        let (mut world, boss) = with_helper("admin");
        let at = |pattern: &str| vec![format!("{pattern} at organization acme")];
        assert_eq!(missing(define(&mut world, &boss, "acme", "x", &["*"])), at("*"));
        assert_eq!(
            missing(define(&mut world, &boss, "acme", "x", &["tokens:read", "any:thing"])),
            at("any:thing")
        );
        assert_eq!(missing(change(&mut world, &boss, "acme", "helper", &["any:*"])), at("any:*"));
        assert_eq!(missing(adjust(&mut world, &boss, &["any:thing"], &[])), at("any:thing"));
        assert_eq!(missing(retire(&mut world, &boss, "acme", "helper", Some("owner"))), at("*"));
        // What stands there already is nobody's to hold again, and taking away needs no more than the permission.
        adjust(&mut world, &admin(), &["any:thing", "any:more"], &[]).unwrap();
        adjust(&mut world, &boss, &["tokens:read"], &["any:more"]).unwrap();
        assert_eq!(missing(adjust(&mut world, &boss, &["any:more"], &[])), at("any:more"));
        retire(&mut world, &boss, "acme", "helper", Some("member")).unwrap();
    }

    #[test]
    fn holding_it_in_a_project_is_not_enough_for_a_role_of_the_organization() {
        let mut world = World::with_tenants();
        define(&mut world, &admin(), "acme", "roles", &["roles:*"]).unwrap();
        let id = world.mint("acme", &["roles", "project-admin@web"]);
        let caller = world.caller(id);
        let refused = define_at(&mut world, &caller, "acme", "x", Level::Project, &["deployments:create"]);
        assert_eq!(missing(refused), ["deployments:create at organization acme"]);
        // Its own role neither: it would have more at once.
        let refused = change(&mut world, &caller, "acme", "roles", &["roles:*", "tokens:mint"]);
        assert_eq!(missing(refused), ["tokens:mint at organization acme"]);
    }

    #[test]
    fn whoever_is_bound_adds_nothing_beyond_its_bounds() {
        let (mut world, _) = with_helper("owner");
        let bound = world
            .mint_by(&admin(), "acme", &["owner"], |p| {
                p.expiry = Expiry::In(DAY);
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
            })
            .unwrap();
        let caller = world.caller(bound);
        // Nobody holds it yet: nobody gains.
        adjust(&mut world, &caller, &["a:b"], &[]).unwrap();
        let within = world
            .mint_by(&admin(), "acme", &["helper"], |p| {
                p.expiry = Expiry::In(DAY);
                p.allowed_networks = vec!["10.1.0.0/16".to_owned()];
            })
            .unwrap();
        adjust(&mut world, &caller, &["a:c"], &[]).unwrap();
        let beyond = world.mint("acme", &["helper"]);
        let refused = missing(adjust(&mut world, &caller, &["a:d"], &[]));
        assert!(
            refused[0].starts_with("networks outside") && refused[1].starts_with("time from"),
            "{refused:?}"
        );
        missing(retire(&mut world, &caller, "acme", "helper", Some("admin")));
        // Taking away is free, and so is what the holder has by another grant.
        adjust(&mut world, &caller, &[], &["a:c"]).unwrap();
        world.update(&admin(), beyond, |u| u.grants = Some(texts(&["helper", "owner"]))).unwrap();
        adjust(&mut world, &caller, &["a:d"], &[]).unwrap();
        world.revoke(&admin(), beyond, false).unwrap();
        adjust(&mut world, &caller, &["a:e"], &[]).unwrap();
        assert_eq!(code(&world, within, "a:e", None), Code::AddressDenied);
    }

    #[test]
    fn a_role_that_is_held_goes_only_when_another_takes_its_place() {
        let (mut world, boss) = with_helper("owner");
        define_at(&mut world, &boss, "acme", "local", Level::Project, &["any:thing"]).unwrap();
        let [one, both, ended, web] =
            [&["helper"][..], &["helper", "member"], &["helper"], &["local@web", "local@api"]]
                .map(|grants| world.mint("acme", grants));
        world.revoke(&admin(), ended, false).unwrap();
        assert_eq!(held(retire(&mut world, &boss, "acme", "helper", None)), "2 live tokens");
        for bad in ["helper", "never", "project-reader", "instance-auditor", "local", ""] {
            assert_eq!(
                invalid(retire(&mut world, &boss, "acme", "helper", Some(bad))),
                "replacement",
                "{bad}"
            );
        }
        let revision = world.state.revision(world.token(one));
        retire(&mut world, &boss, "acme", "helper", Some("member")).unwrap();
        let grants = |world: &World, id| {
            world.token(id).grants.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!((grants(&world, one), grants(&world, both)), ("member".to_owned(), "member".to_owned()));
        assert_eq!(grants(&world, ended), "helper");
        assert!(world.state.revision(world.token(one)) > revision);
        assert_eq!(code(&world, one, "tokens:mint", None), Code::Valid);
        assert_eq!(code(&world, one, "deployments:read", None), Code::Forbidden);
        assert_eq!(held(retire(&mut world, &boss, "acme", "local", None)), "1 live token");
        retire(&mut world, &boss, "acme", "local", Some("project-reader")).unwrap();
        assert_eq!(code(&world, web, "deployments:read", Some("api")), Code::Valid);
        assert_eq!(code(&world, web, "any:thing", Some("api")), Code::Forbidden);
        assert!(absent(retire(&mut world, &boss, "acme", "helper", None)));
        // The name is free, and who held the role before it ended gets nothing of the new one.
        define(&mut world, &boss, "acme", "helper", &["*"]).unwrap();
        assert_eq!(code(&world, ended, "any:thing", None), Code::Revoked);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn members_and_open_invitations_hold_a_role_as_tokens_do() {
        let (mut world, boss) = with_helper("owner");
        let (user, session) = world.join("acme", "helper");
        let (_, text) = world.invite(&admin(), "acme", "helper").unwrap();
        let text = text.unwrap();
        assert_eq!(held(retire(&mut world, &boss, "acme", "helper", None)), "1 member, 1 open invitation");
        // A membership outlasts whoever is bound in time.
        let hour = Expiry::In(Duration::from_hours(1));
        let bound = world.mint_by(&admin(), "acme", &["owner"], |p| p.expiry = hour).unwrap();
        let bound = world.caller(bound);
        assert_eq!(missing(change(&mut world, &bound, "acme", "helper", &["tokens:mint"])).len(), 1);
        change(&mut world, &boss, "acme", "helper", &["any:thing"]).unwrap();
        assert_eq!(code(&world, session, "any:thing", None), Code::Valid);
        retire(&mut world, &boss, "acme", "helper", Some("auditor")).unwrap();
        define(&mut world, &boss, "acme", "helper", &["*"]).unwrap();
        let (other, _) = world.accept(&text).unwrap();
        let acme = world.scope("acme").organization().unwrap();
        for user in [user, other] {
            assert_eq!(world.state.people().member(acme, user, None).unwrap().role.as_str(), "auditor");
        }
        assert_eq!(code(&world, session, "audit:read", None), Code::Valid);
        assert_eq!(code(&world, session, "any:thing", None), Code::Forbidden);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn an_instances_role_is_replaced_in_every_organization() {
        let mut world = World::with_tenants();
        define(&mut world, &admin(), "instance", "shared", &["a:b"]).unwrap();
        let holders = ["acme", "other"].map(|of| world.mint(of, &["shared"]));
        assert_eq!(held(retire(&mut world, &admin(), "instance", "shared", None)), "2 live tokens");
        retire(&mut world, &admin(), "instance", "shared", Some("verifier")).unwrap();
        for holder in holders {
            assert_eq!(world.token(holder).grants[0].role.as_str(), "verifier");
        }
    }

    #[test]
    fn a_change_of_a_role_is_taken_back_whole() {
        let (mut world, boss) = with_helper("owner");
        let holder = world.mint("acme", &["helper"]);
        world.tentatively(|world| {
            adjust(world, &boss, &["a:b"], &[]).unwrap();
            retire(world, &boss, "acme", "helper", Some("member")).unwrap();
            define(world, &boss, "acme", "helper", &["a:c"]).unwrap();
            define(world, &boss, "other", "helper", &["a:c"]).unwrap_err();
        });
        assert_eq!(world.state.difference(&world.folded()), None);
        assert_eq!(code(&world, holder, "deployments:read", None), Code::Valid);
    }

    #[test]
    fn changes_of_roles_heed_revisions_and_keys() {
        let (mut world, boss) = with_helper("owner");
        let name = Name::label("helper").unwrap();
        let of =
            |world: &World| world.state.role(world.scope("acme").organization(), &name).unwrap().revision;
        let request = |add: &str, expected_revision, key: &str| Request {
            command: Command::ChangeRole(ChangeRole {
                organization: owner("acme"),
                role: "helper".to_owned(),
                add: texts(&[add]),
                ..ChangeRole::default()
            }),
            expected_revision,
            repeat: Some(repeat("PATCH role", key, add)),
        };
        let first = of(&world);
        world.request(&boss, &request("a:b", Some(first), "1")).unwrap();
        assert!(world.request(&boss, &request("a:b", Some(first), "1")).unwrap().repeated);
        let stale = world.request(&boss, &request("a:c", Some(first), "2")).unwrap_err();
        assert_eq!(stale, Rejection::PreconditionFailed { current: of(&world), expected: first });
        // A repeated request is authorized again.
        let id = boss.token().unwrap().id;
        world.update(&admin(), id, |u| u.grants = Some(texts(&["member"]))).unwrap();
        let boss = world.caller(id);
        let refused = world.request(&boss, &request("a:b", Some(first), "1"));
        assert_eq!(forbidden(refused), "roles:update at organization acme");
    }
}
