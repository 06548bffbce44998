//! Everything that can be enrolled. The names and shapes are stored: they are explicit, and pinned by snapshots.

use crate::id::{InvitationId, OrganizationId, ProjectId, TokenId, UserId};
use crate::import::Algorithm;
use crate::name::Name;
use crate::network::Networks;
use crate::people::{
    InvitationAccepted, InvitationReissued, MemberInvited, MemberRemoved, MemberRoleChanged, PersonErased,
};
use crate::permission::PermissionSet;
use crate::policy::PolicySettings;
use crate::role::Level;
use crate::scope::{Grant, Scope};
use crate::secret::{Prefix, SecretHash};
use crate::state::Token;
use crate::time::Timestamp;
use crate::verify::Code;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// How the authority answers verify; a setting on the log, so that all nodes promise the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answers {
    /// Each answer waits until its use is committed.
    Committed,
    /// Answers come from memory, at most `max_staleness_ms` old; uses follow within `record_within_ms`.
    Bounded,
}

/// The instance's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancePolicy {
    /// How verify is answered.
    pub answers: Answers,
    /// Milliseconds that a bounded answer may lag behind the log.
    pub max_staleness_ms: u32,
    /// Milliseconds within which a bounded use is on the log.
    pub record_within_ms: u32,
    /// The most days that a token of the instance may go unused before it is revoked, up to 365; 0 is off.
    #[serde(default, skip_serializing_if = "is_off")]
    pub max_inactive_days: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_off(number: &u32) -> bool {
    *number == 0
}

/// The name and the display name of an organization or a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naming {
    /// Its unique name.
    pub name: Name,
    /// What people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Box<str>>,
}

/// What people and programs wrote about a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name, unique among the live tokens of its scope.
    pub name: Box<str>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// A JSON object of the owner's, at most 4 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A JSON object in its shortest form with sorted keys and without floats.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Metadata(pub(crate) Box<RawValue>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let shortest = serde_json::to_string(&object).map_err(D::Error::custom)?;
        if shortest != raw.get() {
            return Err(D::Error::custom("metadata is not in its shortest form with sorted keys"));
        }
        Ok(Self(raw))
    }
}

impl Metadata {
    /// The JSON text.
    pub fn json(&self) -> &RawValue {
        &self.0
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Metadata {}

/// A token's beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenMinted {
    /// The new token.
    pub token: TokenId,
    /// Its project, when its scope is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Its name.
    pub name: Box<str>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// A JSON object of the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it may do.
    pub grants: Arc<[Grant]>,
    /// BLAKE3 of its secret.
    pub hash: SecretHash,
    /// The first characters of its secret.
    pub prefix: Prefix,
    /// The token that minted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TokenId>,
    /// Whether it was narrowed from its parent, so that it ends with it and can never do more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    /// In force from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// In force until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Where it may be used from.
    #[serde(default, skip_serializing_if = "Networks::is_anywhere")]
    pub allowed_networks: Networks,
}

/// The beginning of a token whose text was issued elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenImported {
    /// The new token.
    pub token: TokenId,
    /// Its project, when its scope is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Its name.
    pub name: Box<str>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Box<str>>,
    /// A JSON object of the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What it may do.
    pub grants: Arc<[Grant]>,
    /// By what its text was hashed where it comes from.
    pub algorithm: Algorithm,
    /// That hash, hashed once more under a key of the authority's own.
    pub hash: SecretHash,
    /// The token that imported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TokenId>,
    /// Whether its parent is narrowed, so that it ends with it and can never do more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    /// In force from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// In force until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Where it may be used from.
    #[serde(default, skip_serializing_if = "Networks::is_anywhere")]
    pub allowed_networks: Networks,
    /// Who owned it, as whoever imported it says: in a line a commitment, in a decision the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Box<str>>,
    /// When it was issued, as whoever imported it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

/// A new secret for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRotated {
    /// The token.
    pub token: TokenId,
    /// The ordinal of its new secret; the first secret has 0.
    pub secret: u32,
    /// BLAKE3 of the new secret.
    pub hash: SecretHash,
    /// The first characters of the new secret.
    pub prefix: Prefix,
    /// The secret before stays valid until just before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_until: Option<Timestamp>,
}

/// Why a token was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Somebody asked for it.
    Requested,
    /// It was not used for longer than the policy allows.
    Inactive,
    /// Its secret was seen where it should not be.
    Leaked,
    /// Who minted it left.
    MemberRemoved,
    /// Its project ended.
    ProjectDeleted,
    /// Its organization ended.
    OrganizationDeleted,
}

impl Reason {
    /// The reasons that a caller may give.
    pub const GIVEN: &[(&str, Self)] = &[("requested", Self::Requested), ("leaked", Self::Leaked)];
}

