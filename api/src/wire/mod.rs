//! What goes over the wire, for the server and for the command line.

mod instance;
mod lineage;
mod organization;
mod problem;
mod revoke_tokens;
mod token;
mod verify;

pub use crate::page::Page;
pub use instance::{Answers, Instance, InstanceChange, Policy, PolicyChange};
pub use lineage::{Lineage, LineageNode};
pub use organization::{NewOrganization, NewProject, Organization, Project, Rename};
pub use problem::{FieldProblem, Problem};
pub use revoke_tokens::{RevokeTokens, RevokedTokens, TokenFilter};
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
