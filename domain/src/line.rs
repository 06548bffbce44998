//! Lines: one event as one line of canonical JSON, the exact bytes that are stored, exported and hashed.
//!
//! The keys stand in a fixed order: `v`, `type`, `at`, `org`, `n`, `actor`, `idempotency`, then the event's own.
//! There is no insignificant white space and no float. `docs/events.md` shows every shape.

use crate::event::{
    Actor, AdminUse, Description, Event, InstancePolicy, LeakReported, LogPlace, Naming, TokenImported,
    TokenMinted, TokenRevoked, TokenRotated, TokensRevoked, Use,
};
use crate::id::{InvitationId, OrganizationId, ProjectId, TokenId, UserId};
use crate::name::Name;
use crate::people::{
    InvitationAccepted, InvitationReissued, MemberInvited, MemberRemoved, MemberRoleChanged, PersonErased,
};
use crate::permission::PermissionSet;
use crate::policy::PolicySettings;
use crate::role::Level;
use crate::scope::Grant;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// The shape of lines that this build writes.
pub const VERSION: u8 = 1;
/// The most bytes one line may have.
pub const MOST_BYTES: usize = 65_535;

/// Marks a request that may be repeated: both are the first 16 bytes of a BLAKE3, in base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Of the actor, the operation and the key.
    pub key: Box<str>,
    /// Of the body.
    pub body: Box<str>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When it was decided.
    pub at: Timestamp,
    /// The organization that it is about.
    pub org: Option<OrganizationId>,
    /// Which lifecycle event of the organization (or of the instance) it is, from 1 on. Uses have none.
    pub n: Option<u64>,
    /// Who caused it.
    pub actor: Actor<Box<str>>,
    /// The request may be repeated.
    pub idempotency: Option<Idempotency>,
    /// What happened.
    pub event: Event,
}

/// A line that cannot be read.
#[derive(Debug, Error)]
pub enum LineError {
    /// Written by a later build.
    #[error("a line has the unknown version {0}; this build reads version {VERSION}")]
    UnknownVersion(u64),
    /// Written by a later build, or not by Chancery.
    #[error("a line has the unknown event type `{0}`")]
    UnknownType(String),
    /// Not a line of the shape that its type and version name.
    #[error("a line cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Read, but not the bytes that this build writes for what it read: a key that it does not know, another order,
    /// white space. What a later build adds to a shape would otherwise be passed over in silence.
    #[error("a line is not in the form in which this build writes it, from byte {0} on")]
    NotCanonical(usize),
}

/// What stands before an event's own keys.
#[derive(Clone, Copy)]
pub struct Head<'a, S> {
    /// See [`Line::at`], already written: all lines of a commit share it.
    pub at: &'a str,
    /// See [`Line::org`].
    pub org: Option<OrganizationId>,
    /// See [`Line::n`].
    pub n: Option<u64>,
    /// See [`Line::actor`].
    pub actor: &'a Actor<S>,
    /// See [`Line::idempotency`].
    pub idempotency: Option<&'a Idempotency>,
}

#[derive(Serialize)]
struct HeadKeys<'a, S> {
    v: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    org: Option<OrganizationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    actor: &'a Actor<S>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency: Option<&'a Idempotency>,
}

#[derive(Deserialize)]
struct ReadHead<'a> {
    v: u64,
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
    at: Timestamp,
    org: Option<OrganizationId>,
    n: Option<u64>,
    actor: Actor<Box<str>>,
    idempotency: Option<Idempotency>,
}

/// Appends the line of a use: the hot path's way, without an owned event.
pub fn write_use<S: Serialize>(out: &mut Vec<u8>, head: &Head<'_, S>, used: &Use<S>) {
    write(out, if used.code.is_none() { TOKEN_USED } else { TOKEN_REFUSED }, head, used);
}

/// Appends the line of a use of the break-glass token.
pub fn write_admin_use<S: Serialize>(out: &mut Vec<u8>, head: &Head<'_, S>, used: &AdminUse<S>) {
    write(out, ADMIN_TOKEN_USED, head, used);
}

/// Appends `{head keys,own keys}`: the event's own object loses its brace and continues the head's.
fn write<S: Serialize>(out: &mut Vec<u8>, kind: &'static str, head: &Head<'_, S>, body: &impl Serialize) {
    let keys = HeadKeys {
        v: VERSION,
        kind,
        at: head.at,
        org: head.org,
        n: head.n,
        actor: head.actor,
        idempotency: head.idempotency,
    };
    serde_json::to_writer(&mut *out, &keys).expect("a head is plain data and the writer is memory");
    let joint = out.len() - 1;
    serde_json::to_writer(&mut *out, body).expect("an event is plain data and the writer is memory");
    if &out[joint + 1..] == b"{}" {
        out.truncate(joint + 1);
        return;
    }
    out[joint] = b',';
    out.remove(joint + 1);
}