/// A token's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The token.
    pub token: TokenId,
    /// Why.
    pub reason: Reason,
    /// Why, in somebody's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
    /// Whether everything that it minted ends with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cascade: bool,
}

/// What a report of a leak rests on, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Only a hash of the secret: whoever has read the log could name it.
    Hash,
    /// The secret itself.
    Secret,
    /// A partner's signature over the report.
    Signature,
}

impl Evidence {
    /// As lines and answers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Secret => "secret",
            Self::Signature => "signature",
        }
    }
}

/// A report that a token's secret was seen where it should not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakReported {
    /// The token.
    pub token: TokenId,
    /// The ordinal of the secret that was seen.
    pub secret: u32,
    /// What the report rests on.
    pub evidence: Evidence,
    /// Where it was seen, in the reporter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<str>>,
    /// Where exactly. Nobody fetches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Box<str>>,
}

/// Which tokens of an organization are meant, or of the instance's own. What is absent leaves none out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFilter {
    /// Those of this project; of the organization and all of its projects, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Those that this actor minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<By>,
    /// Those that this token minted, under whichever prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TokenId>,
    /// Those that this person answers for, with the person's sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<UserId>,
    /// Those minted then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_from: Option<Timestamp>,
    /// Those minted earlier than then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
    /// Those that hold this role, wherever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Name>,
}

impl TokenFilter {
    /// Whether a token of the organization is one of them.
    pub fn chooses(&self, token: &Token) -> bool {
        self.created_from.is_none_or(|from| token.created_at >= from)
            && self.created_before.is_none_or(|end| token.created_at < end)
            && self.project.is_none_or(|project| token.scope.project() == Some(project))
            && self.parent.is_none_or(|parent| token.parent == Some(parent))
            && self.person.is_none_or(|person| token.person == Some(person))
            && self.created_by.as_ref().is_none_or(|by| token.created_by == *by)
            && self.role.as_ref().is_none_or(|role| token.grants.iter().any(|grant| grant.role == *role))
    }
}

/// The end of all live tokens that a filter chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokensRevoked {
    /// Which.
    pub filter: TokenFilter,
    /// How many they were.
    pub count: u64,
    /// Why.
    pub reason: Reason,
    /// Why, in somebody's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Box<str>>,
}

/// What a presented token was asked to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Asked<S> {
    /// The operation of Chancery's own API that was called, as its OpenAPI document names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<S>,
    /// The permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<S>,
    /// The organization: its id, or the text that named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<S>,
    /// The project: its id, or the text that named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<S>,
    /// The resource, in the asking service's words; of a call of Chancery's own API, what it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<S>,
}

/// Who presented a token to the asking service, as commitments to personal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client<S> {
    /// The network address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<S>,
    /// The user agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<S>,
}

