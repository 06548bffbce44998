//! Who calls: the credential of a request, and where it came from.

use crate::app::App;
use crate::edge::{Problem, RequestContext, RequestId, codes};
use axum::extract::FromRequestParts;
use domain::authority::Credential;
use domain::id::UserId;
use domain::secret::SecretHash;
use domain::text;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use projections::{Call, Client, Outsider, Presented, SealKey};
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;

/// The longest credential that is looked at, in bytes. Imported keys may be longer than a secret of ours.
const LONGEST: usize = 4_096;
/// The most bytes of a user agent that are kept.
const LONGEST_AGENT: usize = 256;

/// A request with a credential. Whether that is in force is decided with the request itself.
pub(crate) struct Session {
    credential: Credential,
    /// The invitation that it is about to accept, instead of calling with a credential.
    invitation: Option<(SecretHash, UserId)>,
    text: SecretString,
    client: Client,
    request: RequestId,
}

impl Session {
    /// The call of an operation.
    pub(crate) fn call(&self, operation: &'static str) -> Call {
        Call {
            presented: match self.invitation {
                Some((text, user)) => Presented::Invitation { text, user },
                None => Presented::Credential(self.credential),
            },
            client: self.client.clone(),
            request: self.request.as_str().into(),
            operation,
            object: None,
            personal: Vec::new(),
        }
    }

    /// The same as whoever holds the text of an invitation, and is this person once it is accepted.
    pub(crate) fn invited(self, text: SecretHash, user: UserId) -> Self {
        Self { invitation: Some((text, user)), ..self }
    }

    /// What was shown.
    pub(crate) fn credential(&self) -> Credential {
        self.credential
    }

    /// From where.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.client.address
    }

    /// The key under which an answer's secret is kept for a repeated request.
    pub(crate) fn seal_key(&self, idempotency_key: &str) -> SealKey {
        SealKey::derive(self.text.expose_secret(), idempotency_key)
    }

    /// The session of the credential in `Authorization`.
    pub(crate) fn read(app: &App, headers: &HeaderMap, context: &RequestContext) -> Result<Self, Problem> {
        Ok(Self::of(app, bearer(headers, &AUTHORIZATION)?, context))
    }

    /// The session of a credential that stands in a header other than `Authorization`.
    pub(crate) fn of(app: &App, text: &str, context: &RequestContext) -> Self {
        Self {
            credential: app.credential(text),
            invitation: None,
            text: text.into(),
            client: client(app, context),
            request: context.id(),
        }
    }
}

impl FromRequestParts<App> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::read(app, &parts.headers, &RequestContext::of(&parts.extensions)?)
    }
}

/// The call of somebody without a credential.
pub(crate) fn outsider(
    app: &App,
    context: &RequestContext,
    outsider: Outsider,
    operation: &'static str,
) -> Call {
    Call {
        presented: Presented::Outsider(outsider),
        client: client(app, context),
        request: context.id().as_str().into(),
        operation,
        object: None,
        personal: Vec::new(),
    }
}

fn client(app: &App, context: &RequestContext) -> Client {
    // Masked before it is cut: the beginning of a secret is one as well.
    let agent = context.agent().map(|agent| text::cut(&app.mask(&agent), LONGEST_AGENT).into());
    Client { address: context.address(), agent }
}

/// The bearer token of a header (RFC 6750, section 2.1). Two of them are none: nobody can say which was meant.
pub(crate) fn bearer<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Result<&'h str, Problem> {
    let missing = |detail: &'static str| Problem::new(codes::UNAUTHENTICATED).detail(detail);
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(missing("The request has no credential; send `Authorization: Bearer <token>`."));
    };
    if values.next().is_some() {
        return Err(missing("The request has more than one credential; send one."));
    }
    let text = value.to_str().map_err(|_| missing("The credential is not visible ASCII."))?;
    let (scheme, token) = text.split_once(' ').unwrap_or(("", text));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing("The credential's scheme is not Bearer; send `Bearer <token>`."));
    }
    let token = token.trim();
    if token.is_empty() || token.len() > LONGEST || token.contains(' ') {
        return Err(missing("The credential is empty, too long, or has a space in it."));
    }
    Ok(token)
}
