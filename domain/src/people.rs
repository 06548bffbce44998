//! What happens to people: the shapes of the events about users, members and invitations.
//!
//! A person's mail address and name never stand in a line, only commitments to them.

use crate::id::{InvitationId, ProjectId, TokenId, UserId};
use crate::name::Name;
use crate::secret::{Prefix, SecretHash};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Somebody is asked to become a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInvited {
    /// The new invitation.
    pub invitation: InvitationId,
    /// The project, when it is not to the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// What the member will hold there.
    pub role: Name,
    /// Commitment to the mail address.
    pub email: Box<str>,
    /// How it can be accepted.
    #[serde(flatten)]
    pub issue: Issue,
}

/// How an invitation can be accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// BLAKE3 of its text; none as long as nobody was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<SecretHash>,
    /// Whether the text went to the mail address and nowhere else, so that who accepts has shown to receive mail there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mailed: bool,
    /// Until just before then.
    pub expires_at: Timestamp,
}

/// An invitation has another text; the one before is no longer accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationReissued {
    /// The invitation.
    pub invitation: InvitationId,
    /// How it can be accepted from now on.
    #[serde(flatten)]
    pub issue: Issue,
}

/// Somebody became a member, and has a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationAccepted {
    /// The invitation.
    pub invitation: InvitationId,
    /// The person: a new one, unless it was known before.
    pub user: UserId,
    /// Commitment to the person's name, if it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// The session.
    pub token: TokenId,
    /// BLAKE3 of the session's secret.
    pub hash: SecretHash,
    /// The first characters of the session's secret.
    pub prefix: Prefix,
    /// The session lasts until just before then.
    pub expires_at: Timestamp,
}

/// A member holds another role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRoleChanged {
    /// The person.
    pub user: UserId,
    /// The project, when the role is not held in the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The role before; none where the member held none there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Name>,
    /// The role now.
    pub after: Name,
}

/// What becomes of the tokens that somebody answers for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// They stay as they are.
    #[default]
    Keep,
    /// They end at once.
    Revoke,
    /// Another member answers for them.
    HandOver,
}

/// Somebody is no longer a member: of a project, or of an organization and all its projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRemoved {
    /// The person.
    pub user: UserId,
    /// The project, when the person stays in the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// What becomes of the tokens there that the person answers for.
    pub tokens: Fate,
    /// Who answers for them from now on, when they are handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<UserId>,
}

/// A person's values are kept no longer: their commitments in the lines stay, and open to nothing.
///
/// It stands on the instance with everybody whom it is about, and in each organization that invited the person with what
/// is that organization's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonErased {
    /// The person: several ids where it accepted invitations to one mail address without a session; none where it never
    /// accepted any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserId>,
    /// The organization's invitations whose mail address was erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invitations: Vec<InvitationId>,
}
