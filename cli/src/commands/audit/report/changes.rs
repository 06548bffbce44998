//! What changed between two reports.

use super::{Report, place};
use api::wire::{Member, ReviewedToken};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What changed since an earlier report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// When that was made.
    pub(super) since: String,
    /// One sentence each.
    pub(super) sentences: Vec<String>,
}

pub(super) fn between(last: &Report, now: &Report) -> Changes {
    let mut sentences = Vec::new();
    let before: BTreeMap<Uuid, &ReviewedToken> = last.tokens.iter().map(|one| (one.token.id, one)).collect();
    let after: BTreeMap<Uuid, &ReviewedToken> = now.tokens.iter().map(|one| (one.token.id, one)).collect();
    for (id, token) in &after {
        match before.get(id) {
            None => sentences.push(format!(
                "Token {} ({}) is new, made by {}; it holds {} at {}.",
                token.token.name,
                token.token.prefix,
                token.token.created_by,
                token.token.grants.join(", "),
                place(&token.token.scope)
            )),
            Some(known) => compare(known, token, &mut sentences),
        }
    }
    for (_, token) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
        sentences.push(format!("Token {} ({}) has ended.", token.token.name, token.token.prefix));
    }
    members(last, now, &mut sentences);
    Changes { since: last.at.clone(), sentences }
}

fn compare(before: &ReviewedToken, after: &ReviewedToken, sentences: &mut Vec<String>) {
    let name = format!("Token {} ({})", after.token.name, after.token.prefix);
    if before.token.grants != after.token.grants {
        let (was, is) = (before.token.grants.join(", "), after.token.grants.join(", "));
        sentences.push(format!("{name} holds {is}; it held {was}."));
    } else if before.held != after.held {
        sentences.push(format!("{name} may do something else than before: one of its roles was changed."));
    }
    if before.token.expires_at != after.token.expires_at {
        let end = |end: &Option<String>| end.clone().unwrap_or_else(|| "never".to_owned());
        let (was, is) = (end(&before.token.expires_at), end(&after.token.expires_at));
        sentences.push(format!("{name} expires: {is}; before: {was}."));
    }
    if before.token.prefix != after.token.prefix {
        sentences.push(format!("{name} has another secret; its prefix was {}.", before.token.prefix));
    }
    let known: Vec<_> = before.used.iter().map(|used| &used.permission).collect();
    let new: Vec<_> = after
        .used
        .iter()
        .filter(|used| !known.contains(&&used.permission))
        .map(|used| used.permission.as_str())
        .collect();
    if !new.is_empty() {
        sentences.push(format!("{name} was used for the first time for {}.", new.join(", ")));
    }
}

fn members(last: &Report, now: &Report, sentences: &mut Vec<String>) {
    let key = |member: &Member| (member.user, member.project.clone());
    let before: BTreeMap<_, _> = last.members.iter().map(|member| (key(member), member)).collect();
    let after: BTreeMap<_, _> = now.members.iter().map(|member| (key(member), member)).collect();
    let name = |member: &Member| {
        let place =
            member.project.as_ref().map(|project| format!(" of project {project}")).unwrap_or_default();
        let who = member.email.clone().or_else(|| member.name.clone());
        format!("{}{place}", who.unwrap_or_else(|| member.user.to_string()))
    };
    for (key, member) in &after {
        match before.get(key) {
            None => sentences.push(format!("Member {} is new, as {}.", name(member), member.role)),
            Some(known) if known.role != member.role => {
                sentences.push(format!(
                    "Member {} is {}; before: {}.",
                    name(member),
                    member.role,
                    known.role
                ));
            }
            Some(_) => {}
        }
    }
    for (_, member) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
        sentences.push(format!("Member {} is no longer there.", name(member)));
    }
}
