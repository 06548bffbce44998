//! Changes of a token: what is written about it, what it may do, until when, its secret, its end.

use super::mint::{DESCRIPTION, Entropy, Expiry, NAME, read_grants, require_free_name, resolve_expiry};
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
    check_revision(token.revision, expected)?;
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
    check_revision(token.revision, expected)?;
    require_live(state, token, at)?;
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
    check_revision(token.revision, expected)?;
    let reason = match revoke.reason.as_deref() {
        None => Reason::Requested,
        Some(text) => match Reason::GIVEN.iter().find(|(name, _)| *name == text) {
            Some((_, reason)) => *reason,
            None => return Err(Rejection::invalid("reason", text, "`requested` or `leaked`".to_owned())),
        },
    };
    let note = revoke.note.as_deref().filter(|text| !text.is_empty());
    let note = note.map(|text| text::clean("note", text, DESCRIPTION)).transpose()?;
    // Revoking what is revoked changes nothing, unless it now takes with it what it minted.
    let is_done = token.revocation.is_some() && !(revoke.cascade && has_live_descendant(state, token));
    let events = if is_done {
        Vec::new()
    } else {
        vec![Event::TokenRevoked(TokenRevoked { token: token.id, reason, note, cascade: revoke.cascade })]
    };
    Ok(Decision::new(token.scope.organization(), events, Subject::Token(token.id)))
}

fn has_live_descendant(state: &State, token: &Arc<Token>) -> bool {
    let mut waiting = vec![token.id];
    while let Some(id) = waiting.pop() {
        for child in state.tokens().children(id) {
            if child.revocation.is_none() {
                return true;
            }
            waiting.push(child.id);
        }
    }
    false
}

/// What has ended stays ended: an expired token is not revived.
fn require_live(state: &State, token: &Arc<Token>, at: Timestamp) -> Result<(), Rejection> {
    match state.status(token, at) {
        Status::Live => Ok(()),
        ended @ (Status::Expired | Status::Revoked) => Err(Rejection::TokenEnded { state: ended.as_str() }),
    }
}
