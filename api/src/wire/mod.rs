//! What goes over the wire, for the server and for the command line.

mod audit;
mod ends;
mod explain;
mod export;
mod history;
mod import;
mod instance;
mod leak;
mod lineage;
mod organization;
mod people;
mod policy;
mod problem;
mod proof;
mod review;
mod revoke_tokens;
mod role;
mod token;
mod verify;

pub use crate::exports::Format as ExportFormat;
pub use crate::page::Page;
pub use audit::{AuditEvent, AuditGeneration, AuditViews};
pub use ends::{Contents, Delete, OrganizationStatus, StatusChange, Suspend, TokenCounts};
pub use explain::{AllowingGrant, Draft, Explain, ExplainedLink, Explanation};
pub use export::{ExportManifest, PersonalValue, PersonalValues};
pub use history::{AccessChange, AccessDiff, AsOf, Moment, PastMember, WhoCould};
pub use import::{Import, ImportAnswer, ImportKey, ImportOutcome, Imported};
pub use instance::{Answers, Instance, InstanceChange, Policy, PolicyChange};
pub use leak::{Leak, LeakReport};
pub use lineage::{Lineage, LineageNode};
pub use organization::{NewOrganization, NewProject, Organization, Project, Rename};
pub use people::{
    AcceptInvitation, Departure, Erase, Erasure, Invitation, Member, Memberships, NewInvitation, Offboard,
    ReissueInvitation, RemoveMember, SetMemberRole, User,
};
pub use policy::{OrganizationPolicy, OrganizationPolicyChange, PolicyHits, Sweep, Swept, SweptToken};
pub use problem::{FieldProblem, Problem};
pub use proof::{ConsistencyProof, InclusionProof};
pub use review::{AccessReview, HeldPermissions, Person, ReviewedToken, UsedPermission};
pub use revoke_tokens::{RevokeTokens, RevokedTokens, TokenFilter};
pub use role::{Level, NewRole, RetiredRole, Role, RoleChange};
pub use token::{
    DayOfUse, Identify, NarrowToken, NewToken, Presentation, Revocation, Revoke, Rotate, Scope, Status,
    Token, UpdateToken, Whoami,
};
pub use verify::{Client, Verdict, VerifiedToken, Verify, VerifyBatch, VerifyBatchAnswer};

use serde::{Deserialize, Deserializer};

/// Tells `null` from an absent field.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
