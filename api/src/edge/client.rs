//! Who the client is: the socket's peer or, behind trusted proxies, the address that the nearest of them saw.
//!
//! A forwarding header is a list that every proxy appends to, so only its right end, written by proxies that
//! are trusted, means anything. It is read from the right and no further than that, and what a client wrote on
//! the left, well-formed or not, is never looked at.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

use super::context::RequestContext;

/// The networks whose word about their own peer is believed (`--trusted-proxies`).
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Networks given as IPv4-mapped IPv6 are taken as the IPv4 networks that they stand for.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().map(canonical_network).collect())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address: `peer`, unless that is a trusted proxy; then the right-most address of
    /// `X-Forwarded-For` or `Forwarded` (RFC 7239) that is not a trusted proxy itself.
    ///
    /// Where the list ends, or an entry that is reached is not an address (`unknown`, `_hidden`, malformed),
    /// the answer is the last address that was vouched for. When both headers are there and disagree, nobody
    /// knows which of them the proxy wrote, so the answer is the peer.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.0.is_empty() || !self.trusts(peer) {
            return peer;
        }
        let listed = headers.contains_key(X_FORWARDED_FOR);
        let forwarded = headers.contains_key(FORWARDED);
        match (listed, forwarded) {
            (false, false) => peer,
            (true, false) => self.nearest_untrusted(peer, x_forwarded_for(headers)),
            (false, true) => self.nearest_untrusted(peer, rfc7239(headers)),
            (true, true) => {
                let first = self.nearest_untrusted(peer, x_forwarded_for(headers));
                let second = self.nearest_untrusted(peer, rfc7239(headers));
                if first == second { first } else { peer }
            }
        }
    }

    fn nearest_untrusted(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut nearest = peer;
        for hop in hops {
            let Some(address) = hop else { break };
            nearest = address;
            if !self.trusts(address) {
                break;
            }
        }
        nearest
    }
}

const X_FORWARDED_FOR: &str = "x-forwarded-for";

fn canonical_network(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(length) = v6.prefix_len().checked_sub(96)
        && let Ok(mapped) = ipnet::Ipv4Net::new(v4, length)
    {
        return mapped.into();
    }
    network
}

/// The entries of every `X-Forwarded-For` line from right to left; `None` for one that is not an address.
fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
    lines
        .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
        .map(|entry| std::str::from_utf8(entry).ok().and_then(node_address))
}

/// The elements of every `Forwarded` line from right to left; `None` for one whose `for` is not an address.
fn rfc7239(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all(FORWARDED).iter().rev();
    lines
        .flat_map(|line| SplitFromRight { rest: Some(line.as_bytes()), at: b',' })
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
        .map(element_address)
}

/// Splits at a separator outside quoted strings, starting at the right end, so that an unbalanced quote on the
/// left, where a client may write what it likes, cannot swallow what a proxy wrote on the right.
struct SplitFromRight<'a> {
    rest: Option<&'a [u8]>,
    at: u8,
}

impl<'a> Iterator for SplitFromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut quoted = false;
        for place in (0..rest.len()).rev() {
            let byte = rest[place];
            if byte == b'"' && !(quoted && is_escaped(rest, place)) {
                quoted = !quoted;
            } else if byte == self.at && !quoted {
                self.rest = Some(&rest[..place]);
                return Some(&rest[place + 1..]);
            }
        }
        Some(rest)
    }
}

/// Whether an odd number of backslashes stands before `place`.
fn is_escaped(text: &[u8], place: usize) -> bool {
    text[..place].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The address in the `for` parameter of one `Forwarded` element; `None` unless there is exactly one.
fn element_address(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in (SplitFromRight { rest: Some(element), at: b';' }) {
        let pair = std::str::from_utf8(pair.trim_ascii()).ok()?;
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(for_value(value)?);
        }
    }
    found
}

/// A `for` value, a token or a quoted string. An IPv6 address must be quoted and in brackets (RFC 7239, 6).
fn for_value(value: &str) -> Option<IpAddr> {
    let Some(inner) = value.strip_prefix('"') else {
        return if value.contains([':', '[', '"']) { None } else { node_address(value) };
    };
    let inner = inner.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next()?),
            '"' => return None,
            other => text.push(other),
        }
    }
    // An unquoted colon of an IPv6 address without brackets would be read as a port's: RFC 7239 forbids it.
    if text.matches(':').count() > 1 && !text.starts_with('[') { None } else { node_address(&text) }
}

