use super::Token;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// An invitation to become a member. Its text is only in the answer that hands it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// The mail address; absent when it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.org")]
    pub email: Option<String>,
    /// Which of the fields above are absent because they were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub erased: Vec<String>,
    /// Which of them are absent because what is kept is not what the line was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub altered: Vec<String>,
    /// The name of the organization.
    #[schema(example = "acme")]
    pub organization: String,
    /// The name of the project, when it is not to the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What the member will hold there.
    #[schema(example = "member")]
    pub role: String,
    /// What has become of it: `open`, `accepted`, `withdrawn` or `expired`.
    #[schema(example = "open")]
    pub status: String,
    /// How it is given out: `mail` (to the mail address alone), `answer` (in `secret`, to who asked for it), or `none`:
    /// nobody has it yet, and an owner can ask for it with `reissue`.
    #[schema(example = "answer")]
    pub delivery: String,
    /// What became of the mail, in the answer that has it sent, this once: `sent` (the mail server took it), `retrying`
    /// (the server could not be reached, or says to try later; that is done for some minutes) or `refused` (the server
    /// does not take it, or there is no address any more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "sent")]
    pub mail: Option<String>,
    /// Its text, to be accepted with. It is shown this once; give it to nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// When it was given.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub created_at: String,
    /// Who gave it out.
    #[schema(example = "admin-token")]
    pub created_by: String,
    /// It can be accepted until just before then.
    #[schema(example = "2026-11-29T10:15:00.123456Z")]
    pub expires_at: String,
    /// Who accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Uuid>,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// A new invitation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "role": "member", "expires_in": "7d"}))]
pub struct NewInvitation {
    /// The mail address.
    pub email: String,
    /// What the member will hold: a role of the organization or, with a project, of that.
    pub role: String,
    /// A project of the organization, by name or id; absent is the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How long it can be accepted, at most `90d`; `7d` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "7d")]
    pub expires_in: Option<String>,
}

/// Another text for an invitation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReissueInvitation {
    /// How long it can be accepted from now on, at most `90d`; `7d` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "7d")]
    pub expires_in: Option<String>,
}

/// The acceptance of an invitation.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// The invitation's text.
    pub invitation: String,
    /// The person's name, at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ada Lovelace")]
    pub name: Option<String>,
}

/// A role that a person has in an organization or a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The person's id.
    pub user: Uuid,
    /// The mail address; absent when it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.org")]
    pub email: Option<String>,
    /// Whether the person has shown to receive mail there.
    pub email_verified: bool,
    /// The person's name; absent when it was not said, or was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ada Lovelace")]
    pub name: Option<String>,
    /// Which of the fields above are absent because they were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub erased: Vec<String>,
    /// Which of them are absent because what is kept is not what the line was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub altered: Vec<String>,
    /// The name of the organization.
    #[schema(example = "acme")]
    pub organization: String,
    /// The name of the project, when the role is not held in the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The role.
    #[schema(example = "member")]
    pub role: String,
    /// When the person became a member there.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub since: String,
    /// Which change of it this is; the `ETag` says the same.
    pub revision: u64,
}

/// The roles that a person has in an organization and its projects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Memberships {
    /// The person's id.
    pub user: Uuid,
    /// The roles, that of the whole organization first.
    pub members: Vec<Member>,
    /// The live tokens in the organization that the person answers for, without sessions; the first 1,000.
    pub tokens: Vec<Token>,
}

/// Another role for a member, or a first one in a project.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMemberRole {
    /// The role: one of the organization or, with a project, of that.
    pub role: String,
    /// A project of the organization, by name or id; absent is the whole organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// The end of a membership.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// Only of this project, by name or id; absent is of the organization and all its projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What becomes of the tokens there that the person answers for: `keep` (when absent), `revoke` or `hand-over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "keep")]
    pub tokens: Option<String>,
    /// The id of the member who takes them over, when they are handed over: one who could have minted them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The end of a person's stay.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offboard {
    /// What becomes of the tokens that the person answers for: `keep` (when absent), `revoke` or `hand-over`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "revoke")]
    pub tokens: Option<String>,
    /// The id of the person who takes them over, when they are handed over: in each organization a member who could
    /// have minted them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Somebody who left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Departure {
    /// The person's id.
    pub user: Uuid,
    /// The tokens that the person answered for, as they are now: kept, revoked or handed over; the first 1,000.
    pub tokens: Vec<Token>,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The person's id.
    pub id: Uuid,
    /// The mail address; absent when it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada@example.org")]
    pub email: Option<String>,
    /// Whether the person has shown to receive mail there.
    pub email_verified: bool,
    /// The person's name; absent when it was not said, or was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ada Lovelace")]
    pub name: Option<String>,
    /// Which of the fields above are absent because they were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub erased: Vec<String>,
    /// Which of them are absent because what is kept is not what the line was written with: somebody has changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!([]))]
    pub altered: Vec<String>,
    /// The names of the organizations in which the person has a role.
    pub organizations: Vec<String>,
    /// When the person first accepted an invitation.
    #[schema(example = "2026-11-22T10:15:00.123456Z")]
    pub created_at: String,
    /// When the person left the whole instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offboarded_at: Option<String>,
    /// When what was kept about the person was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<String>,
    /// Which change of the person this is; the `ETag` says the same.
    pub revision: u64,
}

/// Whose values are kept no longer: a person's by its id, or everybody's who has or was invited by a mail address.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "dry_run": true}))]
pub struct Erase {
    /// The person's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The mail address, in upper and lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Only say what would be erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What was erased, or would be. Nothing of it is left for a person who was erased before, or whom nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Whether nothing has happened yet.
    pub dry_run: bool,
    /// The person's ids: several where it accepted invitations to one mail address without a session, and none where it
    /// never accepted any.
    pub users: Vec<Uuid>,
    /// How many invitations there are to the mail address, or were accepted by the person.
    pub invitations: u64,
    /// The names of the organizations that they are of.
    pub organizations: Vec<String>,
    /// How many values of which kind: `address`, `agent`, `email`, `name`. Counted right before; of the persons' at
    /// most 10,001, which stands for more than 10,000.
    #[schema(example = json!({"address": 3, "agent": 2, "email": 1, "name": 1}))]
    pub values: BTreeMap<String, u64>,
    /// Members who have the mail address and have not shown to receive mail there: they lose the address and nothing
    /// else. Offboard and erase them by id if they are the person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Uuid>,
    /// Whether there is more: repeat the request until it is false.
    #[serde(default)]
    pub more: bool,
}
