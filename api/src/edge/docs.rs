//! `/docs/`: the API reference, browsable without a connection to anywhere else, and `/openapi.json`.
//!
//! Chosen: Swagger UI through `utoipa-swagger-ui` with its `vendored` feature. It is a well-kept library that
//! reads OpenAPI 3.1, its script is inside the crate (nothing is downloaded when building or when serving), and
//! it lets people try a call. `utoipa-scalar` loads its script from a content delivery network; a page rendered
//! here would be a few hundred lines to keep and could not try anything. What it costs is about 4 MB in the
//! binary and a policy that lets its script set inline styles; scripts stay limited to its own files.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::error_pages;

/// Takes the place of the library's own few rules for the page around its interface.
const STYLE: &str = include_str!("docs.css");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `/docs/`, `/docs/errors…` and `/openapi.json` for an OpenAPI document. Goes inside [`Stack::wrap`].
///
/// [`Stack::wrap`]: super::Stack::wrap
pub fn routes(document: &Value) -> Router {
    let document = Bytes::from(document.to_string());
    let config = Config::new(["/openapi.json"])
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .display_request_duration(true)
        .filter(true)
        .validator_url("none");
    let page = Router::from(SwaggerUi::new("/docs").config(config))
        .route("/docs/index.css", get(|| async { ([(CONTENT_TYPE, "text/css")], STYLE) }))
        .layer(from_fn(harden));
    page.merge(error_pages::routes()).route(
        "/openapi.json",
        get(move || {
            let document = document.clone();
            async move {
                let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
                (headers, document).into_response()
            }
        }),
    )
}

async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
