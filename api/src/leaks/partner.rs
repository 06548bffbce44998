//! The form in which GitHub's secret-scanning partner programme reports: a JSON array, signed as it stands.
//!
//! The header `Github-Public-Key-Identifier` names a key, and `Github-Public-Key-Signature` holds the base64 of an
//! ECDSA signature (P-256, SHA-256, DER) over the bytes of the body. The keys are configured, never fetched.

use crate::edge::{Problem, codes};
use crate::error::invalid;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;

/// Who signs, as lines write it.
pub(super) const PARTNER: &str = "github";
const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";
/// The most matches of one report.
const MOST: usize = 1_000;

/// The public keys of the partner, by their identifiers.
#[derive(Clone, Default)]
pub struct PartnerKeys(HashMap<String, Vec<u8>>);

/// The document in which the partner publishes its keys.
#[derive(Deserialize)]
struct Published {
    public_keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key_identifier: String,
    key: String,
}

/// One match. What the partner adds to it later is not looked at.
#[derive(Deserialize)]
pub(super) struct Match {
    pub(super) token: String,
    #[serde(default)]
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) source: Option<String>,
}

impl PartnerKeys {
    /// Reads the document in which the partner publishes its keys: `{"public_keys": [{"key_identifier": …, "key":
    /// "-----BEGIN PUBLIC KEY-----…"}]}`.
    pub fn read(document: &str) -> Result<Self, String> {
        let published: Published = serde_json::from_str(document).map_err(|error| {
            format!("it is not {{\"public_keys\": [{{\"key_identifier\", \"key\"}}]}}: {error}")
        })?;
        let keys = published.public_keys.into_iter().map(|published| {
            let key = read_pem(&published.key).ok_or_else(|| {
                format!("the key `{}` is not a PEM block PUBLIC KEY", published.key_identifier)
            })?;
            Ok((published.key_identifier, key))
        });
        keys.collect::<Result<_, String>>().map(Self)
    }

    /// The matches of a report that this partner has signed.
    pub(super) fn open(&self, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Match>, Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signature = STANDARD.decode(text(SIGNATURE)).unwrap_or_default();
        let is_signed = self.0.get(text(IDENTIFIER)).is_some_and(|key| {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(body, &signature).is_ok()
        });
        if !is_signed {
            return Err(Problem::new(codes::SIGNATURE_INVALID));
        }
        let matches: Vec<Match> = serde_json::from_slice(body)
            .map_err(|_| Problem::new(codes::MALFORMED_JSON).detail("It is not a list of matches."))?;
        if matches.len() > MOST {
            return Err(invalid("body", &matches.len().to_string(), "a list of at most 1000 matches"));
        }
        Ok(matches)
    }
}

/// Whether a report claims to be signed.
pub(super) fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key(SIGNATURE) || headers.contains_key(IDENTIFIER)
}

fn read_pem(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let inner = inner.strip_suffix("-----END PUBLIC KEY-----")?;
    let base64: String = inner.split_whitespace().collect();
    STANDARD.decode(base64).ok().filter(|key| !key.is_empty())
}

impl fmt::Debug for PartnerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// The example of the programme's own documentation.
    const DOCUMENT: &str = r#"{"public_keys":[{"key_identifier":"90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a","key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\nkCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n-----END PUBLIC KEY-----\n","is_current":true}]}"#;
    const ID: &str = "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a";
    const BODY: &[u8] = br#"[{"token":"some_token","type":"some_type","url":"some_url"}]"#;
    const SIGNED: &str =
        "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXxa2sY8FNkrKc=";

    fn headers(identifier: &'static str, signature: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(IDENTIFIER, HeaderValue::from_static(identifier));
        headers.insert(SIGNATURE, HeaderValue::from_static(signature));
        headers
    }

    #[test]
    fn the_documented_example_is_accepted_and_nothing_else() {
        let keys = PartnerKeys::read(DOCUMENT).unwrap();
        let found = keys.open(&headers(ID, SIGNED), BODY).unwrap();
        assert_eq!((found[0].token.as_str(), found[0].url.as_deref()), ("some_token", Some("some_url")));
        let mut changed = BODY.to_vec();
        changed[12] = b'x';
        for (headers, body) in [
            (headers(ID, SIGNED), &changed[..]),
            (headers("another", SIGNED), BODY),
            (headers(ID, ""), BODY),
            (headers(ID, "no base64"), BODY),
            (HeaderMap::new(), BODY),
        ] {
            assert!(keys.open(&headers, body).is_err());
        }
        assert!(PartnerKeys::default().open(&headers(ID, SIGNED), BODY).is_err());
    }

    #[test]
    fn a_document_that_is_none_is_refused() {
        for bad in ["", "[]", "{}", r#"{"public_keys":[{"key_identifier":"a","key":"b"}]}"#] {
            assert!(PartnerKeys::read(bad).is_err(), "{bad}");
        }
    }
}