macro_rules! events {
    ($($constant:ident = $name:literal: $variant:pat => $body:expr, $shape:ty => $make:expr;)*) => {
        $(const $constant: &str = $name;)*

        /// The stored name of every event type.
        pub const TYPES: &[&str] = &[$($name),*];

        /// The stored name of an event's type.
        pub fn type_of(event: &Event) -> &'static str {
            #[expect(unused_variables, reason = "the patterns bind what the bodies are made of")]
            match event { $($variant => $constant,)* }
        }

        fn write_event(out: &mut Vec<u8>, head: &Head<'_, Box<str>>, event: &Event) {
            match event { $($variant => write(out, $constant, head, &$body),)* }
        }

        fn read_event(kind: &str, text: &str) -> Result<Event, LineError> {
            match kind {
                $($constant => serde_json::from_str::<$shape>(text).map($make).map_err(LineError::from),)*
                unknown => Err(LineError::UnknownType(unknown.to_owned())),
            }
        }
    };
}

/// Bodies whose event has named fields rather than a type of its own. `Borrowed` is written, `Owned` is read.
macro_rules! body {
    ($name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        #[derive(Serialize, Deserialize)]
        struct $name { $($field: $type),* }
    };
}

body!(Started { origin: Box<str>, log_key: Box<str>, policy: InstancePolicy });
body!(PolicyChange { before: InstancePolicy, after: InstancePolicy });
body!(Resumed { expected: LogPlace, found: LogPlace, origin: Box<str> });
body!(LogKeyChange { before: Box<str>, after: Box<str>, both_until: Timestamp });
body!(RoleBody { role: Name, level: Level, permissions: PermissionSet });
body!(RoleChange { role: Name, before: PermissionSet, after: PermissionSet });
#[derive(Serialize, Deserialize)]
struct RoleEnd {
    role: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replacement: Option<Name>,
}

body!(Renaming { before: Naming, after: Naming });
body!(OrganizationPolicyChange { before: PolicySettings, after: PolicySettings });
body!(ProjectRenaming { project: ProjectId, before: Naming, after: Naming });
body!(Redescribed { token: TokenId, before: Description, after: Description });
body!(Regranted { token: TokenId, before: Arc<[Grant]>, after: Arc<[Grant]> });
body!(InvitationBody { invitation: InvitationId });
body!(UserBody { user: UserId });
body!(Expiry { token: TokenId, before: Option<Timestamp>, after: Option<Timestamp> });

#[derive(Serialize, Deserialize)]
struct ProjectBody {
    project: ProjectId,
    #[serde(flatten)]
    naming: Naming,
}

