use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How verify is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answers {
    /// Each answer waits until its use is committed to the log.
    Committed,
    /// Answers come from memory at once, at most `max_staleness_ms` old; uses are recorded shortly after.
    Bounded,
}

/// The instance's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// How verify is answered.
    pub answers: Answers,
    /// With bounded answers: milliseconds that one may lag behind the log.
    pub max_staleness_ms: u32,
    /// With bounded answers: milliseconds within which a use is on the log.
    pub record_within_ms: u32,
    /// A token of the instance that is unused for more days than this is revoked; 0 is off.
    pub max_inactive_days: u32,
}

/// The instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// The name of its log.
    #[schema(example = "chancery.example/3f9c2a71")]
    pub origin: String,
    /// The public key that signs checkpoints of the log: Ed25519, base64.
    pub log_key: String,
    /// The keys that sign checkpoints now, as programs that check them take them (C2SP signed-note): the log's and, for a
    /// while after a rotation, the one before.
    #[schema(example = json!(["chancery.example/3f9c2a71+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"]))]
    pub verifier_keys: Vec<String>,
    /// When it began.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub started_at: String,
    /// Its policy.
    pub policy: Policy,
    /// The number of lifecycle events on its log.
    pub version: u64,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// A change of the instance; what is absent stays.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceChange {
    /// The policy.
    #[serde(default, deserialize_with = "crate::object::optional", skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyChange>,
}

/// A change of the policy; what is absent stays.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// How verify is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<Answers>,
    /// From 500 to 60,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness_ms: Option<u32>,
    /// From 1 to 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_within_ms: Option<u32>,
    /// Days from 1 to 365; 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_inactive_days: Option<u32>,
}
