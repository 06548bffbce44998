use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A line of the log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// Its position.
    pub position: u64,
    /// Personal values of the line by the commitments that stand in it. An erased one is absent, and so is one that
    /// the caller may not see.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub personal: BTreeMap<String, String>,
    /// The commitments of the line whose values were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<String>,
    /// The commitments of the line for which another value is kept than it was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<String>,
    /// The exact line. `docs/events.md` has every shape.
    #[schema(value_type = Object)]
    pub line: Box<RawValue>,
}

/// How far the audit views have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditViews {
    /// The generation that is read.
    pub live: AuditGeneration,
    /// The generation that is being built, and will take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<AuditGeneration>,
    /// The size of the log.
    pub log_position: u64,
}

/// A generation of the audit views.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditGeneration {
    /// Its number.
    pub generation: u32,
    /// The size of the log that it stands for.
    pub position: u64,
}