/// A record that a token was presented, and what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use<S> {
    /// The token.
    pub token: TokenId,
    /// The ordinal of the secret that was shown.
    pub secret: u32,
    /// Why it was refused; none when it was valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What was asked.
    pub asked: Asked<S>,
    /// Who presented it, where the asking service said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Client<S>>,
    /// The version that a bounded answer was decided on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// How many identical ones this line stands for, when more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A use of the break-glass token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminUse<S> {
    /// What it was used for.
    pub asked: Asked<S>,
    /// The version that a bounded answer was decided on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// A place in a log: its size, and the id of the commit that ends there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPlace {
    /// Lines.
    pub size: u64,
    /// The last commit.
    pub commit: uuid::Uuid,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The authority began.
    AuthorityStarted {
        /// The log's name, for ever.
        origin: Box<str>,
        /// The public key that signs checkpoints: Ed25519, base64.
        log_key: Box<str>,
        /// The policy at the start.
        policy: InstancePolicy,
    },
    /// An instance administrator changed the policy.
    InstancePolicyChanged {
        /// As it was.
        before: InstancePolicy,
        /// As it is.
        after: InstancePolicy,
    },
    /// An operator accepted a database that does not contain what a node had seen.
    LogResumed {
        /// What the node had seen.
        expected: LogPlace,
        /// What the database held.
        found: LogPlace,
        /// The origin of checkpoints from here on.
        origin: Box<str>,
    },
    /// Another key signs checkpoints.
    LogKeyRotated {
        /// The public key that signed: Ed25519, base64.
        before: Box<str>,
        /// The one that signs.
        after: Box<str>,
        /// Both sign until just before then.
        both_until: Timestamp,
    },
    /// The break-glass token was used.
    AdminTokenUsed(AdminUse<Box<str>>),
    /// A role began.
    RoleDefined {
        /// Its name.
        role: Name,
        /// Where it can be held.
        level: Level,
        /// What it may do.
        permissions: PermissionSet,
    },
    /// A role may do something else.
    RoleChanged {
        /// Its name.
        role: Name,
        /// What it could do.
        before: PermissionSet,
        /// What it may do.
        after: PermissionSet,
    },
    /// A role ended.
    RoleRetired {
        /// Its name.
        role: Name,
        /// The role that its holders have from now on in its place.
        replacement: Option<Name>,
    },
    /// An organization began.
    OrganizationCreated(Naming),
    /// An organization has another name or display name.
    OrganizationRenamed {
        /// As it was.
        before: Naming,
        /// As it is.
        after: Naming,
    },
    /// An organization's tokens are refused, until it is restored.
    OrganizationSuspended {
        /// Why, in somebody's words.
        note: Option<Box<str>>,
    },
    /// A suspended organization's tokens are accepted again.
    OrganizationRestored {
        /// Why, in somebody's words.
        note: Option<Box<str>>,
    },
    /// An organization ended, with everything in it.
    OrganizationDeleted {
        /// Why, in somebody's words.
        note: Option<Box<str>>,
    },
    /// The owners of an organization changed its policy.
    OrganizationPolicyChanged {
        /// The settings that changed, as they were.
        before: PolicySettings,
        /// The same, as they are.
        after: PolicySettings,
    },
    /// A project began.
    ProjectCreated {
        /// The new project.
        project: ProjectId,
        /// Its name.
        naming: Naming,
    },
    /// A project has another name or display name.
    ProjectRenamed {
        /// The project.
        project: ProjectId,
        /// As it was.
        before: Naming,
        /// As it is.
        after: Naming,
    },
    /// A project ended, with everything in it.
    ProjectDeleted {
        /// The project.
        project: ProjectId,
        /// Why, in somebody's words.
        note: Option<Box<str>>,
    },
    /// Somebody is asked to become a member.
    MemberInvited(MemberInvited),
    /// An invitation has another text.
    InvitationReissued(InvitationReissued),
    /// An invitation can no longer be accepted.
    InvitationWithdrawn {
        /// The invitation.
        invitation: InvitationId,
    },
    /// Somebody became a member.
    InvitationAccepted(InvitationAccepted),
    /// A member holds another role.
    MemberRoleChanged(MemberRoleChanged),
    /// Somebody is no longer a member.
    MemberRemoved(MemberRemoved),
    /// A person left the whole instance.
    UserOffboarded {
        /// The person.
        user: UserId,
    },
    /// A person's values are kept no longer.
    PersonErased(PersonErased),
    /// A token began.
    TokenMinted(TokenMinted),
    /// A token began whose text was issued elsewhere.
    TokenImported(TokenImported),
    /// Something else is written about a token.
    TokenDescribed {
        /// The token.
        token: TokenId,
        /// As it was.
        before: Description,
        /// As it is.
        after: Description,
    },
    /// A token may do something else.
    TokenGrantsChanged {
        /// The token.
        token: TokenId,
        /// What it could do.
        before: Arc<[Grant]>,
        /// What it may do.
        after: Arc<[Grant]>,
    },
    /// A token expires at another time.
    TokenExpiryChanged {
        /// The token.
        token: TokenId,
        /// When it would have expired; none is never.
        before: Option<Timestamp>,
        /// When it expires.
        after: Option<Timestamp>,
    },
    /// A token has a new secret.
    TokenRotated(TokenRotated),
    /// A token ended.
    TokenRevoked(TokenRevoked),
    /// A token's secret was reported as leaked.
    LeakReported(LeakReported),
    /// All live tokens that a filter chose ended.
    TokensRevoked(TokensRevoked),
    /// A token was presented and answered valid.
    TokenUsed(Use<Box<str>>),
    /// A known token was presented and refused.
    TokenRefused(Use<Box<str>>),
}

impl Event {
    /// Whether it changes who may do what. Uses do not.
    pub fn is_lifecycle(&self) -> bool {
        !matches!(self, Self::TokenUsed(_) | Self::TokenRefused(_) | Self::AdminTokenUsed(_))
    }

