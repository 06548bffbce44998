//! Answers: JSON with the log's position, and an entity tag where there is a revision.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// The size of the log that an answer stands for.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("chancery-position");

/// An answer with a body.
pub(crate) struct Answer<T> {
    status: StatusCode,
    body: T,
    position: u64,
    revision: Option<u64>,
    location: Option<String>,
}

impl<T: Serialize> Answer<T> {
    pub(crate) fn ok(body: T, position: u64) -> Self {
        Self { status: StatusCode::OK, body, position, revision: None, location: None }
    }

    /// 201 with the path of what was made.
    pub(crate) fn created(body: T, position: u64, location: String) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), ..Self::ok(body, position) }
    }

    pub(crate) fn revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(POSITION, HeaderValue::from(self.position));
        if let Some(revision) = self.revision {
            let tag = format!("\"{revision}\"");
            headers.insert(ETAG, HeaderValue::from_str(&tag).expect("digits and quotes are visible"));
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(LOCATION, location);
        }
        response
    }
}
