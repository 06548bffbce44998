use super::{Problem, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// Keys that were issued elsewhere, to become tokens of this authority.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// 1 to 1,000 keys.
    #[serde(deserialize_with = "crate::object::list")]
    pub items: Vec<ImportKey>,
    /// Only say what would come of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A key that was issued elsewhere, by its hash.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "ci", "scope": {"organization": "acme"}, "grants": ["member"], "algorithm": "sha256",
    "hash": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae", "owner": "ada"
}))]
pub struct ImportKey {
    /// Its name, unique among the live tokens of its scope; at most 128 bytes.
    pub name: String,
    /// Where it acts.
    #[serde(deserialize_with = "crate::object::object")]
    pub scope: Scope,
    /// What it may do: `role`, or `role@project`.
    pub grants: Vec<String>,
    /// `sha256` or `blake3`.
    #[schema(example = "sha256")]
    pub algorithm: String,
    /// The hash of its text: 32 bytes as hexadecimal digits or as base64.
    pub hash: String,
    /// What it is for; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON object of the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// In force from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// In force until just before then; absent, as long as the token that imports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Where it may be used from; absent, from where the token that imports it may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// Who owned it, as you say; at most 256 bytes. Kept as a personal value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was issued, as you say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// What came of an import, in the order of its keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ImportAnswer {
    /// One for each key.
    pub items: Vec<ImportOutcome>,
}

/// What came of one key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportOutcome {
    /// `imported`, `known` where this very import was done before, or `refused`.
    #[schema(example = "imported")]
    pub status: String,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Where an imported token comes from, as whoever imported it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// By what its key was hashed: `sha256` or `blake3`.
    pub algorithm: String,
    /// Who owned it; absent in lists, and where it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Which of the fields above are absent because they were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub erased: Vec<String>,
    /// Which of them are absent because what is kept is not what the line was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub altered: Vec<String>,
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}
