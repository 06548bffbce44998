//! Who speaks HTTP to a node, and what it is answered.

use crate::sse::Sse;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// A client with or without a credential.
#[derive(Clone)]
pub struct Actor {
    client: Client,
    url: String,
    credential: Option<String>,
    headers: Vec<(String, String)>,
}

/// A request in the making.
pub struct Call(RequestBuilder);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body, read; null where it is empty or not JSON.
    pub body: Value,
}

impl Actor {
    /// Without a credential.
    pub fn anonymous(client: Client, url: &str) -> Actor {
        Actor { client, url: url.to_owned(), credential: None, headers: Vec::new() }
    }

    /// The same client with a credential.
    #[must_use]
    pub fn with(&self, credential: &str) -> Actor {
        Actor { credential: Some(credential.to_owned()), ..self.clone() }
    }

    /// The same with a header on every request.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> Actor {
        let mut actor = self.clone();
        actor.headers.push((name.to_owned(), value.to_owned()));
        actor
    }

    /// A request that nothing is known of yet but its method and path.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(credential) = &self.credential {
            request = request.bearer_auth(credential);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Call(request)
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path).json(&body).send().await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path).json(&body).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send().await
    }
}

impl Call {
    /// Sets a header, to visible ASCII or to any bytes that a header may have.
    #[must_use]
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Call {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        Call(self.0.header(name, HeaderValue::from_bytes(value.as_ref()).unwrap()))
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn key(self, key: &str) -> Call {
        self.header("idempotency-key", key)
    }

    /// Sets `If-Match`.
    #[must_use]
    pub fn if_match(self, tag: &str) -> Call {
        self.header("if-match", tag)
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Call {
        self.body(serde_json::to_vec(body).unwrap())
    }

    /// Sets a body that claims to be JSON.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Call {
        Call(self.0.header("content-type", "application/json").body(body.into()))
    }

    /// Sends it and waits for the answer.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// Sends it and reads what comes as server-sent events, if it is not refused.
    pub async fn stream(self) -> Sse {
        let response = self.0.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{}", response.text().await.unwrap());
        Sse::new(response)
    }

    /// The same, where the server may be gone.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.0.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, headers, text, body })
    }
}

impl Answer {
    /// The body of an answer that has this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}", self.text);
        &self.body
    }

    /// Checks a problem's status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> &Value {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        assert_eq!(self.body["type"], format!("/docs/errors/{code}"));
        &self.body
    }

    /// The code of a problem or a verdict.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The size of the log that the answer stands for.
    #[track_caller]
    pub fn position(&self) -> u64 {
        self.header("chancery-position").parse().expect("a position")
    }

    /// The entity tag.
    #[track_caller]
    pub fn tag(&self) -> String {
        let tag = self.header("etag").to_owned();
        assert!(!tag.is_empty(), "an entity tag");
        tag
    }

    /// A text of the body.
    #[track_caller]
    pub fn text_of(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_else(|| panic!("no text {field} in {}", self.text)).to_owned()
    }
}
