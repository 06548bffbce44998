//! The request side: one layer that gives a request its id and context, bounds its time, survives its panic,
//! and sees to it that what leaves is a complete answer.
//!
//! It is one hand-written layer rather than six stacked ones, because every layer around an axum router costs
//! each request a boxed future and a clone.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath};
use axum::response::{IntoResponse, Response};
use domain::text::mask;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower::{Layer, Service};

use super::client::TrustedProxies;
use super::codes;
use super::context::{RequestContext, RequestIds};
use super::metrics::{Metrics, method_name};
use super::problem::Problem;
use super::serve::Connection;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The route of a request that none matched, in logs and metrics.
const UNMATCHED: &str = "unmatched";

/// Largest body where a router sets no `DefaultBodyLimit` of its own.
pub const BODY_LIMIT: usize = 64 * 1024;

/// A monotonic clock: the time since some fixed moment.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A text without what must not be in an error, where there is such a thing in it.
pub type Hide = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What every request passes on its way to its handler and back.
#[derive(Clone)]
pub struct Stack(Arc<Settings>);

struct Settings {
    ids: RequestIds,
    clock: Clock,
    proxies: TrustedProxies,
    timeout: Duration,
    metrics: Option<Arc<Metrics>>,
    hide: Option<Hide>,
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}

impl Stack {
    /// `ids` are of this boot; `timeout` (10 s unless there is a reason) bounds a request up to its answer's
    /// head, so that streams may go on.
    pub fn new(
        ids: RequestIds,
        clock: Clock,
        proxies: TrustedProxies,
        timeout: Duration,
        metrics: Option<Arc<Metrics>>,
    ) -> Self {
        Self(Arc::new(Settings { ids, clock, proxies, timeout, metrics, hide: None }))
    }

    /// Lets something be hidden in every error, which no form tells. To be called before the stack is shared.
    #[must_use]
    pub fn hiding(mut self, hide: Hide) -> Self {
        if let Some(settings) = Arc::get_mut(&mut self.0) {
            settings.hide = Some(hide);
        }
        self
    }

    /// Puts the stack around a router with all its routes: those that are added to the result do not pass it.
    ///
    /// Gives it the fallbacks for unknown paths and methods, and a body limit of 64 KiB, which routers inside
    /// may have changed for themselves by a `DefaultBodyLimit` layer of their own.
    pub fn wrap(&self, router: Router) -> Router {
        router
            .fallback(|| async { Problem::new(codes::NO_SUCH_ROUTE) })
            .method_not_allowed_fallback(|| async { Problem::new(codes::METHOD_NOT_ALLOWED) })
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(self.clone())
            // Done here once; otherwise axum does it over for every request.
            .with_state(())
    }

    /// Puts the stack around a handler of one path that is asked for past the router.
    pub fn around<S>(&self, inner: S, route: &'static str) -> Stacked<S> {
        Stacked { inner, route: Some(route), settings: Arc::clone(&self.0) }
    }
}

impl<S> Layer<S> for Stack {
    type Service = Stacked<S>;

    fn layer(&self, inner: S) -> Stacked<S> {
        Stacked { inner, route: None, settings: Arc::clone(&self.0) }
    }
}

/// A service with the [`Stack`] around it.
#[derive(Clone)]
pub struct Stacked<S> {
    inner: S,
    route: Option<&'static str>,
    settings: Arc<Settings>,
}

impl<S> fmt::Debug for Stacked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stacked").finish_non_exhaustive()
    }
}

impl<S: Service<http::Request<B>, Response = Response>, B> Service<http::Request<B>> for Stacked<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let settings = &self.settings;
        let peer = request.extensions().get::<Connection>().map(|connection| connection.peer.ip());
        let address = peer.map(|peer| settings.proxies.client(peer, request.headers()));
        let agent = request.headers().get(USER_AGENT).cloned();
        let about = RequestContext::new(settings.ids.next(), address, agent);
        request.extensions_mut().insert(about.clone());
        let seen = Seen {
            about,
            method: request.method().clone(),
            route: match self.route {
                Some(route) => Route::Known(route),
                None => Route::Matched(request.extensions().get::<MatchedPath>().cloned()),
            },
            began: (settings.clock)(),
            settings: Arc::clone(settings),
        };
        let deadline = tokio::time::sleep(settings.timeout);
        Answer { inner: self.inner.call(request), deadline, seen }
    }
}

