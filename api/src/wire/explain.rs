use super::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A question: would this be allowed, and why? About a token (`id`) or a draft of one; exactly one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "draft": {"scope": {"organization": "acme"}, "grants": ["project-writer@web"]},
    "permission": "deployments:create", "organization": "acme", "project": "web"
}))]
pub struct Explain {
    /// The id of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A token that there could be; it is taken to be in force.
    #[serde(default, deserialize_with = "crate::object::optional", skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
    /// What it would do.
    pub permission: String,
    /// In which organization, by name or id. Without it and `project`, at the token's own scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// In which project, by name or id: of `organization` or, without it, of the token's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// From which network address; absent leaves networks aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What a token would be minted with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Where it would act.
    #[serde(deserialize_with = "crate::object::object")]
    pub scope: Scope,
    /// What it would hold: `role`, or for an organization also `role@project`. At most 64.
    pub grants: Vec<String>,
}

/// Whether it would be allowed, and what that rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Whether it would.
    pub allowed: bool,
    /// What a verify would be answered: `valid`, `forbidden`, `revoked` and so on.
    #[schema(example = "valid")]
    pub code: String,
    /// What it would do.
    #[schema(example = "deployments:create")]
    pub permission: String,
    /// Where that was looked at.
    pub place: Scope,
    /// The token or the draft, then each token that it was narrowed from: all of them have to allow it.
    pub chain: Vec<ExplainedLink>,
    /// What no grant gives: the permission and the place; empty when the grants would do.
    #[schema(example = json!([]))]
    pub missing: Vec<String>,
}

/// One token of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedLink {
    /// Its id; absent for the draft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Whether its grants allow it.
    pub allows: bool,
    /// The grants that do; empty where the caller may not read the token.
    pub by: Vec<AllowingGrant>,
}

/// A grant, and the permission of its role that allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllowingGrant {
    /// The grant: `role`, or `role@project`.
    #[schema(example = "project-writer@web")]
    pub grant: String,
    /// The permission as it stands in the role.
    #[schema(example = "deployments:*")]
    pub permission: String,
}