    /// What the event made or changed, for the answer to a repeated request.
    pub fn subject(&self, organization: Option<OrganizationId>) -> Option<Subject> {
        match self {
            Self::OrganizationCreated(_)
            | Self::OrganizationRenamed { .. }
            | Self::OrganizationSuspended { .. }
            | Self::OrganizationRestored { .. }
            | Self::OrganizationDeleted { .. }
            | Self::OrganizationPolicyChanged { .. } => organization.map(Subject::Organization),
            Self::ProjectCreated { project, .. }
            | Self::ProjectRenamed { project, .. }
            | Self::ProjectDeleted { project, .. } => Some(Subject::Project(*project)),
            Self::TokenMinted(TokenMinted { token, .. })
            | Self::TokenImported(TokenImported { token, .. })
            | Self::TokenDescribed { token, .. }
            | Self::TokenGrantsChanged { token, .. }
            | Self::TokenExpiryChanged { token, .. }
            | Self::TokenRotated(TokenRotated { token, .. })
            | Self::TokenRevoked(TokenRevoked { token, .. })
            | Self::LeakReported(LeakReported { token, .. })
            | Self::InvitationAccepted(InvitationAccepted { token, .. }) => Some(Subject::Token(*token)),
            Self::MemberInvited(MemberInvited { invitation, .. })
            | Self::InvitationReissued(InvitationReissued { invitation, .. })
            | Self::InvitationWithdrawn { invitation } => {
                organization.map(|organization| Subject::Invitation(organization, *invitation))
            }
            Self::MemberRoleChanged(MemberRoleChanged { user, .. })
            | Self::MemberRemoved(MemberRemoved { user, .. }) => {
                organization.map(|organization| Subject::Member(organization, *user))
            }
            Self::UserOffboarded { user } => Some(Subject::User(*user)),
            Self::PersonErased(erased) => {
                Some(erased.users.first().map_or(Subject::Instance, |user| Subject::User(*user)))
            }
            Self::InstancePolicyChanged { .. } | Self::LogKeyRotated { .. } => Some(Subject::Instance),
            Self::RoleDefined { .. } | Self::RoleChanged { .. } | Self::RoleRetired { .. } => {
                Some(Subject::Roles(organization))
            }
            Self::TokensRevoked(revoked) => {
                let scope = match (organization, revoked.filter.project) {
                    (None, _) => Scope::Instance,
                    (Some(organization), None) => Scope::Organization(organization),
                    (Some(organization), Some(project)) => Scope::Project(organization, project),
                };
                Some(Subject::Tokens(scope, revoked.count))
            }
            _ => None,
        }
    }
}

/// What a command made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The instance.
    Instance,
    /// An organization.
    Organization(OrganizationId),
    /// A project.
    Project(ProjectId),
    /// A token.
    Token(TokenId),
    /// The roles of an organization or, without one, of the instance. Which of them, the command says by its name.
    Roles(Option<OrganizationId>),
    /// An invitation of an organization.
    Invitation(OrganizationId, InvitationId),
    /// A member of an organization.
    Member(OrganizationId, UserId),
    /// A person.
    User(UserId),
    /// So many tokens of a scope.
    Tokens(Scope, u64),
}

/// Who caused an event, from the credential that was verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// The break-glass token.
    AdminToken,
    /// A job of the authority's own.
    System(Cow<'static, str>),
    /// A token of this level, by its prefix.
    Token(Level, Prefix),
    /// A partner whose signature was verified.
    Partner(Cow<'static, str>),
    /// Somebody without a credential.
    Anonymous,
    /// A person, through a session.
    Session(UserId),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdminToken => f.write_str("admin-token"),
            Self::System(job) => write!(f, "system:{job}"),
            Self::Session(user) => write!(f, "session:{user}"),
            Self::Token(Level::Instance, prefix) => write!(f, "instance-token:{prefix}"),
            Self::Token(Level::Organization, prefix) => write!(f, "org-token:{prefix}"),
            Self::Token(Level::Project, prefix) => write!(f, "project-token:{prefix}"),
            Self::Partner(name) => write!(f, "partner:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

impl By {
    /// Reads what [`By`]'s `Display` wrote.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "admin-token" {
            return Some(Self::AdminToken);
        }
        if text == "anonymous" {
            return Some(Self::Anonymous);
        }
        let (kind, rest) = text.split_once(':')?;
        let level = match kind {
            "system" => return Some(Self::System(Cow::Owned(rest.to_owned()))),
            "partner" => return Some(Self::Partner(Cow::Owned(rest.to_owned()))),
            "session" => {
                return rest.parse().ok().filter(|user: &UserId| user.to_string() == rest).map(Self::Session);
            }
            "instance-token" => Level::Instance,
            "org-token" => Level::Organization,
            "project-token" => Level::Project,
            _ => return None,
        };
        Prefix::of(rest).filter(|prefix| prefix.as_str() == rest).map(|prefix| Self::Token(level, prefix))
    }
}

impl Serialize for By {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for By {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format_args!("`{text}` is not an actor")))
    }
}

/// Who caused an event, through which request and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor<S> {
    /// Who.
    pub by: By,
    /// The token, when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<S>,
    /// Commitment to the client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<S>,
    /// Commitment to the client's user agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<S>,
}

impl<S> Actor<S> {
    /// A job of the authority's own.
    pub fn system(job: &'static str) -> Self {
        Self { by: By::System(Cow::Borrowed(job)), token: None, request: None, address: None, agent: None }
    }
}
