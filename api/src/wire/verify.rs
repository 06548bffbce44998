use super::Scope;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use utoipa::ToSchema;
use uuid::Uuid;

/// A question: may this token do this?
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "chyp_4fT9aQ1…", "permission": "deployments:create", "organization": "acme", "project": "web"
}))]
pub struct Verify {
    /// The text that was presented.
    pub token: String,
    /// What it would do; absent asks only whether it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The organization in question, by name or id; absent means the caller's. A caller of the instance has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The project in question, by name or id; absent means the caller's, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The resource in question, in your words, for the record; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Who presented the token to you.
    #[serde(default, deserialize_with = "crate::object::optional", skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("permission", &self.permission).finish_non_exhaustive()
    }
}

/// Who presented a token.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its network address. A token that is bound to networks is refused without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "203.0.113.7")]
    pub address: Option<String>,
    /// Its user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// Up to 1,000 questions, answered by one commit.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyBatch {
    /// The questions.
    #[serde(deserialize_with = "crate::object::list")]
    pub items: Vec<Verify>,
}

/// An answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// Whether the token may.
    pub valid: bool,
    /// `valid`, or the first that applies of `malformed`, `unknown`, `superseded`, `revoked`,
    /// `organization_suspended`, `not_yet_valid`, `expired`, `address_denied`, `wrong_organization`,
    /// `wrong_project`, `forbidden`. In a batch also `rate_limited`, in the place of an `unknown` that is withheld.
    #[schema(example = "valid")]
    pub code: String,
    /// The token, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<VerifiedToken>,
    /// The position of the record of this answer on the log; absent where there is none, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

/// What an answer says of a token.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerifiedToken {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The first 12 characters of its secret.
    pub prefix: String,
    /// Where it acts.
    pub scope: Scope,
    /// What it may do.
    pub grants: Vec<String>,
    /// What it may do in the place in question, wildcards as they stand.
    pub permissions: Vec<String>,
    /// In force until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Who minted it.
    pub created_by: String,
    /// The owner's JSON object; empty when there is none.
    #[schema(value_type = Object)]
    pub metadata: Box<RawValue>,
}

/// Answers, in the order of the questions.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct VerifyBatchAnswer {
    /// One a question.
    pub items: Vec<Verdict>,
}
