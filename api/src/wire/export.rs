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