/// The template of a request's path.
enum Route {
    Known(&'static str),
    /// As the router found it, if any fitted.
    Matched(Option<MatchedPath>),
}

/// What is kept of a request while it is answered.
struct Seen {
    about: RequestContext,
    method: Method,
    route: Route,
    began: Duration,
    settings: Arc<Settings>,
}

pin_project! {
    /// An answer in the making.
    pub struct Answer<F> {
        #[pin]
        inner: F,
        #[pin]
        deadline: Sleep,
        seen: Seen,
    }
}

impl<F> fmt::Debug for Answer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for Answer<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        // After a panic the inner future is not polled again, so a state that it left half-changed is not seen.
        let response = match catch_unwind(AssertUnwindSafe(|| inner.poll(context))) {
            Ok(Poll::Ready(Ok(response))) => response,
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(Err(error)),
            Ok(Poll::Pending) => {
                if this.deadline.poll(context).is_pending() {
                    return Poll::Pending;
                }
                this.seen.timed_out().into_response()
            }
            Err(panic) => this.seen.panicked(panic.as_ref()).into_response(),
        };
        Poll::Ready(Ok(this.seen.complete(response)))
    }
}

impl Seen {
    /// A client that did not send its body is told so. A change that was cut short may still be on its way to
    /// the log, so its outcome is not known; a read has none.
    fn timed_out(&self) -> Problem {
        if self.about.is_awaiting_body() {
            Problem::new(codes::TIMEOUT)
        } else if self.method.is_safe() {
            Problem::new(codes::UNAVAILABLE).detail("There was no answer in time.").retry_after(1)
        } else {
            Problem::new(codes::OUTCOME_UNKNOWN).retry_after(1)
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Problem {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("not text");
        tracing::error!(request = %self.about.id(), panic = %mask(said), "a handler panicked");
        Problem::new(codes::INTERNAL)
    }

    /// The answer with everything that every answer has; counted and logged.
    fn complete(&self, mut response: Response) -> Response {
        let id = self.about.id();
        if is_error(response.status()) {
            response = self.explain(response);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id.header());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let status = response.status();
        let route = match &self.route {
            Route::Known(route) => route,
            Route::Matched(route) => route.as_ref().map_or(UNMATCHED, MatchedPath::as_str),
        };
        let took = (self.settings.clock)().saturating_sub(self.began);
        if let Some(metrics) = &self.settings.metrics {
            metrics.answered(route, &self.method, status, took);
        }
        // Neither the path nor the query is logged, nor a method of the client's own making: each may hold a secret
        // that was put in the wrong place.
        let (method, status) = (method_name(&self.method), status.as_u16());
        if status >= 500 {
            tracing::info!(request = %id, method, route, status, ?took, "answered");
        } else {
            tracing::debug!(request = %id, method, route, status, ?took, "answered");
        }
        response
    }

    /// Puts the request's id into a problem, and makes one of an error that says less than a problem would.
    fn explain(&self, mut response: Response) -> Response {
        let problem = match response.extensions_mut().remove::<Problem>() {
            Some(problem) => problem,
            None if says_little(response.headers()) => Problem::of_status(response.status()),
            None => return response,
        };
        let problem = match &self.settings.hide {
            Some(hide) => problem.without(hide.as_ref()),
            None => problem,
        };
        let mut explained = problem.render(Some(&self.about.id()));
        // What was added after the problem was made, such as `Allow` or the log's position, stays.
        for (name, value) in response.headers() {
            if !explained.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
                explained.headers_mut().append(name, value.clone());
            }
        }
        *explained.extensions_mut() = std::mem::take(response.extensions_mut());
        explained
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// Whether an error's body is absent or plain text, as the framework's own rejections are. Other formats were
/// chosen by a handler: OAuth and gRPC prescribe their own.
fn says_little(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::extract::Request;
    use axum::routing::{get, post};
    use bytes::Bytes;
    use serde::Deserialize;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::edge::extract::{Json, Path, Query};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Mint {
        name: String,
        #[serde(default)]
        scope: Option<Scope>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters here")]
    struct Scope {
        organization: String,
        uses: Option<u32>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<u32>,
    }

    fn stack(timeout: Duration) -> Stack {
        let ticks = AtomicU64::new(0);
        let clock = Arc::new(move || Duration::from_millis(ticks.fetch_add(1, Ordering::Relaxed)));
        Stack::new(RequestIds::new(1), clock, TrustedProxies::default(), timeout, None)
    }

    async fn panicking() -> StatusCode {
        panic!("with chyo_{}", "s".repeat(49))
    }

    fn router(timeout: Duration) -> Router {
        let routes = Router::new()
            .route(
                "/mint",
                post(
                    |Json(mint): Json<Mint>| async move { format!("{} {}", mint.name, mint.scope.is_some()) },
                ),
            )
            .route("/optional", post(|mint: Option<Json<Mint>>| async move { format!("{}", mint.is_some()) }))
            .route("/page", get(|Query(page): Query<Page>| async move { format!("{:?}", page.limit) }))
            .route("/item/{id}", get(|Path(id): Path<u32>| async move { format!("{id}") }))
            .route(
                "/pair/{org}/{id}",
                get(|Path((org, id)): Path<(String, u32)>| async move { format!("{org}{id}") }),
            )
            .route("/bytes", post(|body: Bytes| async move { format!("{}", body.len()) }))
            .route("/large", post(|_: Bytes| async {}).layer(DefaultBodyLimit::max(1 << 20)))
            .route("/panic", get(panicking))
            .route("/never", get(std::future::pending::<()>).post(std::future::pending::<()>))
            .route(
                "/own",
                get(|| async { (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "application/json")], "{}") }),
            )
            .route(
                "/who",
                get(|context: RequestContext| async move {
                    format!("{} {:?} {:?}", context.id(), context.address(), context.agent())
                }),
            );
        stack(timeout).wrap(routes)
    }

    async fn send(request: Request) -> (StatusCode, HeaderMap, Bytes) {
        let response = router(Duration::from_millis(30)).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers[REQUEST_ID], "00000001-0");
        assert_eq!(parts.headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(parts.headers[CACHE_CONTROL], "no-store");
        (parts.status, parts.headers, axum::body::to_bytes(body, usize::MAX).await.unwrap())
    }

    fn json(path: &str, body: impl Into<axum::body::Body>) -> Request {
        Request::post(path).header(CONTENT_TYPE, "application/json").body(body.into()).unwrap()
    }

    fn bare(method: &str, path: &str) -> Request {
        Request::builder().method(method).uri(path).body(axum::body::Body::empty()).unwrap()
    }

    async fn problem(request: Request) -> Value {
        let (status, headers, body) = send(request).await;
        assert_eq!(headers[CONTENT_TYPE], super::super::problem::MEDIA_TYPE);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["status"], status.as_u16());
        assert_eq!(body["request_id"], "00000001-0");
        body
    }

    #[tokio::test]
    async fn every_refusal_is_a_problem_that_names_the_field() {
        let long = "v".repeat(3_000);
        let secret = format!("chyo_{}", "s".repeat(49));
        for (request, code, field) in [
            (json("/mint", "{\"name\":"), "malformed_json", Value::Null),
            (json("/mint", ""), "malformed_json", Value::Null),
            (json("/mint", "{}"), "invalid_value", json!("name")),
            (json("/mint", "[1]"), "invalid_value", Value::Null),
            (json("/mint", "[\"a\"]"), "invalid_value", Value::Null),
            (json("/mint", "{\"name\":7}"), "invalid_value", json!("name")),
            (json("/mint", "{\"name\":\"a\",\"names\":1}"), "unknown_field", json!("names")),
            (json("/mint", "{\"name\":\"a\",\"scope\":{}}"), "invalid_value", json!("scope.organization")),
            (json("/mint", "{\"name\":\"a\",\"scope\":{\"org\":1}}"), "unknown_field", json!("scope.org")),
            (
                json(
                    "/mint",
                    format!("{{\"name\":\"a\",\"scope\":{{\"organization\":\"a\",\"uses\":\"{long}\"}}}}"),
                ),
                "invalid_value",
                json!("scope.uses"),
            ),
            (
                json("/mint", format!("{{\"name\":\"a\",\"scope\":\"{secret}\"}}")),
                "invalid_value",
                json!("scope"),
            ),
            (json("/mint", format!("{{\"{secret}\":1}}")), "unknown_field", json!("chyo_sssssss…")),
            (json("/mint", format!("{{\"name\":\"a\"}}{secret}")), "malformed_json", Value::Null),
            (bare("POST", "/mint"), "unsupported_media_type", Value::Null),
            (json("/mint", vec![b' '; BODY_LIMIT + 1]), "body_too_large", Value::Null),
            (json("/bytes", vec![b' '; BODY_LIMIT + 1]), "body_too_large", Value::Null),
            (bare("GET", "/page?limit=x"), "invalid_value", json!("limit")),
            (bare("GET", "/page?limits=1"), "unknown_field", json!("limits")),
            (bare("GET", "/item/x"), "malformed_request", Value::Null),
            (bare("GET", "/pair/a/x"), "malformed_request", Value::Null),
            (bare("GET", &format!("/item/{secret}")), "malformed_request", Value::Null),
            (bare("GET", "/item/%ff"), "malformed_request", json!("id")),
            (bare("GET", &format!("/nowhere/{secret}")), "no_such_route", Value::Null),
            (bare("GET", "/panic"), "internal", Value::Null),
            (bare("GET", "/never"), "unavailable", Value::Null),
            (bare("POST", "/never"), "outcome_unknown", Value::Null),
        ] {
            let shown = format!("{request:?}").chars().take(300).collect::<String>();
            let body = problem(request).await;
            assert_eq!(body["code"], code, "{shown} {body}");
            assert_eq!(body["errors"][0]["field"], field, "{shown} {body}");
            assert!(body.to_string().len() < 800, "{body}");
            assert!(!body.to_string().contains("ssssssss"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_slow_body_is_the_clients_timeout() {
        let body =
            axum::body::Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(problem(json("/mint", body)).await["code"], "timeout");
    }

    #[tokio::test]
    async fn a_wrong_method_says_which_are_right() {
        let (status, headers, _) = send(bare("DELETE", "/mint")).await;
        assert_eq!((status.as_u16(), headers["allow"].to_str().unwrap()), (405, "POST"));
    }

    #[tokio::test]
    async fn what_fits_passes() {
        for (request, expected) in [
            (json("/mint", "{\"name\":\"a\",\"scope\":{\"organization\":\"b\"}}"), "a true"),
            (json("/optional", ""), "false"),
            (bare("POST", "/optional"), "false"),
            (json("/optional", "{\"name\":\"a\"}"), "true"),
            (bare("GET", "/page"), "None"),
            (bare("GET", "/page?limit=3"), "Some(3)"),
            (bare("GET", "/item/3"), "3"),
            (json("/large", vec![b' '; BODY_LIMIT + 1]), ""),
            (bare("GET", "/who"), "00000001-0 None None"),
            (bare("GET", "/own"), "{}"),
        ] {
            let (_, _, body) = send(request).await;
            assert_eq!(body, expected);
        }
        for kind in ["application/json; charset=utf-8", "Application/JSON", "application/scim+json"] {
            let request =
                Request::post("/mint").header(CONTENT_TYPE, kind).body("{\"name\":\"a\"}".into()).unwrap();
            assert_eq!(send(request).await.0, 200, "{kind}");
        }
    }

    #[tokio::test]
    async fn the_pages_are_served_with_their_policies() {
        let document = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}});
        let router = stack(Duration::from_secs(5)).wrap(crate::edge::docs::routes(&document));
        for (path, status, has) in [
            ("/docs/", 200, "swagger-ui"),
            ("/docs/swagger-initializer.js", 200, "/openapi.json"),
            ("/docs/errors", 200, "token_superseded"),
            ("/docs/errors/outcome_unknown", 200, "<code>Idempotency-Key</code>"),
            ("/docs/errors/nonsense", 404, "not_found"),
            ("/docs/nonsense", 404, "not_found"),
            ("/openapi.json", 200, "\"openapi\":\"3.1.0\""),
        ] {
            let response = router.clone().oneshot(bare("GET", path)).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
            let page = response.headers().get("content-type").is_some_and(|kind| kind == "text/html");
            let policy = response.headers().get("content-security-policy");
            assert!(!page || policy.is_some(), "{path}");
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert!(String::from_utf8_lossy(&body).contains(has), "{path}");
        }
    }
}
