//! What comes with a change: the condition on what is changed, and the key under which it may be repeated.

use crate::app::App;
use crate::auth::Session;
use crate::edge::extract::no_query;
use crate::edge::{Problem, codes};
use crate::error::{invalid, problem};
use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::decide::{Command, Invite, Reissue, Repeat, Request};
use domain::event::Subject;
use domain::id::TokenId;
use eventlog::Personal;
use http::HeaderMap;
use http::request::Parts;
use projections::{Call, Failure, Outcome, SealKey, Work};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;

/// The headers of a change.
#[derive(Debug)]
pub(crate) struct Conditions {
    expected_revision: Option<u64>,
    key: Option<Box<str>>,
    /// The personal values whose commitments the command carries.
    personal: Vec<Personal>,
}

impl Conditions {
    /// With personal values.
    pub(crate) fn personal(self, values: impl IntoIterator<Item = Personal>) -> Self {
        Self { personal: values.into_iter().collect(), ..self }
    }
}

impl FromRequestParts<App> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        no_query(&parts.uri)?;
        Self::of(&parts.headers)
    }
}

/// The headers of a change that takes something from the query as well.
#[derive(Debug)]
pub(crate) struct ConditionsBesideQuery(pub(crate) Conditions);

impl FromRequestParts<App> for ConditionsBesideQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Conditions::of(&parts.headers).map(Self)
    }
}

impl Conditions {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let (expected_revision, key) = (if_match(headers)?, idempotency_key(headers)?);
        Ok(Self { expected_revision, key, personal: Vec::new() })
    }
}

fn malformed(detail: String) -> Problem {
    Problem::new(codes::MALFORMED_REQUEST).detail(detail)
}

/// `If-Match` with one strong entity tag, or `*` (RFC 9110, section 13.1.1).
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(text) = only(headers, "If-Match")? else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    revision_of(text).map(Some).ok_or_else(|| {
        malformed("`If-Match` is not one entity tag as `ETag` gave it, such as \"17\", or *.".to_owned())
    })
}

/// The revision that an entity tag of this API stands for. There is one tag for each: no sign, no leading zero.
fn revision_of(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    digits.parse().ok().filter(|revision: &u64| revision.to_string() == digits)
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Problem> {
    let Some(text) = only(headers, "Idempotency-Key")? else { return Ok(None) };
    if text.is_empty() || text.len() > LONGEST_KEY || text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(malformed(format!(
            "`Idempotency-Key` is not 1 to {LONGEST_KEY} visible ASCII characters."
        )));
    }
    Ok(Some(text.into()))
}

/// The text of a header; two of a kind are none, because nobody can say which was meant. Text that is not ASCII is
/// empty, which neither of them may be.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default().trim())),
        (Some(_), Some(_)) => Err(malformed(format!("`{name}` stands there more than once; send one."))),
    }
}

/// Stands in for a body with personal values in it. The record of a request that may be repeated holds a hash of its
/// body, and a mail address could be guessed from a hash that anybody can make; the key is on no record.
fn fingerprint(key: &str, body: &str) -> String {
    // The length keeps apart where the key ends and the body begins.
    let hash =
        Sha256::new().chain_update((key.len() as u64).to_le_bytes()).chain_update(key).chain_update(body);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// A command that was done.
pub(crate) struct Done {
    pub(crate) subject: Subject,
    /// The tokens that somebody who leaves answered for.
    pub(crate) tokens: Vec<TokenId>,
    /// The secret to hand out: a new one, or again that of a repeated request.
    pub(crate) secret: Option<String>,
    pub(crate) position: u64,
}

impl App {
    /// Hands a command to the scribe. `path` is what the path names and the body does not.
    pub(crate) async fn change(
        &self,
        session: &Session,
        operation: &'static str,
        path: &[&str],
        body: &impl Serialize,
        conditions: Conditions,
        command: Command,
    ) -> Result<Done, Problem> {
        let seals = match &command {
            Command::Mint(_) | Command::Narrow(_) | Command::Rotate(_) | Command::Accept(_) => true,
            // What goes out by mail is handed to nobody else, and kept nowhere.
            Command::Invite(Invite { giving, .. }) | Command::Reissue(Reissue { giving, .. }) => {
                !giving.by_mail
            }
            _ => false,
        };
        let seal = conditions.key.as_deref().filter(|_| seals).map(|key| session.seal_key(key));
        let body = serde_json::to_string(body).expect("a request body can be written again");
        if self.holds_admin_token(&body) {
            return Err(invalid("body", "…", "a body without the admin token in it"));
        }
        let body = match &conditions.key {
            Some(key) if !conditions.personal.is_empty() => fingerprint(key, &body),
            _ => body,
        };
        let repeat = conditions.key.map(|key| Repeat {
            route: std::iter::once(operation)
                .chain(path.iter().copied())
                .collect::<Vec<_>>()
                .join("/")
                .into(),
            key,
            body: body.into_bytes().into(),
        });
        let request = Request { command, expected_revision: conditions.expected_revision, repeat };
        let work = Work::Command(Box::new(request), seal.clone());
        let call = Call { personal: conditions.personal, ..session.call(operation) };
        let answered = self.submit(call, work).await?;
        let Outcome::Done { subject, tokens, secret, repeated } = answered.outcome else {
            tracing::error!(operation, "a command was answered as something else");
            return Err(Problem::new(codes::INTERNAL));
        };
        let secret = match (secret, repeated, seal) {
            (Some(secret), _, _) => Some(secret.into_text()),
            (None, Some(repeated), Some(seal)) => self.unseal(&seal, &repeated, subject).await?,
            (None, _, _) => None,
        };
        Ok(Done { subject, tokens, secret, position: answered.position })
    }

    /// The secret of a repeated request, while it is kept. Without it the answer is whole but for the secret. That it
    /// cannot be read now does not mean that it is gone: then the caller is told to ask once more.
    async fn unseal(
        &self,
        seal: &SealKey,
        repeated: &str,
        subject: Subject,
    ) -> Result<Option<String>, Problem> {
        let hash = self.node().live().read(|state| match subject {
            Subject::Token(id) => state.tokens().get(id).map(|token| token.hash),
            Subject::Invitation(organization, id) => state.people().invitation(organization, id)?.issue.hash,
            _ => None,
        });
        let Some(current) = hash else { return Ok(None) };
        let reading = projections::unseal(self.node().log(), seal, repeated, current, self.now().micros());
        reading.await.map_err(|error| {
            tracing::warn!(%error, "a sealed secret could not be read");
            problem(&Failure::Unavailable)
        })
    }
}
