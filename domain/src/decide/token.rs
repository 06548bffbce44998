//! Changes of a token: what is written about it, what it may do, until when, its secret, its end.

use super::mint::{DESCRIPTION, Entropy, Expiry, NAME, read_grants, require_free_name, resolve_expiry};
use super::policy::{require_lifetime, require_roles};
use super::{Decision, check_revision, find_token, is_self, metadata};
use crate::authority::{Caller, Reach};
use crate::event::{Event, Reason, Subject, TokenRevoked, TokenRotated};
use crate::id::TokenId;
use crate::rejection::Rejection;
use crate::scope::Grant;
use crate::secret::Secret;
use crate::state::{State, Status, Token};
use crate::text;
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The longest overlap of a rotation.
const LONGEST_OVERLAP: Duration = Duration::from_hours(168);

/// Change what is written about a token, its grants or its expiry. What is absent stays.
#[derive(Debug)]
pub struct Update {
    /// Which.
    pub token: TokenId,
    /// The new name.
    pub name: Option<String>,
    /// The new description; empty removes it.
    pub description: Option<String>,
    /// The new metadata; empty removes it.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// The new grants.
    pub grants: Option<Vec<String>>,
    /// The new expiry.
    pub expiry: Option<Expiry>,
}

/// Give a token a new secret.
#[derive(Debug)]
pub struct Rotate {
    /// Which.
    pub token: TokenId,
    /// What the new secret is made of.
    pub entropy: Entropy,
    /// How long the secret before stays valid, at most 7 days.
    pub overlap: Duration,
}

/// End a token.
#[derive(Debug)]
pub struct Revoke {
    /// Which.
    pub token: TokenId,
    /// Why: `requested` or `leaked`.
    pub reason: Option<String>,
    /// Why, in somebody's words.
    pub note: Option<String>,
    /// Whether everything that it minted ends with it.
    pub cascade: bool,
}

pub(super) fn update(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    update: &Update,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let token = find_token(state, caller, update.token, "tokens:update")?;
    require_no_session(token)?;
    check_revision(state.revision(token), expected)?;
    require_live(state, token, at)?;
    let events = [
        redescribe(state, token, at, update)?,
        regrant(state, caller, token, update)?,
        change_expiry(state, caller, token, at, update)?,
    ];
    let events = events.into_iter().flatten().collect();
    Ok(Decision::new(token.scope.organization(), events, Subject::Token(token.id)))
}

fn redescribe(
    state: &State,
    token: &Arc<Token>,
    at: Timestamp,
    update: &Update,
) -> Result<Option<Event>, Rejection> {
    let before = token.described();
    let mut after = before.clone();
    if let Some(name) = &update.name {
        after.name = text::clean("name", name, NAME)?;
        require_free_name(state, token.scope, &after.name, at, Some(token.id))?;
    }
    if let Some(description) = &update.description {
        let kept = Some(description.as_str()).filter(|text| !text.is_empty());
        after.description = kept.map(|text| text::clean("description", text, DESCRIPTION)).transpose()?;
    }
    if let Some(wanted) = &update.metadata {
        after.metadata = metadata(wanted)?;
    }
    Ok((before != after).then_some(Event::TokenDescribed { token: token.id, before, after }))
}

/// Whoever changes grants has to hold those that are added; taking away needs no more than the permission.
fn regrant(
    state: &State,
    caller: &Caller,
    token: &Arc<Token>,
    update: &Update,
) -> Result<Option<Event>, Rejection> {
    let Some(texts) = &update.grants else { return Ok(None) };
    let after = read_grants(state, caller, token.scope, texts)?;
    let added: Vec<Grant> = after.iter().filter(|grant| !token.grants.contains(grant)).cloned().collect();
    if !added.is_empty() {
        require_roles(state, token.scope, &added)?;
        caller.require_reach(state, &Reach { grants: &added, ..Reach::of(token) })?;
        require_within_parent(state, token, &Reach { grants: &added, ..Reach::of(token) })?;
    }
    let before = Arc::clone(&token.grants);
    Ok((before != after).then_some(Event::TokenGrantsChanged { token: token.id, before, after }))
}

