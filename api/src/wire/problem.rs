use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error (RFC 9457).
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Its documentation page.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors/invalid_value")]
    pub kind: String,
    /// What kind of error it is, in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What kind of error it is, for programs; stable.
    #[schema(example = "invalid_value")]
    pub code: String,
    /// What was wrong, with which value, and what would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The fields at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// What the caller lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A field at fault.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// Where it is.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}
