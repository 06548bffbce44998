//! Calls to an authority.
//!
//! Invariant: a change is sent under one idempotency key however often it is sent, so that sending it again after a
//! lost answer never does it twice.

pub(crate) mod address;
pub(crate) mod credential;
mod download;
pub(crate) mod login;
pub(crate) mod options;
pub(crate) mod secret_file;
mod send;
mod stream;

use crate::failure::{Failure, Refusal};
use crate::output::Output;
use api::wire::{Page, Problem};
use credential::Credential;
pub(crate) use download::Broken;
use eventlog::Random;
use options::Options;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH};
use reqwest::{Method, Url};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::time::Duration;
pub(crate) use stream::Event;
use zeroize::Zeroizing;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Items that are asked for at once, the most that the API gives.
const PAGE: usize = 1_000;

/// What came back: the value, and the very JSON that it was read from.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) json: Box<RawValue>,
}

/// A way to an authority, as somebody.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    /// Where the credential came from, for whoever is told that it is not accepted.
    source: String,
    at_least: Option<u64>,
    idempotency_key: Option<String>,
    verbose: bool,
    output: Output,
}

impl Client {
    /// As the caller that the options and the environment name. Nothing is sent yet.
    pub(crate) fn connect(options: &Options, output: &Output) -> Result<Self, Failure> {
        let base = address::read(&options.url())?;
        let (credential, remark) = credential::choose(options, &address::name(&base))?;
        if let Some(remark) = remark {
            output.remark(&remark);
        }
        Self::with(options, output, base, credential)
    }

    /// The same where nobody has to be logged in: without a token when none is there.
    pub(crate) fn connect_or_anonymous(options: &Options, output: &Output) -> Result<Self, Failure> {
        let base = address::read(&options.url())?;
        let (credential, remark) = credential::choose_if_any(options, &address::name(&base))?;
        if let Some(remark) = remark {
            output.remark(&remark);
        }
        Self::build(options, output, base, credential)
    }

    /// As the holder of a certain token.
    pub(crate) fn with(
        options: &Options,
        output: &Output,
        base: Url,
        credential: Credential,
    ) -> Result<Self, Failure> {
        Self::build(options, output, base, Some(credential))
    }