/// Whoever lengthens a token's time has to hold all that it can do in that time.
fn change_expiry(
    state: &State,
    caller: &Caller,
    token: &Arc<Token>,
    at: Timestamp,
    update: &Update,
) -> Result<Option<Event>, Rejection> {
    let Some(expiry) = update.expiry else { return Ok(None) };
    let before = token.expires_at;
    let after = resolve_expiry("expires_at", expiry, before, at)?;
    if let (Some(start), Some(end)) = (token.not_before, after)
        && start >= end
    {
        return Err(Rejection::invalid("expires_at", &end.to_string(), format!("after its start, {start}")));
    }
    let is_longer = before.is_some_and(|old| after.is_none_or(|new| new > old));
    if is_longer {
        require_lifetime(state, token.scope, after, at)?;
        caller.require_reach(state, &Reach { expires_at: after, ..Reach::of(token) })?;
        require_within_parent(state, token, &Reach { expires_at: after, ..Reach::of(token) })?;
    }
    Ok((before != after).then_some(Event::TokenExpiryChanged { token: token.id, before, after }))
}

/// A narrowed token never comes to hold more than what it was narrowed from, whoever changes it.
fn require_within_parent(state: &State, token: &Arc<Token>, reach: &Reach<'_>) -> Result<(), Rejection> {
    let parent = token.parent.filter(|_| token.narrowed).and_then(|id| state.tokens().get(id));
    parent.map_or(Ok(()), |parent| Caller::of_token(parent).require_reach(state, reach))
}

pub(super) fn authorize_rotate<'a>(
    state: &'a State,
    caller: &Caller,
    rotate: &Rotate,
) -> Result<&'a Arc<Token>, Rejection> {
    let token = find_token(state, caller, rotate.token, "tokens:rotate")?;
    require_no_session(token)?;
    // Who rotates comes to hold the secret, and with it all that the token can do.
    if !is_self(caller, token.id) {
        caller.require_reach(state, &Reach::of(token))?;
    }
    Ok(token)
}

pub(super) fn rotate(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    rotate: &Rotate,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let token = authorize_rotate(state, caller, rotate)?;
    check_revision(state.revision(token), expected)?;
    require_live(state, token, at)?;
    require_lifetime(state, token.scope, state.expiry(token), at)?;
    require_roles(state, token.scope, &token.grants)?;
    if rotate.overlap > LONGEST_OVERLAP {
        let given = format!("{} s", rotate.overlap.as_secs());
        return Err(Rejection::invalid("overlap", &given, "at most 7 days (7d)".to_owned()));
    }
    let overlap_until = (!rotate.overlap.is_zero()).then(|| {
        let end = at.after(rotate.overlap);
        state.expiry(token).map_or(end, |expiry| end.min(expiry))
    });
    let secret = Secret::from_entropy(token.scope.secret_kind(), &rotate.entropy.0);
    let rotated = TokenRotated {
        token: token.id,
        secret: token.secret + 1,
        hash: secret.hash(),
        prefix: secret.prefix(),
        overlap_until,
    };
    let events = vec![Event::TokenRotated(rotated)];
    let decision = Decision::new(token.scope.organization(), events, Subject::Token(token.id));
    Ok(Decision { secret: Some(secret), ..decision })
}

pub(super) fn authorize_revoke<'a>(
    state: &'a State,
    caller: &Caller,
    revoke: &Revoke,
) -> Result<&'a Arc<Token>, Rejection> {
    // Whoever holds a token may always end it: that takes away, and gives nothing.
    match state.tokens().get(revoke.token) {
        Some(own) if is_self(caller, revoke.token) && !revoke.cascade => Ok(own),
        _ => find_token(state, caller, revoke.token, "tokens:revoke"),
    }
}