/// An address with an optional port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`. A port may be obfuscated (`_x`, RFC 7239, 6.3).
fn node_address(text: &str) -> Option<IpAddr> {
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (inside, port) = rest.split_once(']')?;
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        IpAddr::V6(inside.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, _) = text.split_once(':').filter(|(_, port)| is_port(port))?;
        IpAddr::V4(address.parse().ok()?)
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    if let Some(hidden) = text.strip_prefix('_') {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        return !hidden.is_empty() && hidden.bytes().all(allowed);
    }
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The client's address as an extractor; `None` inside where the router is called without a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Sync> axum::extract::FromRequestParts<S> for ClientAddress {
    type Rejection = super::Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        RequestContext::from_request_parts(parts, state).await.map(|context| Self(context.address()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proxies are 10.0.0.0/8 and fd00::/8; the peer is 10.0.0.1 unless a case says otherwise.
    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn x_forwarded_for_is_read_from_the_right() {
        for (line, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("6.6.6.6, 192.0.2.7", "192.0.2.7"),
            ("6.6.6.6, 192.0.2.7, 10.0.0.9", "192.0.2.7"),
            ("10.0.0.8, 10.0.0.9", "10.0.0.8"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7, ::ffff:10.0.0.9", "192.0.2.7"),
            ("192.0.2.7, fd00::5", "192.0.2.7"),
            ("6.6.6.6, unknown", "10.0.0.1"),
            ("6.6.6.6, garbage, 10.0.0.9", "10.0.0.9"),
            ("192.0.2.7:99999", "10.0.0.1"),
            ("192.0.2.7:", "10.0.0.1"),
            ("fe80::1%eth0", "10.0.0.1"),
            ("[2001:db8::1", "10.0.0.1"),
            ("[192.0.2.7]", "10.0.0.1"),
            ("garbage\", 192.0.2.7", "192.0.2.7"),
            (", ,192.0.2.7, ", "192.0.2.7"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &[("x-forwarded-for", line)]), expected, "{line}");
        }
    }

    #[test]
    fn forwarded_is_read_from_the_right() {
        for (line, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
            ("for=6.6.6.6, for=192.0.2.7", "192.0.2.7"),
            ("for=192.0.2.7, for=10.0.0.9;by=\"[fd00::1]\"", "192.0.2.7"),
            ("for=\"192.0.2.7:4711\"", "192.0.2.7"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]:_port\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=\"\\1\\92.0.2.7\"", "192.0.2.7"),
            ("host=\"a,b;c=\\\"d\";for=192.0.2.7", "192.0.2.7"),
            ("for=6.6.6.6, for=unknown", "10.0.0.1"),
            ("for=6.6.6.6, for=_hidden, for=10.0.0.9", "10.0.0.9"),
            ("for=6.6.6.6, proto=https", "10.0.0.1"),
            ("for=6.6.6.6;for=192.0.2.7", "10.0.0.1"),
            ("for=2001:db8::1", "10.0.0.1"),
            ("for=\"2001:db8::1\"", "10.0.0.1"),
            ("for=[2001:db8::1]", "10.0.0.1"),
            // A client's unbalanced quote must not swallow what the proxy appended.
            ("for=6.6.6.6;x=\", for=192.0.2.7", "192.0.2.7"),
            ("for=\"6.6.6.6, for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("x=\"\\, for=192.0.2.7;proto=\"https\"", "192.0.2.7"),
            ("for=6.6.6.6;x=\\\", for=192.0.2.7;by=\"_a\"", "192.0.2.7"),
        ] {
            assert_eq!(client("10.0.0.1", &[("forwarded", line)]), expected, "{line}");
        }
    }

    #[test]
    fn lines_count_from_the_last_and_headers_must_agree() {
        let xff = "x-forwarded-for";
        assert_eq!(client("10.0.0.1", &[(xff, "6.6.6.6"), (xff, "192.0.2.7")]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[(xff, "192.0.2.7"), (xff, "10.0.0.9")]), "192.0.2.7");
        assert_eq!(
            client("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("forwarded", "for=10.0.0.9")]),
            "6.6.6.6"
        );
        assert_eq!(client("10.0.0.1", &[(xff, "192.0.2.7"), ("forwarded", "for=192.0.2.7")]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[(xff, "192.0.2.7"), ("forwarded", "for=6.6.6.6")]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn an_untrusted_peer_claims_nothing() {
        let claims = [("x-forwarded-for", "10.0.0.9"), ("forwarded", "for=10.0.0.9")];
        assert_eq!(client("192.0.2.1", &claims), "192.0.2.1");
        assert_eq!(client("::ffff:192.0.2.1", &claims[..1]), "192.0.2.1");
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.7")]), "192.0.2.7");
        let mapped = TrustedProxies::new(["::ffff:10.0.0.0/104".parse().unwrap()]);
        assert!(mapped.trusts("10.1.2.3".parse().unwrap()));
        let none = TrustedProxies::default();
        assert_eq!(none.client("::1".parse().unwrap(), &HeaderMap::new()).to_string(), "::1");
    }
}
