use super::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A secret that was seen where it should not be. Exactly one of `token` and `hash`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "chyp_…", "source": "paste", "url": "https://paste.example/7"
}))]
pub struct LeakReport {
    /// The secret, whole. It proves that it is out: the token is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// BLAKE3 of the secret, 64 hexadecimal digits. It only flags the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Where it was seen, in your words; at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where exactly; at most 2,048 bytes. It is kept for the token's owners and never fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A report of a leaked secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leak {
    /// The token's id.
    pub token: Uuid,
    /// The token's name.
    #[schema(example = "ci")]
    pub name: String,
    /// The first 12 characters of the token's present secret.
    #[schema(example = "chyp_4fT9aQ1")]
    pub prefix: String,
    /// Where the token acts.
    pub scope: Scope,
    /// Which of the token's secrets was seen: the first is 0.
    pub secret: u32,
    /// What the report rests on: `hash`, `secret` or `signature`.
    #[schema(example = "secret")]
    pub evidence: String,
    /// Where it was seen, in the reporter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Where exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was reported.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub at: String,
    /// Who reported it.
    #[schema(example = "anonymous")]
    pub by: String,
    /// Whether the token has been revoked.
    pub revoked: bool,
}
