//! What every handler may know of the request that it answers: its id and who sent it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use domain::text::mask;
use http::HeaderValue;

/// The id of one request: eight hexadecimal digits of the node's boot, a dash, and a counter in base 36. Ids of
/// one node share their beginning and grow slowly, so they take little room on a compressed log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    text: [u8; Self::LONGEST],
    length: u8,
}

impl RequestId {
    /// Eight digits, a dash, and the 13 digits that `u64::MAX` takes in base 36.
    const LONGEST: usize = 22;

    /// The `count`-th request of a node's boot.
    pub fn new(boot: u32, mut count: u64) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut text = [0; Self::LONGEST];
        for (place, digit) in text[..8].iter_mut().enumerate() {
            *digit = DIGITS[(boot >> (28 - 4 * place)) as usize & 0xf];
        }
        text[8] = b'-';
        let mut reversed = [0; 13];
        let mut digits = 0;
        loop {
            reversed[digits] = DIGITS[(count % 36) as usize];
            digits += 1;
            count /= 36;
            if count == 0 {
                break;
            }
        }
        for (place, digit) in reversed[..digits].iter().rev().enumerate() {
            text[9 + place] = *digit;
        }
        Self { text, length: 9 + digits as u8 }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.length)]).expect("made of ASCII digits")
    }

    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.text[..usize::from(self.length)]).expect("made of ASCII digits")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Gives out the request ids of one boot of a node.
#[derive(Debug)]
pub struct RequestIds {
    boot: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// `boot` is random, so that ids of two boots differ.
    pub fn new(boot: u32) -> Self {
        Self { boot, next: AtomicU64::new(0) }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        RequestId::new(self.boot, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What is known of a request beside its content. Found in the request's extensions, or as an extractor.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: RequestId,
    address: Option<IpAddr>,
    agent: Option<HeaderValue>,
    awaiting_body: AtomicBool,
}

impl RequestContext {
    /// A context, as the middleware makes it. Public for the tests of handlers.
    pub fn new(id: RequestId, address: Option<IpAddr>, agent: Option<HeaderValue>) -> Self {
        Self(Arc::new(Inner { id, address, agent, awaiting_body: AtomicBool::new(false) }))
    }

    /// The request's id, as the answer's `X-Request-Id` says it.
    pub fn id(&self) -> RequestId {
        self.0.id
    }

    /// The client's address; `None` where the router is called without a socket.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// The client's `User-Agent`, masked; `None` when it is absent or not visible ASCII.
    pub fn agent(&self) -> Option<String> {
        let agent = self.0.agent.as_ref()?.to_str().ok()?;
        Some(mask(agent).into_owned())
    }

    /// Noted around the reading of a body, so that a timeout knows whether the client or the server was slow.
    pub(super) fn awaits_body(&self, awaits: bool) {
        self.0.awaiting_body.store(awaits, Ordering::Relaxed);
    }

    pub(super) fn is_awaiting_body(&self) -> bool {
        self.0.awaiting_body.load(Ordering::Relaxed)
    }
}

impl RequestContext {
    /// The context of the request with these extensions.
    pub fn of(extensions: &http::Extensions) -> Result<Self, super::Problem> {
        extensions.get::<Self>().cloned().ok_or_else(|| {
            tracing::error!("a handler that needs the request's context was called outside the stack");
            super::Problem::new(super::codes::INTERNAL)
        })
    }
}

impl<S: Sync> axum::extract::FromRequestParts<S> for RequestContext {
    type Rejection = super::Problem;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Self::Rejection> {
        Self::of(&parts.extensions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compact_and_in_order() {
        for (boot, count, text) in [
            (0, 0, "00000000-0"),
            (0xdead_beef, 35, "deadbeef-z"),
            (1, 36, "00000001-10"),
            (u32::MAX, u64::MAX, "ffffffff-3w5e11264sgsf"),
        ] {
            assert_eq!(RequestId::new(boot, count).as_str(), text);
        }
        let ids = RequestIds::new(7);
        assert_eq!((ids.next().as_str(), ids.next().as_str()), ("00000007-0", "00000007-1"));
    }

    #[test]
    fn an_agent_is_masked() {
        let agent = |text: &str| {
            let value = Some(HeaderValue::from_str(text).unwrap());
            RequestContext::new(RequestId::new(0, 0), None, value).agent()
        };
        assert_eq!(agent("curl/8").as_deref(), Some("curl/8"));
        let secret = format!("chyu_{}", "q".repeat(49));
        assert_eq!(agent(&secret).as_deref(), Some("chyu_qqqqqqq…"));
    }
}