pub(super) fn revoke(
    state: &State,
    caller: &Caller,
    revoke: &Revoke,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let token = authorize_revoke(state, caller, revoke)?;
    check_revision(state.revision(token), expected)?;
    let (reason, note) = read_why(revoke.reason.as_deref(), revoke.note.as_deref())?;
    // Revoking what is revoked changes nothing, unless it now takes with it what it minted. Whether any of that is still
    // live is not looked for: it may be a hundred thousand tokens, and this is under the state's lock.
    let is_done = state.own_end(token).is_some_and(|end| {
        !revoke.cascade || end.cascade.is_some() || state.tokens().minted_by(token.id) == 0
    });
    let events = if is_done {
        Vec::new()
    } else {
        vec![Event::TokenRevoked(TokenRevoked { token: token.id, reason, note, cascade: revoke.cascade })]
    };
    Ok(Decision::new(token.scope.organization(), events, Subject::Token(token.id)))
}

/// The reason and the note of a revocation: `requested` or `leaked`, and at most 1,024 bytes of text.
pub fn read_why(reason: Option<&str>, note: Option<&str>) -> Result<(Reason, Option<Box<str>>), Rejection> {
    let reason = match reason {
        None => Reason::Requested,
        Some(text) => match Reason::GIVEN.iter().find(|(name, _)| *name == text) {
            Some((_, reason)) => *reason,
            None => return Err(Rejection::invalid("reason", text, "`requested` or `leaked`".to_owned())),
        },
    };
    let note = note.filter(|text| !text.is_empty());
    Ok((reason, note.map(|text| text::clean("note", text, DESCRIPTION)).transpose()?))
}

/// A session is its person's: nobody else comes to hold it, and it holds what its person's memberships give.
fn require_no_session(token: &Token) -> Result<(), Rejection> {
    if !token.session {
        return Ok(());
    }
    let expected = "a token that was minted; this is a session, which can only be revoked".to_owned();
    Err(Rejection::invalid("token", &token.id.to_string(), expected))
}

