//! Problem details (RFC 9457): the one shape that every error has on the wire.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use domain::text::mask;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::codes::{self, Code};
use super::context::RequestId;
use crate::respond::POSITION;

/// The media type of problem details.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error on its way to a client. It is an answer in itself; the [stack](super::Stack) adds the request's id.
///
/// Every text in it is masked when it is put in, so none of them can carry a secret out.
#[derive(Clone, Debug)]
pub struct Problem {
    code: &'static Code,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    missing: Vec<String>,
    retry_after: Option<u32>,
    challenge: Option<&'static str>,
    position: Option<u64>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where it is, as a path such as `scope.organization` or `items[3].token`.
    pub field: String,
    /// What is wrong, with which value, and what would be right.
    pub detail: String,
}

impl Problem {
    /// A problem without details.
    pub fn new(code: &'static Code) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            missing: Vec::new(),
            retry_after: None,
            challenge: None,
            position: None,
        }
    }

    /// Says what was wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(masked(detail.into()));
        self
    }

    /// Names a field and what is wrong with it. May be called for each field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let text = |text: String| masked(Cow::Owned(text)).into_owned();
        self.errors.push(FieldError { field: text(field.into()), detail: text(detail.into()) });
        self
    }

    /// Lists the permissions that are missing.
    #[must_use]
    pub fn missing(mut self, permissions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.missing.extend(permissions.into_iter().map(|text| masked(Cow::Owned(text.into())).into_owned()));
        self
    }

    /// Sets `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Sets `WWW-Authenticate`. A 401 has one of its own accord (RFC 9110, 15.5.2).
    #[must_use]
    pub fn challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Says which size of the log it stands for. Only to callers whose credential is in force: from how the log grows,
    /// others could tell what there is.
    #[must_use]
    pub(crate) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// The same with its texts changed where `hide` finds something in them.
    pub(super) fn without(mut self, hide: &dyn Fn(&str) -> Option<String>) -> Self {
        if let Some(hidden) = self.detail.as_deref().and_then(hide) {
            self.detail = Some(hidden.into());
        }
        let fields = self.errors.iter_mut().flat_map(|error| [&mut error.field, &mut error.detail]);
        for text in fields.chain(&mut self.missing) {
            if let Some(hidden) = hide(text) {
                *text = hidden;
            }
        }
        self
    }

    /// Which problem it is.
    pub fn code(&self) -> &'static Code {
        self.code
    }

    /// As a part of an answer that is about several things.
    pub(crate) fn as_wire(&self) -> crate::wire::Problem {
        let errors = self.errors.iter().map(|error| crate::wire::FieldProblem {
            field: error.field.clone(),
            detail: error.detail.clone(),
        });
        crate::wire::Problem {
            kind: self.code.url(),
            title: self.code.title.to_owned(),
            status: self.code.status,
            code: self.code.code.to_owned(),
            detail: self.detail.as_deref().map(str::to_owned),
            errors: errors.collect(),
            missing: self.missing.clone(),
            request_id: None,
        }
    }

    /// The answer, with the id of the request where it is known.
    pub(super) fn render(&self, id: Option<&RequestId>) -> Response {
        let body = Body {
            r#type: self.code.url(),
            title: self.code.title,
            status: self.code.status,
            code: self.code.code,
            detail: self.detail.as_deref(),
            errors: &self.errors,
            missing: &self.missing,
            request_id: id.map(RequestId::as_str),
        };
        let body = serde_json::to_vec(&body).expect("strings and numbers always serialize");
        let mut response = (self.code.status(), body).into_response();
        self.put_headers(response.headers_mut());
        response
    }

    fn put_headers(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(position) = self.position {
            headers.insert(POSITION, position.into());
        }
        if let Some(challenge) = self.challenge.or_else(|| self.own_challenge()) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }

    /// RFC 6750, 3.1: a request without a credential is told the scheme only, one with a bad token also why.
    fn own_challenge(&self) -> Option<&'static str> {
        match self.code.status {
            401 if self.code == codes::UNAUTHENTICATED => Some("Bearer realm=\"chancery\""),
            401 => Some("Bearer realm=\"chancery\", error=\"invalid_token\""),
            _ => None,
        }
    }

    /// The problem that stands in for an error answer which something below made without saying more.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            401 => codes::UNAUTHENTICATED,
            403 => codes::FORBIDDEN,
            404 => codes::NOT_FOUND,
            405 => codes::METHOD_NOT_ALLOWED,
            406 => codes::NOT_ACCEPTABLE,
            408 => codes::TIMEOUT,
            412 => codes::PRECONDITION_FAILED,
            413 => codes::BODY_TOO_LARGE,
            415 => codes::UNSUPPORTED_MEDIA_TYPE,
            422 => codes::INVALID_VALUE,
            431 => codes::HEADERS_TOO_LARGE,
            503 => codes::UNAVAILABLE,
            400..=499 => codes::MALFORMED_REQUEST,
            _ => codes::INTERNAL,
        };
        Self::new(code)
    }
}

fn masked(text: Cow<'static, str>) -> Cow<'static, str> {
    match mask(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(masked) => Cow::Owned(masked),
    }
}

/// Problem details (RFC 9457), as they stand on the wire; [`crate::wire`] describes them to OpenAPI.
#[derive(Debug, Serialize)]
struct Body<'a> {
    /// The problem's documentation page, as a relative reference.
    r#type: String,
    /// A short summary, the same for every problem of this code.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// Stable, for programs.
    code: &'a str,
    /// What was wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// The fields at fault.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The permissions that are missing.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    missing: &'a [String],
    /// The request's id, as in `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_problem_says_all_it_knows_and_no_secret() {
        let secret = format!("chyo_{}", "x".repeat(49));
        let problem = Problem::new(codes::FORBIDDEN)
            .detail(format!("not with {secret}"))
            .field("token", secret.clone())
            .missing(["tokens:mint"])
            .retry_after(3);
        let response = problem.render(Some(&RequestId::new(1, 2)));
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        let expected = serde_json::json!({
            "type": "/docs/errors/forbidden",
            "title": "The permission is missing",
            "status": 403,
            "code": "forbidden",
            "detail": "not with chyo_xxxxxxx…",
            "errors": [{"field": "token", "detail": "chyo_xxxxxxx…"}],
            "missing": ["tokens:mint"],
            "request_id": "00000001-2",
        });
        assert_eq!(body(response).await, expected);
    }

    #[test]
    fn a_401_carries_its_challenge() {
        let challenge = |problem: Problem| problem.into_response().headers()[WWW_AUTHENTICATE].clone();
        assert_eq!(challenge(Problem::new(codes::UNAUTHENTICATED)), "Bearer realm=\"chancery\"");
        let revoked = challenge(Problem::new(codes::TOKEN_REVOKED));
        assert_eq!(revoked, "Bearer realm=\"chancery\", error=\"invalid_token\"");
        assert_eq!(challenge(Problem::new(codes::FORBIDDEN).challenge("Basic")), "Basic");
    }
}