#[derive(Serialize, Deserialize)]
struct Noted {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
struct ProjectNoted {
    project: ProjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<Box<str>>,
}

events! {
    AUTHORITY_STARTED = "AuthorityStarted":
        Event::AuthorityStarted { origin, log_key, policy }
            => Started { origin: origin.clone(), log_key: log_key.clone(), policy: *policy },
        Started => |b| Event::AuthorityStarted { origin: b.origin, log_key: b.log_key, policy: b.policy };
    INSTANCE_POLICY_CHANGED = "InstancePolicyChanged":
        Event::InstancePolicyChanged { before, after } => PolicyChange { before: *before, after: *after },
        PolicyChange => |b| Event::InstancePolicyChanged { before: b.before, after: b.after };
    LOG_RESUMED = "LogResumed":
        Event::LogResumed { expected, found, origin }
            => Resumed { expected: expected.clone(), found: found.clone(), origin: origin.clone() },
        Resumed => |b| Event::LogResumed { expected: b.expected, found: b.found, origin: b.origin };
    LOG_KEY_ROTATED = "LogKeyRotated":
        Event::LogKeyRotated { before, after, both_until }
            => LogKeyChange { before: before.clone(), after: after.clone(), both_until: *both_until },
        LogKeyChange
            => |b| Event::LogKeyRotated { before: b.before, after: b.after, both_until: b.both_until };
    ADMIN_TOKEN_USED = "AdminTokenUsed":
        Event::AdminTokenUsed(used) => used, AdminUse<Box<str>> => Event::AdminTokenUsed;
    ROLE_DEFINED = "RoleDefined":
        Event::RoleDefined { role, level, permissions }
            => RoleBody { role: role.clone(), level: *level, permissions: permissions.clone() },
        RoleBody => |b| Event::RoleDefined { role: b.role, level: b.level, permissions: b.permissions };
    ROLE_CHANGED = "RoleChanged":
        Event::RoleChanged { role, before, after }
            => RoleChange { role: role.clone(), before: before.clone(), after: after.clone() },
        RoleChange => |b| Event::RoleChanged { role: b.role, before: b.before, after: b.after };
    ROLE_RETIRED = "RoleRetired":
        Event::RoleRetired { role, replacement }
            => RoleEnd { role: role.clone(), replacement: replacement.clone() },
        RoleEnd => |b| Event::RoleRetired { role: b.role, replacement: b.replacement };
    ORGANIZATION_CREATED = "OrganizationCreated":
        Event::OrganizationCreated(naming) => naming, Naming => Event::OrganizationCreated;
    ORGANIZATION_RENAMED = "OrganizationRenamed":
        Event::OrganizationRenamed { before, after } => Renaming { before: before.clone(), after: after.clone() },
        Renaming => |b| Event::OrganizationRenamed { before: b.before, after: b.after };
    ORGANIZATION_SUSPENDED = "OrganizationSuspended":
        Event::OrganizationSuspended { note } => Noted { note: note.clone() },
        Noted => |b| Event::OrganizationSuspended { note: b.note };
    ORGANIZATION_RESTORED = "OrganizationRestored":
        Event::OrganizationRestored { note } => Noted { note: note.clone() },
        Noted => |b| Event::OrganizationRestored { note: b.note };
    ORGANIZATION_DELETED = "OrganizationDeleted":
        Event::OrganizationDeleted { note } => Noted { note: note.clone() },
        Noted => |b| Event::OrganizationDeleted { note: b.note };
    ORGANIZATION_POLICY_CHANGED = "OrganizationPolicyChanged":
        Event::OrganizationPolicyChanged { before, after }
            => OrganizationPolicyChange { before: before.clone(), after: after.clone() },
        OrganizationPolicyChange
            => |b| Event::OrganizationPolicyChanged { before: b.before, after: b.after };
    PROJECT_CREATED = "ProjectCreated":
        Event::ProjectCreated { project, naming } => ProjectBody { project: *project, naming: naming.clone() },
        ProjectBody => |b| Event::ProjectCreated { project: b.project, naming: b.naming };
    PROJECT_RENAMED = "ProjectRenamed":
        Event::ProjectRenamed { project, before, after }
            => ProjectRenaming { project: *project, before: before.clone(), after: after.clone() },
        ProjectRenaming => |b| Event::ProjectRenamed { project: b.project, before: b.before, after: b.after };
    PROJECT_DELETED = "ProjectDeleted":
        Event::ProjectDeleted { project, note } => ProjectNoted { project: *project, note: note.clone() },
        ProjectNoted => |b| Event::ProjectDeleted { project: b.project, note: b.note };
    MEMBER_INVITED = "MemberInvited":
        Event::MemberInvited(invited) => invited, MemberInvited => Event::MemberInvited;
    INVITATION_REISSUED = "InvitationReissued":
        Event::InvitationReissued(reissued) => reissued, InvitationReissued => Event::InvitationReissued;
    INVITATION_WITHDRAWN = "InvitationWithdrawn":
        Event::InvitationWithdrawn { invitation } => InvitationBody { invitation: *invitation },
        InvitationBody => |b| Event::InvitationWithdrawn { invitation: b.invitation };
    INVITATION_ACCEPTED = "InvitationAccepted":
        Event::InvitationAccepted(accepted) => accepted, InvitationAccepted => Event::InvitationAccepted;
    MEMBER_ROLE_CHANGED = "MemberRoleChanged":
        Event::MemberRoleChanged(changed) => changed, MemberRoleChanged => Event::MemberRoleChanged;
    MEMBER_REMOVED = "MemberRemoved":
        Event::MemberRemoved(removed) => removed, MemberRemoved => Event::MemberRemoved;
    USER_OFFBOARDED = "UserOffboarded":
        Event::UserOffboarded { user } => UserBody { user: *user },
        UserBody => |b| Event::UserOffboarded { user: b.user };
    PERSON_ERASED = "PersonErased":
        Event::PersonErased(erased) => erased, PersonErased => Event::PersonErased;
    TOKEN_MINTED = "TokenMinted":
        Event::TokenMinted(minted) => minted, TokenMinted => Event::TokenMinted;
    TOKEN_IMPORTED = "TokenImported":
        Event::TokenImported(imported) => imported, TokenImported => Event::TokenImported;
    TOKEN_DESCRIBED = "TokenDescribed":
        Event::TokenDescribed { token, before, after }
            => Redescribed { token: *token, before: before.clone(), after: after.clone() },
        Redescribed => |b| Event::TokenDescribed { token: b.token, before: b.before, after: b.after };
    TOKEN_GRANTS_CHANGED = "TokenGrantsChanged":
        Event::TokenGrantsChanged { token, before, after }
            => Regranted { token: *token, before: before.clone(), after: after.clone() },
        Regranted => |b| Event::TokenGrantsChanged { token: b.token, before: b.before, after: b.after };
    TOKEN_EXPIRY_CHANGED = "TokenExpiryChanged":
        Event::TokenExpiryChanged { token, before, after }
            => Expiry { token: *token, before: *before, after: *after },
        Expiry => |b| Event::TokenExpiryChanged { token: b.token, before: b.before, after: b.after };
    TOKEN_ROTATED = "TokenRotated":
        Event::TokenRotated(rotated) => rotated, TokenRotated => Event::TokenRotated;
    TOKEN_REVOKED = "TokenRevoked":
        Event::TokenRevoked(revoked) => revoked, TokenRevoked => Event::TokenRevoked;
    LEAK_REPORTED = "LeakReported":
        Event::LeakReported(reported) => reported, LeakReported => Event::LeakReported;
    TOKENS_REVOKED = "TokensRevoked":
        Event::TokensRevoked(revoked) => revoked, TokensRevoked => Event::TokensRevoked;
    TOKEN_USED = "TokenUsed":
        Event::TokenUsed(used) => used, Use<Box<str>> => Event::TokenUsed;
    TOKEN_REFUSED = "TokenRefused":
        Event::TokenRefused(used) => used, Use<Box<str>> => Event::TokenRefused;
}

impl Line {
    /// Appends this line's bytes, without a line feed.
    pub fn write(&self, out: &mut Vec<u8>) {
        let at = self.at.to_string();
        let head = Head {
            at: &at,
            org: self.org,
            n: self.n,
            actor: &self.actor,
            idempotency: self.idempotency.as_ref(),
        };
        write_event(out, &head, &self.event);
    }

