use crate::exports::Format;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a file of an export holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportManifest {
    /// What it is written as.
    #[schema(inline)]
    pub format: Format,
    /// Whose lines; absent where everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Uuid>,
    /// Its first position.
    pub from_position: u64,
    /// The position before which it ends.
    pub until_position: u64,
    /// The size that the log had.
    pub size: u64,
    /// The lines of the log that it shows.
    pub lines: u64,
    /// How long it is.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// A checkpoint that holds the file's last line, as it was published. Absent where none came within five seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// That the lines before `until_position` are the beginning of those that the checkpoint has signed (RFC 6962,
    /// section 2.1.2): SHA-256, base64. Empty where it has signed exactly these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consistency: Vec<String>,
}

/// What stands behind the commitments of some lines, in the order of the commitments.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PersonalValues {
    /// The position before which those lines end.
    pub until_position: u64,
    /// The size of the log.
    pub size: u64,
    /// The values that were not erased.
    pub items: Vec<PersonalValue>,
}

/// A personal value as it is kept. It is the one that its lines were written with where `commitment` is SHA-256 of `salt`,
/// `kind`, a zero byte and `value`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonalValue {
    /// As lines carry it: base64url.
    pub commitment: String,
    /// 16 bytes, base64url.
    pub salt: String,
    /// `address`, `agent`, `email` or `name`.
    #[schema(example = "address")]
    pub kind: String,
    /// The value.
    #[schema(example = "192.0.2.7")]
    pub value: String,
}