    fn build(
        options: &Options,
        output: &Output,
        base: Url,
        credential: Option<Credential>,
    ) -> Result<Self, Failure> {
        if address::is_cleartext(&base) && !options.insecure_http {
            return Err(Failure::Usage(format!(
                "{} would carry the token in cleartext; use https, or say --insecure-http",
                address::name(&base)
            )));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("chancery/", env!("CARGO_PKG_VERSION")))
            .default_headers(credential.as_ref().map(authorization).transpose()?.unwrap_or_default())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            // A redirect could carry the token to a host that nobody named.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // A proxy would read along.
            builder = builder.no_proxy();
        }
        if let Some(file) = options.ca_file().filter(|file| !file.as_os_str().is_empty()) {
            builder = builder.tls_certs_merge(certificates(&file)?);
        }
        let http = builder.build().map_err(|error| Failure::Other(format!("cannot set up TLS: {error}")))?;
        Ok(Self {
            http,
            base,
            source: credential.map_or_else(|| "no token".to_owned(), |credential| credential.source),
            at_least: options.at_least,
            idempotency_key: options.idempotency_key.clone(),
            verbose: options.verbose,
            output: output.clone(),
        })
    }

    /// The authority, as it is shown.
    pub(crate) fn authority(&self) -> String {
        address::name(&self.base)
    }

    /// Reads.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Answer<T>, Failure> {
        let mut url = address::endpoint(&self.base, path)?;
        if !query.is_empty() || self.at_least.is_some() {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(query);
            if let Some(position) = self.at_least {
                pairs.append_pair("at_least", &position.to_string());
            }
        }
        self.call(self.http.get(url), None).await
    }

    /// Reads what is not JSON.
    pub(crate) async fn text(&self, path: &[&str], query: &[(&str, String)]) -> Result<String, Failure> {
        let mut url = address::endpoint(&self.base, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let received = self.receive(self.http.get(url), None).await?;
        String::from_utf8(received.body).map_err(|_| self.strange("text that is not UTF-8"))
    }

    /// Reads pages until they end or there are `limit` items.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: Option<usize>,
    ) -> Result<Vec<Answer<T>>, Failure> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let left = limit.map_or(PAGE, |limit| limit - items.len());
            let mut query = query.to_vec();
            query.push(("limit", left.min(PAGE).to_string()));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let page: Answer<Page<Box<RawValue>>> = self.get(path, &query).await?;
            items.extend(self.items(page.value.items)?);
            cursor = page.value.next_cursor;
            if cursor.is_none() || limit.is_some_and(|limit| items.len() >= limit) {
                items.truncate(limit.unwrap_or(usize::MAX));
                return Ok(items);
            }
        }
    }

    /// What is on a page, with the JSON of each.
    pub(crate) fn items<T: DeserializeOwned>(
        &self,
        page: Vec<Box<RawValue>>,
    ) -> Result<Vec<Answer<T>>, Failure> {
        page.into_iter().map(|json| Ok(Answer { value: self.read(json.get())?, json })).collect()
    }

    /// Asks a question that has a body. It changes nothing.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Answer<T>, Failure> {
        let request = self.http.post(address::endpoint(&self.base, path)?);
        self.call(with_body(request, body), None).await
    }

    /// Says something that is answered with nothing, and that has its effect once however often it is said.
    pub(crate) async fn tell(&self, path: &[&str], body: &impl Serialize) -> Result<(), Failure> {
        let request = self.http.post(address::endpoint(&self.base, path)?);
        self.receive(with_body(request, body), None).await.map(drop)
    }

    /// Changes something, if `revision` is given only when it is still at that revision.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
        revision: Option<u64>,
    ) -> Result<Answer<T>, Failure> {
        let request = self.http.request(method, address::endpoint(&self.base, path)?);
        self.conditionally(with_body(request, body), revision).await
    }

    /// Whether every change goes out under one given key, so that a second one would be the first.
    pub(crate) fn has_own_key(&self) -> bool {
        self.idempotency_key.is_some()
    }

    /// Ends something, if `revision` is given only when it is still at that revision.
    pub(crate) async fn end<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        revision: Option<u64>,
    ) -> Result<Answer<T>, Failure> {
        let mut url = address::endpoint(&self.base, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.conditionally(self.http.delete(url), revision).await
    }

    /// Sends a change under a key of its own, or the one that is given.
    async fn conditionally<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        revision: Option<u64>,
    ) -> Result<Answer<T>, Failure> {
        let key = self.idempotency_key.clone().unwrap_or_else(new_key);
        let value = HeaderValue::from_str(&key)
            .map_err(|_| Failure::Usage("--idempotency-key is not visible ASCII characters".to_owned()))?;
        let mut request = request.header(IDEMPOTENCY_KEY, value);
        if let Some(revision) = revision {
            request = request.header(IF_MATCH, format!("\"{revision}\""));
        }
        self.call(request, Some(&key)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
        key: Option<&str>,
    ) -> Result<Answer<T>, Failure> {
        let received = self.receive(request, key).await?;
        let text = std::str::from_utf8(&received.body).map_err(|_| self.strange("text that is not UTF-8"))?;
        let json = serde_json::from_str(text).map_err(|_| self.strange("something other than JSON"))?;
        Ok(Answer { value: self.read(text)?, json })
    }

    /// What a request that was not refused is answered with.
    async fn receive(
        &self,
        request: reqwest::RequestBuilder,
        key: Option<&str>,
    ) -> Result<send::Received, Failure> {
        let request = request
            .build()
            .map_err(|error| Failure::Other(format!("cannot build the request: {}", send::cause(&error))))?;
        let received =
            send::patiently(&self.http, request, &self.authority(), key, |text| self.output.hint(text))
                .await?;
        if self.verbose {
            self.output.remark(&received.summary());
        }
        if !received.status.is_success() {
            return Err(self.refusal(&received, key));
        }
        Ok(received)
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, Failure> {
        // The error names fields and types, no values.
        serde_json::from_str(text).map_err(|error| self.strange(&format!("JSON of another shape ({error})")))
    }

    fn strange(&self, what: &str) -> Failure {
        let authority = self.authority();
        Failure::Other(format!("{authority} answered with {what}; is it an authority of Chancery?"))
    }

    fn refusal(&self, received: &send::Received, key: Option<&str>) -> Failure {
        let Ok(problem) = serde_json::from_slice::<Problem>(&received.body) else {
            let text = format!("{} answered {}, without saying more", self.authority(), received.status);
            return if received.status.is_server_error() {
                Failure::Unavailable(text)
            } else {
                Failure::Other(format!("{text}; is it an authority of Chancery?"))
            };
        };
        let hint = match problem.code.as_str() {
            "outcome_unknown" => key.map(send::repeat_hint),
            _ if problem.status == 401 => Some(format!("the call was made with {}", self.source)),
            _ => None,
        };
        let documentation = self.base.join(&problem.kind).ok().map(String::from);
        Failure::Problem(Box::new(Refusal { problem, documentation, hint }))
    }
}

fn authorization(credential: &Credential) -> Result<HeaderMap, Failure> {
    let text = Zeroizing::new(format!("Bearer {}", credential.token.expose_secret()));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Failure::NoCredential(format!("{} holds no token", credential.source)))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

fn certificates(file: &std::path::Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let shown = file.display();
    let pem = std::fs::read(file).map_err(|error| Failure::Other(format!("cannot read {shown}: {error}")))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Failure::Other(format!("{shown} holds no certificate in PEM"))),
    }
}

fn with_body(request: reqwest::RequestBuilder, body: &impl Serialize) -> reqwest::RequestBuilder {
    let body = serde_json::to_vec(body).expect("requests can be written as JSON");
    request.header(CONTENT_TYPE, "application/json").body(body)
}

/// A random UUID (RFC 9562, version 4).
fn new_key() -> String {
    uuid::Builder::from_random_bytes(Random::system().bytes()).into_uuid().to_string()
}