    /// Reads a line. What is accepted is exactly what [`Line::write`] writes, byte for byte.
    pub fn read(text: &str) -> Result<Self, LineError> {
        let head: ReadHead<'_> = serde_json::from_str(text)?;
        if head.v != u64::from(VERSION) {
            return Err(LineError::UnknownVersion(head.v));
        }
        let event = read_event(&head.kind, text)?;
        let ReadHead { at, org, n, actor, idempotency, .. } = head;
        let line = Self { at, org, n, actor, idempotency, event };
        let mut written = Vec::with_capacity(text.len());
        line.write(&mut written);
        if written == text.as_bytes() {
            return Ok(line);
        }
        let same = written.iter().zip(text.as_bytes()).take_while(|(written, read)| written == read);
        Err(LineError::NotCanonical(same.count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::metadata;
    use crate::event::{Answers, Asked, By, Client, Evidence, Reason, TokenFilter};
    use crate::import::Algorithm;
    use crate::network::Networks;
    use crate::people::{Fate, Issue};
    use crate::permission::Pattern;
    use crate::policy::OrganizationPolicy;
    use crate::secret::{Kind, Secret, SecretHash};
    use crate::testing::written;
    use crate::verify::Code;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    fn id(last: u128) -> Uuid {
        Uuid::from_u128(0x019a_b7a4_0000_7000_8000_0000_0000_0000 | last)
    }

    fn token() -> TokenId {
        TokenId(id(3))
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn secret() -> Secret {
        Secret::from_entropy(Kind::Organization, &[7; 64])
    }

    fn naming(name: &str, display_name: Option<&str>) -> Naming {
        Naming { name: Name::label(name).unwrap(), display_name: display_name.map(Into::into) }
    }

    fn set(patterns: &[&str]) -> PermissionSet {
        PermissionSet::new(patterns.iter().map(|text| Pattern::parse(text).unwrap()))
    }

    fn grants(texts: &[&str]) -> Arc<[Grant]> {
        texts.iter().map(|text| serde_json::from_str(&format!("\"{text}\"")).unwrap()).collect()
    }

    fn description(name: &str) -> Description {
        let json = serde_json::json!({ "b": [1, true, null], "a": "é \"quoted\"" });
        Description {
            name: name.into(),
            description: Some("of the build".into()),
            metadata: metadata(json.as_object().unwrap()).unwrap(),
        }
    }

    fn asked(all: bool) -> Asked<Box<str>> {
        let text = |text: &str| Some(text).filter(|_| all).map(Into::into);
        Asked {
            operation: text("mintToken"),
            permission: text("tokens:mint"),
            organization: text("019ab7a4-0000-7000-8000-000000000001"),
            project: text("019ab7a4-0000-7000-8000-000000000002"),
            resource: text("srv/1"),
        }
    }

    fn used(code: Option<Code>, all: bool) -> Use<Box<str>> {
        let client = Client { address: Some("c2FsdGVkY29tbWl0bWVudA".into()), agent: None };
        Use {
            token: token(),
            secret: 1,
            code,
            asked: asked(all),
            client: all.then_some(client),
            seen: all.then_some(41),
            count: all.then_some(2),
        }
    }

    fn instance_events() -> Vec<Event> {
        let policy = InstancePolicy::new(Answers::Committed);
        let place = |size| LogPlace { size, commit: id(9) };
        let role = Name::label("auditor").unwrap();
        let (before, after) = (set(&["tokens:read"]), set(&["audit:read", "tokens:*"]));
        vec![
            Event::AuthorityStarted { origin: "chancery.example/log".into(), log_key: "b64".into(), policy },
            Event::InstancePolicyChanged {
                before: policy,
                after: InstancePolicy { answers: Answers::Bounded, ..policy },
            },
            Event::LogResumed {
                expected: place(9),
                found: place(7),
                origin: "chancery.example/log-2".into(),
            },
            Event::AdminTokenUsed(AdminUse { asked: asked(true), seen: Some(41) }),
            Event::AdminTokenUsed(AdminUse { asked: asked(false), seen: None }),
            Event::RoleDefined {
                role: role.clone(),
                level: Level::Organization,
                permissions: before.clone(),
            },
            Event::RoleChanged { role, before, after },
            Event::OrganizationCreated(naming("acme", None)),
            Event::OrganizationRenamed {
                before: naming("acme", None),
                after: naming("beta", Some("Bêta “Inc.”")),
            },
            policy_changed(),
            Event::ProjectCreated { project: ProjectId(id(2)), naming: naming("web", Some("Web")) },
            Event::ProjectCreated { project: ProjectId(id(2)), naming: naming("web", None) },
            Event::ProjectRenamed {
                project: ProjectId(id(2)),
                before: naming("web", Some("Web")),
                after: naming("site", None),
            },
        ]
    }

    /// Every setting of a policy, from off to something.
    fn policy_changed() -> Event {
        let roles = ["member", "verifier"].map(|role| Name::label(role).unwrap());
        let policy = OrganizationPolicy {
            max_lifetime_s: 7_776_000,
            default_lifetime_s: 2_592_000,
            expiry_required: true,
            max_inactive_days: 90,
            allowed_networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32"]).unwrap(),
            max_mints_per_hour: 100,
            max_live_tokens: 1_000,
            rotation_due_days: 30,
            rotation_enforced: true,
            allowed_roles: roles.into(),
            leak_response: crate::policy::LeakResponse::Flag,
        };
        let (before, after) = OrganizationPolicy::default().changes(&policy);
        Event::OrganizationPolicyChanged { before, after }
    }

    fn minted(all: bool) -> TokenMinted {
        let Description { name, description, metadata } = description("ci");
        TokenMinted {
            token: token(),
            project: all.then_some(ProjectId(id(2))),
            name,
            description: description.filter(|_| all),
            metadata: metadata.filter(|_| all),
            grants: grants(&["member", "project-writer@019ab7a4-0000-7000-8000-000000000002"]),
            hash: secret().hash(),
            prefix: secret().prefix(),
            parent: all.then_some(TokenId(id(4))),
            narrowed: all,
            not_before: all.then(|| at("2026-11-22T10:15:00Z")),
            expires_at: all.then_some(Timestamp::MAX),
            allowed_networks: Networks::parse(if all { &["10.0.0.0/8", "2001:db8::/32"] } else { &[] })
                .unwrap(),
        }
    }

    fn imported(all: bool) -> TokenImported {
        let minted = minted(all);
        TokenImported {
            token: minted.token,
            project: minted.project,
            name: minted.name,
            description: minted.description,
            metadata: minted.metadata,
            grants: minted.grants,
            algorithm: if all { Algorithm::Sha256 } else { Algorithm::Blake3 },
            hash: minted.hash,
            parent: minted.parent,
            narrowed: minted.narrowed,
            not_before: minted.not_before,
            expires_at: minted.expires_at,
            allowed_networks: minted.allowed_networks,
            owner: all.then(|| "c2FsdGVkY29tbWl0bWVudA".into()),
            created_at: all.then(|| at("2020-02-29T00:00:00Z")),
        }
    }

    fn leak(evidence: Evidence, all: bool) -> Event {
        Event::LeakReported(LeakReported {
            token: token(),
            secret: 1,
            evidence,
            source: all.then(|| "paste".into()),
            url: all.then(|| "https://paste.example/7".into()),
        })
    }

    fn people_events() -> Vec<Event> {
        let (invitation, user) = (InvitationId(id(5)), UserId(id(6)));
        let (project, role) = (Some(ProjectId(id(2))), Name::label("member").unwrap());
        let commitment = || "c2FsdGVkY29tbWl0bWVudA".into();
        let open = Issue { hash: Some(secret().hash()), mailed: true, expires_at: Timestamp::MAX };
        let silent = Issue { hash: None, mailed: false, ..open.clone() };
        let invited = MemberInvited {
            invitation,
            project,
            role: role.clone(),
            email: commitment(),
            issue: open.clone(),
        };
        let accepted = InvitationAccepted {
            invitation,
            user,
            name: Some(commitment()),
            token: token(),
            hash: secret().hash(),
            prefix: secret().prefix(),
            expires_at: Timestamp::MAX,
        };
        let changed = MemberRoleChanged { user, project, before: Some(role.clone()), after: role };
        let removed = MemberRemoved { user, project, tokens: Fate::HandOver, to: Some(UserId(id(7))) };
        vec![
            Event::MemberInvited(invited.clone()),
            Event::MemberInvited(MemberInvited { project: None, issue: silent, ..invited }),
            Event::InvitationReissued(InvitationReissued { invitation, issue: open }),
            Event::InvitationWithdrawn { invitation },
            Event::InvitationAccepted(accepted.clone()),
            Event::InvitationAccepted(InvitationAccepted { name: None, ..accepted }),
            Event::MemberRoleChanged(changed.clone()),
            Event::MemberRoleChanged(MemberRoleChanged { project: None, before: None, ..changed }),
            Event::MemberRemoved(removed.clone()),
            Event::MemberRemoved(MemberRemoved { tokens: Fate::Revoke, to: None, ..removed.clone() }),
            Event::MemberRemoved(MemberRemoved { project: None, tokens: Fate::Keep, to: None, ..removed }),
            Event::UserOffboarded { user },
            Event::PersonErased(PersonErased { users: vec![user], invitations: vec![invitation] }),
            Event::PersonErased(PersonErased::default()),
        ]
    }

    fn token_events() -> Vec<Event> {
        let rotated = TokenRotated {
            token: token(),
            secret: 1,
            hash: secret().hash(),
            prefix: secret().prefix(),
            overlap_until: Some(at("2026-11-29T10:15:00.5Z")),
        };
        let revoked = TokenRevoked { token: token(), reason: Reason::Requested, note: None, cascade: false };
        let noted = TokenRevoked { note: Some("on a forum".into()), cascade: true, ..revoked.clone() };
        let mut events = vec![
            Event::TokenMinted(minted(true)),
            Event::TokenMinted(minted(false)),
            Event::TokenImported(imported(true)),
            Event::TokenImported(imported(false)),
            Event::TokenDescribed {
                token: token(),
                before: description("ci"),
                after: Description { name: "ci".into(), description: None, metadata: None },
            },
            Event::TokenGrantsChanged {
                token: token(),
                before: grants(&["member"]),
                after: grants(&["auditor", "verifier"]),
            },
            Event::TokenExpiryChanged { token: token(), before: None, after: Some(Timestamp::MIN) },
            Event::TokenRotated(rotated.clone()),
            Event::TokenRotated(TokenRotated { overlap_until: None, ..rotated }),
            Event::TokenRevoked(noted),
            leak(Evidence::Secret, true),
            leak(Evidence::Hash, false),
            leak(Evidence::Signature, false),
            Event::TokensRevoked(TokensRevoked {
                filter: TokenFilter {
                    project: Some(ProjectId(id(2))),
                    created_by: Some(By::AdminToken),
                    parent: Some(TokenId(id(4))),
                    person: Some(UserId(id(3))),
                    created_from: Some(Timestamp::MIN),
                    created_before: Some(at("2026-11-22T10:15:00Z")),
                    role: Some(Name::label("member").unwrap()),
                },
                count: 17,
                reason: Reason::Leaked,
                note: Some("on a forum".into()),
            }),
            Event::TokensRevoked(TokensRevoked {
                filter: TokenFilter::default(),
                count: 1,
                reason: Reason::Requested,
                note: None,
            }),
            Event::TokenUsed(used(None, true)),
            Event::TokenUsed(used(None, false)),
            Event::TokenRefused(used(Some(Code::Forbidden), true)),
        ];
        let reasons = [
            Reason::Requested,
            Reason::Inactive,
            Reason::Leaked,
            Reason::MemberRemoved,
            Reason::ProjectDeleted,
            Reason::OrganizationDeleted,
        ];
        events.extend(reasons.map(|reason| Event::TokenRevoked(TokenRevoked { reason, ..revoked.clone() })));
        let refusals = Code::ALL.iter().filter(|code| **code != Code::Valid);
        events.extend(refusals.map(|code| Event::TokenRefused(used(Some(*code), false))));
        events
    }

    /// With what may be absent and without it.
    fn end_events() -> impl Iterator<Item = Event> {
        [Some("it did not pay"), None].into_iter().flat_map(|note| {
            let note: Option<Box<str>> = note.map(Into::into);
            [
                Event::OrganizationSuspended { note: note.clone() },
                Event::OrganizationRestored { note: note.clone() },
                Event::OrganizationDeleted { note: note.clone() },
                Event::ProjectDeleted { project: ProjectId(id(2)), note },
            ]
        })
    }

    fn log_key_rotated() -> Event {
        let both_until = Timestamp::from_micros(1_798_000_000_000_000);
        Event::LogKeyRotated { before: "b64".into(), after: "c64".into(), both_until }
    }

    fn role_events() -> Vec<Event> {
        let role = || Name::label("deployer").unwrap();
        let replacement = Name::label("project-writer");
        vec![
            Event::RoleDefined {
                role: role(),
                level: Level::Project,
                permissions: set(&["deployments:create", "deployments:read"]),
            },
            Event::RoleRetired { role: role(), replacement },
            Event::RoleRetired { role: role(), replacement: None },
        ]
    }

    fn actors() -> [Actor<Box<str>>; 7] {
        let of = |level| Actor {
            by: By::Token(level, secret().prefix()),
            token: Some(TokenId(id(4))),
            request: Some("019ab7a4".into()),
            address: Some("c2FsdA".into()),
            agent: Some("YWdlbnQ".into()),
        };
        let admin = Actor { by: By::AdminToken, token: None, request: None, address: None, agent: None };
        let outside = |by| Actor { by, token: None, ..of(Level::Instance) };
        [
            Actor::system("start"),
            admin,
            of(Level::Instance),
            of(Level::Organization),
            of(Level::Project),
            outside(By::Anonymous),
            outside(By::Partner("github".into())),
        ]
    }

    fn person() -> Actor<Box<str>> {
        Actor { by: By::Session(UserId(id(6))), ..actors()[3].clone() }
    }

    fn line(event: Event, n: u64) -> Line {
        let idempotency = Idempotency { key: "a2V5".into(), body: "Ym9keQ".into() };
        let is_lifecycle = event.is_lifecycle();
        Line {
            at: at("2026-11-22T10:15:00.123456Z"),
            org: Some(OrganizationId(id(1))).filter(|_| n > 3),
            n: Some(n).filter(|_| is_lifecycle),
            actor: actors()[n as usize % 7].clone(),
            idempotency: Some(idempotency).filter(|_| is_lifecycle && n.is_multiple_of(2)),
            event,
        }
    }

    fn every_line() -> Vec<Line> {
        let events = instance_events().into_iter().chain(token_events()).chain(end_events());
        let events = events.chain(role_events()).chain(people_events());
        let mut lines: Vec<Line> = events.zip(1..).map(|(event, n)| line(event, n)).collect();
        let by_a_person = Line { actor: person(), ..line(Event::TokenMinted(minted(false)), 5) };
        lines.push(by_a_person);
        lines.push(line(log_key_rotated(), 6));
        lines
    }

    #[test]
    fn the_bytes_of_every_line_are_pinned() {
        let lines: Vec<String> = every_line().iter().map(written).collect();
        insta::assert_snapshot!("lines", lines.join("\n"));
    }

    #[test]
    fn every_type_has_a_pinned_line() {
        let pinned: BTreeSet<&str> = every_line().iter().map(|line| type_of(&line.event)).collect();
        assert_eq!(pinned, TYPES.iter().copied().collect());
        assert_eq!(TYPES.len(), pinned.len());
    }

    #[test]
    fn what_is_read_is_what_was_written_byte_for_byte() {
        for line in every_line() {
            let text = written(&line);
            let read = Line::read(&text).unwrap();
            assert_eq!(read, line);
            assert_eq!(written(&read), text);
        }
    }

    #[test]
    fn the_hot_path_writes_the_same_bytes() {
        for line in every_line() {
            let at = line.at.to_string();
            let (org, n, actor) = (line.org, line.n, &line.actor);
            let head = Head { at: &at, org, n, actor, idempotency: line.idempotency.as_ref() };
            let mut out = Vec::new();
            match &line.event {
                Event::TokenUsed(used) | Event::TokenRefused(used) => write_use(&mut out, &head, used),
                Event::AdminTokenUsed(used) => write_admin_use(&mut out, &head, used),
                _ => continue,
            }
            assert_eq!(String::from_utf8(out).unwrap(), written(&line));
        }
    }

    #[test]
    fn lines_of_a_later_build_are_refused_and_never_guessed() {
        let text = written(&every_line()[0]);
        let refused = |text: &str| Line::read(text).unwrap_err();
        assert!(matches!(refused(&text.replacen(r#""v":1"#, r#""v":2"#, 1)), LineError::UnknownVersion(2)));
        assert!(matches!(refused(&text.replacen(r#""v":1"#, r#""v":0"#, 1)), LineError::UnknownVersion(0)));
        let unknown = refused(&text.replacen("AuthorityStarted", "AuthorityEnded", 1));
        assert!(matches!(unknown, LineError::UnknownType(name) if name == "AuthorityEnded"));
        for bad in [
            "",
            "{}",
            "null",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}{text}"),
            &text.replacen(r#""v":1"#, r#""v":"1""#, 1),
            &text.replacen(r#""v":1,"#, "", 1),
            &text.replacen("2026-11-22", "2026-11-31", 1),
            &text.replacen("admin-token", "somebody", 1),
            &text.replacen(r#""policy""#, r#""politics""#, 1),
            &text.replacen(r#""origin""#, r#""v":1,"origin""#, 1),
        ] {
            assert!(matches!(refused(bad), LineError::Malformed(_)), "{bad}");
        }
    }

    #[test]
    fn what_is_not_written_like_this_is_refused() {
        for line in every_line() {
            let text = written(&line);
            let last = text.len() - 1;
            for bad in [
                text.replacen(r#"{"v":1,"#, r#"{ "v":1,"#, 1),
                text.replacen(r#""v":1,"#, r#""v":1,"later":true,"#, 1),
                format!(r#"{},"later":null}}"#, &text[..last]),
                text.replacen("10:15:00.123456Z", "10:15:00.1234560Z", 1),
                text.replacen("10:15:00.123456Z", "11:15:00.123456+01:00", 1),
                text.replacen(r#""type":"#, r#""\u0074ype":"#, 1),
                format!("{text}\n"),
                format!(" {text}"),
            ] {
                assert!(matches!(Line::read(&bad), Err(LineError::NotCanonical(_))), "{bad}");
            }
        }
        let minted = written(&line(Event::TokenMinted(minted(true)), 5));
        for (from, to) in [
            (r#"["10.0.0.0/8","2001:db8::/32"]"#, r#"["2001:db8::/32","10.0.0.0/8"]"#),
            (r#"["10.0.0.0/8","2001:db8::/32"]"#, r#"["10.1.0.0/8","2001:db8::/32"]"#),
            (r#"["10.0.0.0/8","2001:db8::/32"]"#, "[]"),
            (r#""narrowed":true"#, r#""narrowed":false"#),
            (r#""metadata":{"a""#, r#""metadata":{ "a""#),
        ] {
            assert!(minted.contains(from), "{minted}");
            assert!(Line::read(&minted.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn the_longest_lines_that_can_be_accepted_fit() {
        let mut world = crate::testing::World::with_tenants();
        let name = |last: usize| format!("p{last:062}");
        for last in 0..64 {
            world.project("acme", &name(last));
        }
        // A quote takes two bytes in a line, and so does each byte of metadata made of them, which count there.
        let json = serde_json::json!({ "a": "\"".repeat(2_044) });
        let text = |bytes: usize| "\"".repeat(bytes);
        let grants: Vec<String> = (0..64).map(|last| format!("project-reader@{}", name(last))).collect();
        let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
        let networks =
            (0..64).map(|last| format!("2001:db8:1111:2222:3333:4444:5555:{:x}/128", 0x6660 + last));
        let id = world
            .mint_by(&crate::testing::admin(), "acme", &grants, |p| {
                p.name = text(128);
                p.description = Some(text(1_024));
                p.metadata = json.as_object().cloned();
                p.allowed_networks = networks.collect();
            })
            .unwrap();
        let admin = crate::testing::admin();
        let changed = world.update(&admin, id, |u| {
            u.name = Some("\\".repeat(128));
            u.description = Some("\\".repeat(1_024));
            u.metadata = serde_json::json!({ "b": "\"".repeat(2_044) }).as_object().cloned();
            u.grants = Some((0..64).rev().map(|last| format!("project-writer@{}", name(last))).collect());
        });
        assert_eq!(changed.unwrap().events.len(), 2);
        let longest = world.lines.iter().map(String::len).max().unwrap();
        assert!((12_000..MOST_BYTES / 2).contains(&longest), "{longest}");
    }

    #[test]
    fn actors_are_read_as_they_are_written() {
        for actor in actors().into_iter().chain([person()]) {
            assert_eq!(By::parse(&actor.by.to_string()), Some(actor.by));
        }
        for bad in [
            "",
            "admin",
            "org-token",
            "org-token:",
            "org-token:short",
            "org-token:chyo_1234567x",
            "session:x",
            "x:y",
        ] {
            assert_eq!(By::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_line_holds_a_secret() {
        let lines: Vec<String> = every_line().iter().map(written).collect();
        assert!(!lines.concat().contains(secret().text()));
        assert_eq!(SecretHash::of(secret().text()), secret().hash());
    }
}
