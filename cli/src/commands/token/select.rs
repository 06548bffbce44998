//! Tokens as people name them: by id, by name, or by how their secret begins.

use crate::client::{Answer, Client};
use crate::commands::{Context, prompt};
use crate::failure::Failure;
use crate::output::rows;
use api::wire::Token;
use domain::secret::PREFIX_LENGTH;
use uuid::Uuid;

/// So many of one name are looked at before they count as too many to choose from.
const MOST: usize = 50;

/// The tokens that a name is looked for among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Among {
    Live,
    /// Also those that have ended. A live one goes before them, as its name is its own while it lives.
    All,
}

/// The id of the token that a text names.
pub(in crate::commands) async fn id(
    context: &Context,
    client: &Client,
    text: &str,
    among: Among,
) -> Result<String, Failure> {
    if text.parse::<Uuid>().is_ok() {
        return Ok(text.to_owned());
    }
    let mut found = candidates(context, client, text, among).await?;
    found.retain(|token| matches(token, text));
    match choose(&mut found) {
        Some(token) => Ok(token.id.to_string()),
        None if found.is_empty() => {
            let live = if among == Among::Live { "live " } else { "" };
            Err(Failure::NotFound(format!(
                "no {live}token that you may read is called `{text}`, or begins like it"
            )))
        }
        None if context.interactive => {
            let question = format!("Several tokens are called `{}`", crate::output::escape::escape(text));
            Ok(prompt::pick(&question, found, label)?.id.to_string())
        }
        None => Err(ambiguous(text, &found)),
    }
}

/// The token that a text names.
pub(super) async fn token(
    context: &Context,
    client: &Client,
    text: &str,
    among: Among,
) -> Result<Answer<Token>, Failure> {
    let id = id(context, client, text, among).await?;
    client.get(&["v1", "tokens", &id], &[]).await
}

async fn candidates(
    context: &Context,
    client: &Client,
    text: &str,
    among: Among,
) -> Result<Vec<Token>, Failure> {
    let project = context.options.project();
    let organization = match context.options.organization() {
        None if project.is_some() => Some(context.organization(client).await?),
        organization => organization,
    };
    let status = if among == Among::Live { "live" } else { "all" };
    let filter = if is_prefix(text) { "prefix" } else { "name" };
    let mut query = vec![("status", status.to_owned()), (filter, text.to_owned())];
    query.extend(organization.map(|organization| ("organization", organization)));
    query.extend(project.map(|project| ("project", project)));
    let found = client.list::<Token>(&["v1", "tokens"], &query, Some(MOST)).await?;
    Ok(found.into_iter().map(|answer| answer.value).collect())
}

fn is_prefix(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes, [b'c', b'h', b'y', b'i' | b'o' | b'p' | b'u', b'_', ..]) && bytes.len() <= PREFIX_LENGTH
}

/// What the filter of the list means, asked again: a wrong answer must not end the wrong token.
fn matches(token: &Token, text: &str) -> bool {
    if is_prefix(text) { token.prefix.starts_with(text) } else { token.name == text }
}

/// The only one, or the only one that lives.
fn choose(found: &mut Vec<Token>) -> Option<Token> {
    let is_live = |token: &&Token| token.status == api::wire::Status::Live;
    match (found.len(), found.iter().filter(is_live).count()) {
        (1, _) => found.pop(),
        (_, 1) => found.iter().find(is_live).cloned(),
        _ => None,
    }
}

/// A token in a line.
pub(super) fn label(token: &Token) -> String {
    format!("{} ({}, {}…, {})", token.name, rows::scope(&token.scope), token.prefix, token.id)
}

fn ambiguous(text: &str, found: &[Token]) -> Failure {
    let mut message = format!(
        "`{text}` names several tokens; give the id of one, or narrow it down with --org and --project:"
    );
    for token in found.iter().take(10) {
        message.push_str("\n  ");
        message.push_str(&crate::output::escape::escape(&label(token)));
    }
    if found.len() > 10 {
        message.push_str("\n  …");
    }
    Failure::Usage(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::wire::{Scope, Status};

    fn token(id: u128, status: Status) -> Token {
        let json = serde_json::json!({
            "id": Uuid::from_u128(id), "name": "ci", "prefix": "chyo_4fT9aQ1", "scope": {"organization": "acme"},
            "grants": [], "status": status, "created_at": "", "created_by": "", "revision": 0,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_live_token_goes_before_its_ended_namesakes() {
        let chosen = |mut tokens: Vec<Token>| choose(&mut tokens).map(|token| token.id.as_u128());
        assert_eq!(chosen(vec![]), None);
        assert_eq!(chosen(vec![token(1, Status::Revoked)]), Some(1));
        assert_eq!(chosen(vec![token(1, Status::Revoked), token(2, Status::Live)]), Some(2));
        assert_eq!(chosen(vec![token(1, Status::Revoked), token(2, Status::Expired)]), None);
        assert_eq!(chosen(vec![token(1, Status::Live), token(2, Status::Live)]), None);
    }

    #[test]
    fn only_what_is_named_is_taken() {
        let token = token(1, Status::Live);
        assert_eq!(token.scope, Scope { organization: Some("acme".to_owned()), ..Scope::default() });
        for named in ["ci", "chyo_", "chyo_4fT9", "chyo_4fT9aQ1"] {
            assert!(matches(&token, named), "{named}");
        }
        for other in ["c", "CI", "chyo_x", "chyo_4fT9aQ12"] {
            assert!(!matches(&token, other), "{other}");
        }
        let message = ambiguous("ci", &[token.clone(), token]).message();
        assert!(message.contains("--org") && message.contains("ci (acme, chyo_4fT9aQ1…, "), "{message}");
    }
}