/// What has ended stays ended: an expired token is not revived.
fn require_live(state: &State, token: &Arc<Token>, at: Timestamp) -> Result<(), Rejection> {
    match state.status(token, at) {
        Status::Live => Ok(()),
        ended @ (Status::Expired | Status::Revoked) => Err(Rejection::TokenEnded { state: ended.as_str() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Request};
    use crate::testing::{Ask, World, absent, admin, forbidden, invalid, missing, only, texts, types};
    use crate::verify::Code;

    const DAY: Duration = Duration::from_hours(24);
    const TICK: Duration = Duration::from_micros(1);

    fn ended<T: std::fmt::Debug>(result: Result<T, Rejection>) -> &'static str {
        match result {
            Err(Rejection::TokenEnded { state }) => state,
            other => panic!("not ended: {other:?}"),
        }
    }

    #[test]
    fn an_update_says_only_what_changes() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let nothing = world.update(&admin(), id, |_| ()).unwrap();
        assert!(nothing.events.is_empty());
        let end = world.at.after(DAY);
        let all = |u: &mut Update| {
            u.name = Some("ci".to_owned());
            u.description = Some("of the build".to_owned());
            u.metadata = serde_json::json!({ "team": "web" }).as_object().cloned();
            u.grants = Some(texts(&["auditor"]));
            u.expiry = Some(Expiry::At(end));
        };
        let changed = world.update(&admin(), id, all).unwrap();
        assert_eq!(types(&changed), ["TokenDescribed", "TokenGrantsChanged", "TokenExpiryChanged"]);
        assert!(world.update(&admin(), id, all).unwrap().events.is_empty());
        let token = world.token(id);
        assert_eq!((&*token.name, token.expires_at), ("ci", Some(end)));
        let emptied = world.update(&admin(), id, |u| {
            u.description = Some(String::new());
            u.metadata = Some(serde_json::Map::new());
        });
        assert_eq!(types(&emptied.unwrap()), ["TokenDescribed"]);
        assert!(world.token(id).description.is_none() && world.token(id).metadata.is_none());
    }

    #[test]
    fn only_who_may_update_does_and_strangers_see_nothing() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let describe = |u: &mut Update| u.description = Some("x".to_owned());
        for (scope, grant, is_hidden) in [
            ("acme", "auditor", false),
            ("acme", "verifier", true),
            ("acme/web", "project-admin", true),
            ("other", "owner", true),
            ("instance", "instance-verifier", true),
        ] {
            let caller = world.mint(scope, &[grant]);
            let caller = world.caller(caller);
            let refused = world.update(&caller, id, describe);
            if is_hidden {
                assert!(absent(refused), "{grant}");
            } else {
                assert_eq!(forbidden(refused), "tokens:update at organization acme");
            }
        }
        let own = world.caller(id);
        assert_eq!(forbidden(world.update(&own, id, describe)), "tokens:update at organization acme");
        let never = TokenId(world.id());
        assert!(absent(world.update(&own, never, describe)));
        let mate = world.mint("acme", &["admin"]);
        let mate = world.caller(mate);
        world.update(&mate, id, describe).unwrap();
    }

    #[test]
    fn renaming_respects_live_names_only() {
        let mut world = World::with_tenants();
        let mint = |world: &mut World, name: &str, expiry| {
            world.mint_by(&admin(), "acme", &["member"], |p| {
                p.name = name.to_owned();
                p.expiry = expiry;
            })
        };
        let rename = |world: &mut World, id, name: &str| {
            let name = name.to_owned();
            world.update(&admin(), id, |u| u.name = Some(name)).map(drop)
        };
        let short = mint(&mut world, "a", Expiry::In(DAY)).unwrap();
        let long = mint(&mut world, "b", Expiry::Never).unwrap();
        let taken = Rejection::NameTaken { kind: "token", name: "a".to_owned(), until: None };
        assert_eq!(rename(&mut world, long, "a").unwrap_err(), taken);
        rename(&mut world, long, "b").unwrap();
        world.pass(DAY);
        rename(&mut world, long, "a").unwrap();
        assert_eq!(ended(rename(&mut world, short, "c")), "expired");
        mint(&mut world, "b", Expiry::Never).unwrap();
        assert!(mint(&mut world, "a", Expiry::Never).is_err());
    }

    #[test]
    fn nobody_gives_a_token_what_it_does_not_hold_itself() {
        let mut world = World::with_tenants();
        let boss = world.mint("acme", &["admin"]);
        let (boss, member) = (world.caller(boss), world.mint("acme", &["member"]));
        let grants = |texts: &[&str]| {
            let texts = crate::testing::texts(texts);
            move |u: &mut Update| u.grants = Some(texts)
        };
        let refused = missing(world.update(&boss, member, grants(&["owner"])));
        assert_eq!(refused, ["* at organization acme"]);
        let itself = boss.token().unwrap().id;
        missing(world.update(&boss, itself, grants(&["admin", "owner"])));
        world.update(&boss, member, grants(&["member", "verifier"])).unwrap();
        assert_eq!(invalid(world.update(&boss, member, grants(&[]))), "grants");
        // Taking away needs no more than the permission, whatever is taken away.
        let owner = world.mint("acme", &["owner", "member"]);
        world.update(&boss, owner, grants(&["member"])).unwrap();
        missing(world.update(&boss, owner, grants(&["member", "owner"])));
        // A token that lives longer than the giver would hold the grant longer than it does.
        let end = world.at.after(DAY);
        world.update(&admin(), itself, |u| u.expiry = Some(Expiry::At(end))).unwrap();
        let boss = world.caller(itself);
        let refused = missing(world.update(&boss, member, grants(&["auditor"])));
        assert_eq!(refused, [format!("time from {end} on")]);
    }

    #[test]
    fn nobody_lengthens_a_stronger_token_or_past_its_own_end() {
        let mut world = World::with_tenants();
        let end = world.at.after(10 * DAY);
        let boss = world.mint_by(&admin(), "acme", &["admin"], |p| p.expiry = Expiry::At(end)).unwrap();
        let boss = world.caller(boss);
        let in_a_day = |p: &mut crate::decide::Particulars| p.expiry = Expiry::In(DAY);
        let owner = world.mint_by(&admin(), "acme", &["owner"], in_a_day).unwrap();
        let member = world.mint_by(&admin(), "acme", &["member"], in_a_day).unwrap();
        let until = |expiry: Expiry| move |u: &mut Update| u.expiry = Some(expiry);
        missing(world.update(&boss, owner, until(Expiry::In(2 * DAY))));
        world.update(&boss, owner, until(Expiry::In(DAY / 2))).unwrap();
        world.update(&boss, member, until(Expiry::At(end))).unwrap();
        for longer in [Expiry::Never, Expiry::At(end.after(TICK))] {
            let refused = missing(world.update(&boss, member, until(longer)));
            assert_eq!(refused, [format!("time from {end} on")]);
        }
        let itself = boss.token().unwrap().id;
        missing(world.update(&boss, itself, until(Expiry::Never)));
        assert_eq!(invalid(world.update(&boss, member, until(Expiry::At(world_at(&world))))), "expires_at");
        let late = world.mint_by(&admin(), "acme", &["member"], |p| p.not_before = Some(end)).unwrap();
        assert_eq!(invalid(world.update(&admin(), late, until(Expiry::At(end)))), "expires_at");
    }

    fn world_at(world: &World) -> Timestamp {
        world.at
    }

    #[test]
    fn a_narrowed_token_stays_within_its_parent_whoever_changes_it() {
        let mut world = World::with_tenants();
        let parent = world.mint_by(&admin(), "acme", &["member"], |p| p.expiry = Expiry::In(DAY)).unwrap();
        let caller = world.caller(parent);
        let child = world.narrow(&caller, None, |p| p.expiry = Expiry::In(DAY / 2)).unwrap();
        missing(world.update(&admin(), child, |u| u.grants = Some(texts(&["admin"]))));
        missing(world.update(&admin(), child, |u| u.expiry = Some(Expiry::Never)));
        world.update(&admin(), child, |u| u.expiry = Some(Expiry::In(DAY))).unwrap();
        let end = world.token(parent).expires_at;
        assert_eq!(world.token(child).expires_at, end);
    }

    #[test]
    fn what_has_ended_is_not_changed() {
        let mut world = World::with_tenants();
        let expired = world.mint_by(&admin(), "acme", &["member"], |p| p.expiry = Expiry::In(DAY)).unwrap();
        let parent = world.caller(expired);
        let narrowed = world.narrow(&parent, None, |_| ()).unwrap();
        let revoked = world.mint("acme", &["member"]);
        world.revoke(&admin(), revoked, false).unwrap();
        world.pass(DAY);
        for (id, state) in [(expired, "expired"), (narrowed, "expired"), (revoked, "revoked")] {
            assert_eq!(ended(world.update(&admin(), id, |u| u.expiry = Some(Expiry::Never))), state);
            assert_eq!(ended(world.rotate(&admin(), id, Duration::ZERO)), state);
        }
    }

    #[test]
    fn if_match_lets_one_of_two_changes_through() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let revision = world.state.revision(world.token(id));
        let stale = revision - 1;
        let request =
            |command, expected| Request { command, expected_revision: Some(expected), repeat: None };
        let revoke = || Command::Revoke(Revoke { token: id, reason: None, note: None, cascade: false });
        let entropy = world.entropy();
        let rotate = Command::Rotate(Rotate { token: id, entropy, overlap: Duration::ZERO });
        for command in [rotate, revoke()] {
            let refused = world.request(&admin(), &request(command, stale)).unwrap_err();
            assert_eq!(refused, Rejection::PreconditionFailed { current: revision, expected: stale });
        }
        world.update(&admin(), id, |u| u.description = Some("new".to_owned())).unwrap();
        let refused = world.request(&admin(), &request(revoke(), revision));
        assert!(matches!(refused, Err(Rejection::PreconditionFailed { .. })));
        let now = world.state.revision(world.token(id));
        world.request(&admin(), &request(revoke(), now)).unwrap();
    }

    #[test]
    fn who_rotates_holds_all_that_the_token_holds() {
        let mut world = World::with_tenants();
        let (owner, boss) = (world.mint("acme", &["owner"]), world.mint("acme", &["admin"]));
        let (member, stranger) = (world.mint("acme", &["member"]), world.mint("other", &["owner"]));
        let caller = world.caller(boss);
        assert_eq!(missing(world.rotate(&caller, owner, Duration::ZERO)), ["* at organization acme"]);
        world.rotate(&caller, member, Duration::ZERO).unwrap();
        world.rotate(&caller, boss, Duration::ZERO).unwrap();
        let (member, stranger) = (world.caller(member), world.caller(stranger));
        assert_eq!(forbidden(world.rotate(&member, owner, DAY)), "tokens:rotate at organization acme");
        assert!(absent(world.rotate(&stranger, owner, DAY)));
    }

    #[test]
    fn without_an_overlap_the_old_secret_ends_at_once() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let name = world.token(id).name.clone();
        let rotated = world.rotate(&admin(), id, Duration::ZERO).unwrap();
        let Event::TokenRotated(event) = only(&rotated) else { panic!() };
        assert_eq!((event.secret, event.overlap_until), (1, None));
        assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::Superseded);
        assert!(world.log_in(id, 1, None).is_ok());
        assert_eq!((&world.token(id).name, world.token(id).secret), (&name, 1));
    }

    #[test]
    fn an_overlap_ends_on_the_microsecond() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let week = 7 * DAY;
        assert_eq!(invalid(world.rotate(&admin(), id, week + TICK)), "overlap");
        assert_eq!(invalid(world.rotate(&admin(), id, Duration::MAX)), "overlap");
        world.rotate(&admin(), id, week).unwrap();
        world.pass_almost(week);
        assert!(world.log_in(id, 0, None).is_ok());
        world.pass(TICK);
        assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::Superseded);
        assert!(world.log_in(id, 1, None).is_ok());
    }

    #[test]
    fn an_overlap_never_lasts_past_the_expiry_of_the_chain() {
        let mut world = World::with_tenants();
        let in_two_days = |p: &mut crate::decide::Particulars| p.expiry = Expiry::In(2 * DAY);
        let parent = world.mint_by(&admin(), "acme", &["admin"], |_| ()).unwrap();
        let caller = world.caller(parent);
        let child = world.narrow(&caller, None, |_| ()).unwrap();
        let own = world.mint_by(&admin(), "acme", &["member"], in_two_days).unwrap();
        let end = world.at.after(2 * DAY);
        world.update(&admin(), parent, |u| u.expiry = Some(Expiry::At(end))).unwrap();
        for id in [own, child] {
            let rotated = world.rotate(&admin(), id, 3 * DAY).unwrap();
            let Event::TokenRotated(event) = only(&rotated) else { panic!() };
            assert_eq!(event.overlap_until, Some(end));
        }
    }

    #[test]
    fn a_second_rotation_and_a_revocation_end_an_overlap() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        world.rotate(&admin(), id, DAY).unwrap();
        world.rotate(&admin(), id, DAY).unwrap();
        assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::Superseded);
        assert!(world.log_in(id, 1, None).is_ok() && world.log_in(id, 2, None).is_ok());
        world.revoke(&admin(), id, false).unwrap();
        assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::Superseded);
        for ordinal in [1, 2] {
            assert_eq!(world.log_in(id, ordinal, None).unwrap_err(), Code::Revoked);
        }
    }

    #[test]
    fn a_holder_always_ends_its_own_token_and_others_need_the_permission() {
        let mut world = World::with_tenants();
        let ids: Vec<_> = (0..3).map(|_| world.mint("acme", &["verifier"])).collect();
        let own = world.caller(ids[0]);
        assert_eq!(forbidden(world.revoke(&own, ids[0], true)), "tokens:revoke at organization acme");
        assert!(absent(world.revoke(&own, ids[1], false)));
        world.revoke(&own, ids[0], false).unwrap();
        let auditor = world.mint("acme", &["auditor"]);
        let auditor = world.caller(auditor);
        assert_eq!(forbidden(world.revoke(&auditor, ids[1], false)), "tokens:revoke at organization acme");
        let boss = world.mint("acme", &["admin"]);
        let boss = world.caller(boss);
        let owner = world.mint("acme", &["owner"]);
        world.revoke(&boss, owner, false).unwrap();
        world.revoke(&boss, ids[1], false).unwrap();
    }

    #[test]
    fn a_revocation_names_a_reason_and_is_done_once() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let mut revoke = |reason: &str, note: &str| {
            let command = Revoke {
                token: id,
                reason: Some(reason.to_owned()),
                note: Some(note.to_owned()),
                cascade: false,
            };
            world.run(&admin(), Command::Revoke(command))
        };
        for bad in ["", "inactive", "member-removed", "Leaked"] {
            assert_eq!(invalid(revoke(bad, "")), "reason");
        }
        assert_eq!(invalid(revoke("leaked", "a\nb")), "note");
        assert_eq!(invalid(revoke("leaked", &"x".repeat(1_025))), "note");
        assert_eq!(types(&revoke("leaked", "on a forum").unwrap()), ["TokenRevoked"]);
        assert!(revoke("requested", "").unwrap().events.is_empty());
        let revocation = world.state.own_revocation(world.token(id)).unwrap().clone();
        assert_eq!((revocation.reason, revocation.note.as_deref()), (Reason::Leaked, Some("on a forum")));
    }

    /// A root, its child, and a grandchild through each of minting and narrowing; and one that is not theirs.
    fn lineage(world: &mut World) -> [TokenId; 5] {
        let root = world.mint("acme", &["admin"]);
        let caller = world.caller(root);
        let child = world.mint_by(&caller, "acme", &["admin"], |_| ()).unwrap();
        let caller = world.caller(child);
        let minted = world.mint_by(&caller, "acme/web", &["project-reader"], |_| ()).unwrap();
        let narrowed = world.narrow(&caller, None, |_| ()).unwrap();
        [root, child, minted, narrowed, world.mint("acme", &["member"])]
    }

    #[test]
    fn without_cascade_only_what_was_narrowed_ends_too() {
        let mut world = World::with_tenants();
        let [root, child, minted, narrowed, beside] = lineage(&mut world);
        world.revoke(&admin(), child, false).unwrap();
        let is_live = |id| world.state.status(world.token(id), world.at) == Status::Live;
        assert!(is_live(root) && is_live(minted) && is_live(beside));
        assert!(!is_live(child) && !is_live(narrowed));
        let (revocation, cause) = world.state.revocation(world.token(narrowed)).unwrap();
        assert_eq!((revocation.reason, cause), (Reason::Requested, Some(child)));
    }

    #[test]
    fn a_cascade_takes_the_whole_subtree_and_keeps_what_ended_before() {
        let mut world = World::with_tenants();
        let [root, child, minted, narrowed, beside] = lineage(&mut world);
        world.revoke(&admin(), child, false).unwrap();
        let first = world.state.own_revocation(world.token(child)).cloned();
        world.pass(DAY);
        // Through a child that had ended already.
        assert_eq!(types(&world.revoke(&admin(), root, true).unwrap()), ["TokenRevoked"]);
        let status = |id| world.state.status(world.token(id), world.at);
        assert!([root, child, minted, narrowed].iter().all(|id| status(*id) == Status::Revoked));
        assert_eq!(status(beside), Status::Live);
        assert_eq!(world.state.own_revocation(world.token(child)).cloned(), first);
        for id in [minted, narrowed] {
            assert_eq!(world.state.own_revocation(world.token(id)).unwrap().cause, Some(root));
        }
        assert!(world.revoke(&admin(), root, true).unwrap().events.is_empty());
        assert_eq!(world.verify(&admin(), minted, acme()).unwrap().code, Code::Revoked);
    }

    #[test]
    fn a_revoked_token_is_revoked_again_to_take_its_children_with_it() {
        let mut world = World::with_tenants();
        let [root, child, minted, ..] = lineage(&mut world);
        world.revoke(&admin(), root, false).unwrap();
        assert_eq!(types(&world.revoke(&admin(), root, true).unwrap()), ["TokenRevoked"]);
        for id in [child, minted] {
            assert_eq!(world.verify(&admin(), id, acme()).unwrap().code, Code::Revoked);
        }
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    fn acme() -> Ask<'static> {
        Ask { organization: Some("acme"), ..Ask::default() }
    }
}
