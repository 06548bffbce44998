use super::{Imported, present};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a token acts: `{"instance": true}`, `{"organization": "acme"}` or
/// `{"organization": "acme", "project": "web"}`, by names or ids. Always stated: an absent scope is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization": "acme", "project": "web"}))]
pub struct Scope {
    /// The whole instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<bool>,
    /// An organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// A project of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Neither expired nor revoked; it may not have begun yet.
    Live,
    /// Past its time.
    Expired,
    /// Revoked, or ended with the token it was narrowed from.
    Revoked,
}

/// How a token was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// When.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub at: String,
    /// By whom.
    #[schema(example = "org-token:chyo_4fT9aQ1")]
    pub by: String,
    /// Why.
    #[schema(example = "requested")]
    pub reason: String,
    /// Why, in somebody's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The token whose revocation took this one with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
}

/// A token. Its secret is only in the answer to mint, narrow and rotate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its id, which survives rotation.
    pub id: Uuid,
    /// Its name, unique among the live tokens of its scope.
    #[schema(example = "ci")]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The first 12 characters of its secret, to recognise it by.
    #[schema(example = "chyp_4fT9aQ1")]
    pub prefix: String,
    /// Its secret, shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Where it acts.
    pub scope: Scope,
    /// The id of its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// The id of its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Uuid>,
    /// What it may do: `role`, or `role@project`.
    #[schema(example = json!(["project-writer"]))]
    pub grants: Vec<String>,
    /// What has become of it.
    pub status: Status,
    /// When its organization's policy wants its secret rotated; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-12-22T10:15:00.123456Z")]
    pub rotation_due: Option<String>,
    /// When it was minted.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub created_at: String,
    /// Who minted it.
    #[schema(example = "admin-token")]
    pub created_by: String,
    /// The token that minted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Uuid>,
    /// Whether it was narrowed from its parent, so that it ends with it and can never do more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    /// Where it comes from, when it was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// In force from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// In force until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Where it may be used from; absent means anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// A JSON object of the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// The secret before the last rotation is valid until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_until: Option<String>,
    /// When it was last used: answered valid, or a caller itself. About a second behind the log; absent where the token
    /// is shown as the answer to a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// Its last use in detail, where `last_used_at` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Presentation>,
    /// The last time it was refused, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refused: Option<Presentation>,
    /// How often it was presented on which day, the latest first: of the 90 days up to the last on which it was. Only
    /// where one token is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<DayOfUse>,
    /// How it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// One time that a token was presented, to Chancery or to a service that asked about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Presentation {
    /// When.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub at: String,
    /// Why it was refused: a verdict's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The permission in question, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The network address of who presented it, where it is known and was not erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The user agent, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Which of the fields above are absent because they were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub erased: Vec<String>,
    /// Which of them are absent because what is kept is not what the line was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub altered: Vec<String>,
}

/// How often a token was presented on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayOfUse {
    /// The day in UTC.
    #[schema(example = "2026-11-22")]
    pub day: String,
    /// How often it was answered valid, or acted itself.
    pub used: u64,
    /// How often it was refused.
    pub refused: u64,
}

/// A new token.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "ci", "scope": {"organization": "acme", "project": "web"}, "grants": ["project-writer"],
    "expires_in": "30d"
}))]
pub struct NewToken {
    /// Its name, unique among the live tokens of its scope; at most 128 bytes.
    pub name: String,
    /// What it is for; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it acts.
    #[serde(deserialize_with = "crate::object::object")]
    pub scope: Scope,
    /// What it may do: roles of its scope, or for a token of an organization also `role@project`. At most 64.
    pub grants: Vec<String>,
    /// How long it lasts: `30d`, `12h`. Without this and `expires_at` it ends with the token that mints it, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// When it ends (RFC 3339); `null` is never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Option<String>>,
    /// When it begins (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Where it may be used from: networks such as `10.0.0.0/8`, or addresses. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// A JSON object of the owner's, at most 4 KiB, without floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A token that can do no more than the caller, and ends with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NarrowToken {
    /// Its name, unique among the live tokens of the caller's scope.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it may do, within what the caller may; absent means all of the caller's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
    /// How long it lasts; without this and `expires_at` it ends with the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// When it ends (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it begins (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Where it may be used from, within the caller's networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_networks: Vec<String>,
    /// A JSON object of the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// A change of a token; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateToken {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new description; empty removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The new metadata; an empty object removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// The new grants, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<String>>,
    /// How long from now it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// When it ends (RFC 3339); `null` is never.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Option<String>>,
}

/// A rotation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// How long the secret before stays valid, at most `7d` and never past the expiry; absent ends it at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1h")]
    pub overlap: Option<String>,
}

/// A revocation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Why: `requested` (when absent) or `leaked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "requested")]
    pub reason: Option<String>,
    /// Why, in your words; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether everything that the token minted ends with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cascade: bool,
}

/// A search for the token that a text belongs to. Exactly one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identify {
    /// The whole text. It is not counted as a use of the token, and kept nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Its beginning, 5 to 12 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// Who it is, as the log names it.
    #[schema(example = "org-token:chyo_4fT9aQ1")]
    pub actor: String,
    /// The token, unless it is the break-glass token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Token>,
    /// What it may do at its scope, wildcards as they stand.
    pub permissions: Vec<String>,
}
