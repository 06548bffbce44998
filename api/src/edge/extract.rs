//! Extractors whose rejections are [`Problem`]s that name the field at fault.
//!
//! The good case costs what the parser costs: a body is parsed from its bytes directly, and only one that was
//! refused is parsed again to learn where.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::text::echo;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codes;
use super::context::RequestContext;
use super::mask::message as shown;
use super::problem::Problem;
use super::stack::BODY_LIMIT;
use crate::object::Object;

/// A JSON body, in or out. `Option<Json<T>>` takes a request without a body as `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        no_query(request.uri())?;
        if !is_json(request.headers()) {
            return Err(wrong_type(request.headers().get(CONTENT_TYPE)));
        }
        from_json(&read(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        no_query(request.uri())?;
        let typed = request.headers().get(CONTENT_TYPE).cloned();
        let json = is_json(request.headers());
        let body = read(request, state).await?;
        match (body.is_empty(), json) {
            (true, _) => Ok(None),
            (false, false) => Err(wrong_type(typed.as_ref())),
            (false, true) => from_json(&body).map(|value| Some(Self(value))),
        }
    }
}

/// A body that says that it is JSON, as its bytes: for what is signed as it stands.
#[derive(Clone, Debug)]
pub struct JsonBytes(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        no_query(request.uri())?;
        if !is_json(request.headers()) {
            return Err(wrong_type(request.headers().get(CONTENT_TYPE)));
        }
        read(request, state).await.map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// Refuses a query where none is read: a restriction that somebody put there would be taken for none. It is not quoted,
/// because it may be a secret in the wrong place.
pub(crate) fn no_query(uri: &Uri) -> Result<(), Problem> {
    if uri.query().is_none_or(str::is_empty) {
        return Ok(());
    }
    let detail = "The endpoint takes nothing from the query, and the request has one.";
    Err(Problem::new(codes::UNKNOWN_FIELD).detail(detail))
}

/// The JSON body of a request that comes as its connection has it, up to [`BODY_LIMIT`].
pub(crate) async fn json_body<B>(parts: &Parts, context: &RequestContext, body: B) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    no_query(&parts.uri)?;
    if !is_json(&parts.headers) {
        return Err(wrong_type(parts.headers.get(CONTENT_TYPE)));
    }
    context.awaits_body(true);
    let body = Limited::new(body, BODY_LIMIT).collect().await;
    context.awaits_body(false);
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(codes::BODY_TOO_LARGE)),
        Err(_) => Err(broken_off()),
    }
}

fn broken_off() -> Problem {
    Problem::new(codes::MALFORMED_REQUEST).detail("The body broke off before its end.")
}

/// A whole body, up to the limit that the router's `DefaultBodyLimit` sets.
async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let context = request.extensions().get::<RequestContext>().cloned();
    if let Some(context) = &context {
        context.awaits_body(true);
    }
    let body = Bytes::from_request(request, state).await;
    if let Some(context) = &context {
        context.awaits_body(false);
    }
    body.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
            Problem::new(codes::BODY_TOO_LARGE)
        }
        _ => broken_off(),
    })
}

/// Parses a JSON document that has to be an object. Public for endpoints that read their bodies themselves.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    match serde_json::from_slice(body) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(json_problem::<T>(body, &error)),
    }
}

#[cold]
fn json_problem<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Problem {
    // Where a value of one of a few words is expected, anything else is said to be no JSON.
    let is_json = error.is_data() || serde_json::from_slice::<serde_json::Value>(body).is_ok();
    if !is_json {
        return Problem::new(codes::MALFORMED_JSON).detail(shown(&error.to_string()));
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut parser) {
        Err(error) => shape_problem(&error.path().to_string(), &error.inner().to_string()),
        Ok(_) => shape_problem(".", &error.to_string()),
    }
}

/// The problem of content that was read but does not fit: an unknown field, a missing one, a wrong type.
fn shape_problem(path: &str, message: &str) -> Problem {
    let unknown = message.starts_with("unknown field ");
    let code = if unknown { codes::UNKNOWN_FIELD } else { codes::INVALID_VALUE };
    let detail = shown(message);
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split_once('`').map(|(name, _)| name));
    let field = match (path, named) {
        ("." | "", None) => String::new(),
        ("." | "", Some(name)) => echo(name),
        // The path of an unknown field already ends in it, that of a missing one in what it is missing from.
        (path, Some(name)) if path != name && !path.ends_with(&format!(".{name}")) => {
            echo(&format!("{path}.{name}"))
        }
        (path, _) => echo(path),
    };
    if field.is_empty() {
        return Problem::new(code).detail(detail);
    }
    Problem::new(code).detail(format!("{field}: {detail}")).field(field, detail)
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    if value == b"application/json" {
        return true;
    }
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let Some((kind, subtype)) = essence.split_at_checked(12) else { return false };
    let ends_in_json = subtype.len() > 5 && subtype[subtype.len() - 5..].eq_ignore_ascii_case(b"+json");
    kind.eq_ignore_ascii_case(b"application/") && (subtype.eq_ignore_ascii_case(b"json") || ends_in_json)
}

fn wrong_type(value: Option<&HeaderValue>) -> Problem {
    let problem = Problem::new(codes::UNSUPPORTED_MEDIA_TYPE);
    match value.map(|value| String::from_utf8_lossy(value.as_bytes())) {
        None => problem.detail("Content-Type is missing; send application/json."),
        Some(other) => problem.detail(format!("Content-Type is `{}`; send application/json.", echo(&other))),
    }
}

/// The query, into a struct.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(query).map(Self).map_err(|_| query_problem::<T>(query))
    }
}

#[cold]
fn query_problem<T: DeserializeOwned>(query: &str) -> Problem {
    let parser = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    match serde_path_to_error::deserialize::<_, T>(parser) {
        Err(error) => shape_problem(&error.path().to_string(), &error.inner().to_string()),
        Ok(_) => Problem::new(codes::MALFORMED_REQUEST).detail("The query could not be read."),
    }
}

/// The parameters of the path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(path_problem(&rejection)),
        }
    }
}

#[cold]
fn path_problem(rejection: &PathRejection) -> Problem {
    let PathRejection::FailedToDeserializePathParams(failure) = rejection else {
        tracing::error!(%rejection, "a handler asks for path parameters that its route does not have");
        return Problem::new(codes::INTERNAL);
    };
    let expected = |value: &str, kind: &str| format!("`{}` is not a valid {kind}", echo(value));
    let problem = Problem::new(codes::MALFORMED_REQUEST);
    let named = |problem: Problem, key: &str, detail: String| {
        problem.detail(format!("{key}: {detail}")).field(key, detail)
    };
    match failure.kind() {
        ErrorKind::ParseErrorAtKey { key, value, expected_type } => {
            named(problem, key, expected(value, expected_type))
        }
        ErrorKind::DeserializeError { key, message, .. } => named(problem, key, shown(message)),
        ErrorKind::InvalidUtf8InPathParam { key } => named(problem, key, "is not UTF-8".to_owned()),
        ErrorKind::ParseError { value, expected_type }
        | ErrorKind::ParseErrorAtIndex { value, expected_type, .. } => {
            problem.detail(format!("In the path, {}.", expected(value, expected_type)))
        }
        ErrorKind::Message(message) => problem.detail(shown(message)),
        other => {
            tracing::error!(%other, "a handler asks for path parameters that its route does not have");
            Problem::new(codes::INTERNAL)
        }
    }
}
