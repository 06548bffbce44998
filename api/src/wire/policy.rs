use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What an organization's tokens may be at most. A number is 0, a text absent and a list empty where it restricts
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganizationPolicy {
    /// The name of the organization.
    #[schema(example = "acme")]
    pub organization: String,
    /// The id of the organization.
    pub organization_id: Uuid,
    /// The longest that a token may go on from when it is minted, narrowed, rotated or given a later end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "90d")]
    pub max_lifetime: Option<String>,
    /// What a token lasts that is minted or narrowed without saying; `max_lifetime` if that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "30d")]
    pub default_lifetime: Option<String>,
    /// Whether a token that is minted, narrowed, rotated or changed in its expiry has to have one.
    pub expiry_required: bool,
    /// A token that is unused for more days than this is revoked.
    pub max_inactive_days: u32,
    /// From where tokens may be used, beside what each of them allows.
    pub allowed_networks: Vec<String>,
    /// The most tokens that may be minted within an hour, or narrowed from each that was.
    pub max_mints_per_hour: u32,
    /// The most minted tokens that may live at a time, and of each the most that are narrowed from it.
    pub max_live_tokens: u32,
    /// So many days after a secret was made, its rotation is due.
    pub rotation_due_days: u32,
    /// Whether a token whose secret is overdue is refused (`expired`) until it is rotated.
    pub rotation_enforced: bool,
    /// The roles that may be given to tokens.
    pub allowed_roles: Vec<String>,
    /// What a report does that proves that a token's secret is out: `cascade` revokes it with everything that it minted,
    /// `revoke` it alone, `flag` leaves it to its owners.
    #[schema(example = "cascade")]
    pub leak_response: String,
    /// What it would hit today; absent where it is shown as of another moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<PolicyHits>,
    /// Which change of the organization it is; the `ETag` says the same.
    pub revision: u64,
}

/// How many live tokens stand against each setting of a policy today.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyHits {
    /// All that live.
    pub live_tokens: u64,
    /// Would go on for longer than `max_lifetime` from now on. They do, but cannot be rotated before they are shortened.
    pub beyond_max_lifetime: u64,
    /// Have no expiry although one is required.
    pub without_expiry: u64,
    /// Would be revoked by the next sweep, because they are unused for longer than `max_inactive_days`.
    pub inactive: u64,
    /// Can be used from nowhere, because the networks of their own lie outside `allowed_networks`.
    pub outside_networks: u64,
    /// Have a secret that is overdue for rotation.
    pub rotation_overdue: u64,
    /// Hold a role that is not in `allowed_roles`.
    pub role_not_allowed: u64,
}

/// A change of an organization's policy; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationPolicyChange {
    /// The longest lifetime, `1m` to `36500d`; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "90d")]
    pub max_lifetime: Option<String>,
    /// The lifetime of tokens that do not say one, `1m` to `36500d`; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "30d")]
    pub default_lifetime: Option<String>,
    /// Whether tokens have to have an expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_required: Option<bool>,
    /// Days from 1 to 365; 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_inactive_days: Option<u32>,
    /// All of them, at most 64; empty is from anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_networks: Option<Vec<String>>,
    /// 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_mints_per_hour: Option<u32>,
    /// 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_live_tokens: Option<u32>,
    /// Days from 1 to 3,650; 0 is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_due_days: Option<u32>,
    /// Whether a token whose secret is overdue is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation_enforced: Option<bool>,
    /// All of them, at most 64; empty is every role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_roles: Option<Vec<String>>,
    /// `cascade`, `revoke` or `flag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "cascade")]
    pub leak_response: Option<String>,
    /// Only say what it would come to and hit; nothing is changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// A sweep.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Only say what it would revoke.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What a sweep revoked, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Swept {
    /// Whether nothing was revoked, because only that was asked for.
    pub dry_run: bool,
    /// The days of inactivity that the policy allows; 0 is off.
    pub max_inactive_days: u32,
    /// How many tokens it is about.
    pub count: u64,
    /// The first 1,000 of them, in the order of their minting.
    pub tokens: Vec<SweptToken>,
}

/// A token that a sweep is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SweptToken {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[schema(example = "ci")]
    pub name: String,
    /// The first 12 characters of its secret.
    #[schema(example = "chyp_4fT9aQ1")]
    pub prefix: String,
    /// Since when it, and what was narrowed from it, was unused.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub unused_since: String,
}
