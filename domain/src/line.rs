//! Lines: one event as one line of canonical JSON, the exact bytes that are stored, exported and hashed.
//!
//! The keys stand in a fixed order: `v`, `type`, `at`, `org`, `n`, `actor`, `idempotency`, then the event's own.
//! There is no insignificant white space and no float. `docs/events.md` shows every shape.

use crate::event::{
    Actor, AdminUse, Description, Event, InstancePolicy, LogPlace, Naming, TokenMinted, TokenRevoked,
    TokenRotated, Use,
};
use crate::id::{OrganizationId, ProjectId, TokenId};
use crate::name::Name;
use crate::permission::PermissionSet;
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
body!(RoleBody { role: Name, level: Level, permissions: PermissionSet });
body!(RoleChange { role: Name, before: PermissionSet, after: PermissionSet });
body!(Renaming { before: Naming, after: Naming });
body!(ProjectRenaming { project: ProjectId, before: Naming, after: Naming });
body!(Redescribed { token: TokenId, before: Description, after: Description });
body!(Regranted { token: TokenId, before: Arc<[Grant]>, after: Arc<[Grant]> });
body!(Expiry { token: TokenId, before: Option<Timestamp>, after: Option<Timestamp> });

#[derive(Serialize, Deserialize)]
struct ProjectBody {
    project: ProjectId,
    #[serde(flatten)]
    naming: Naming,
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
    ORGANIZATION_CREATED = "OrganizationCreated":
        Event::OrganizationCreated(naming) => naming, Naming => Event::OrganizationCreated;
    ORGANIZATION_RENAMED = "OrganizationRenamed":
        Event::OrganizationRenamed { before, after } => Renaming { before: before.clone(), after: after.clone() },
        Renaming => |b| Event::OrganizationRenamed { before: b.before, after: b.after };
    PROJECT_CREATED = "ProjectCreated":
        Event::ProjectCreated { project, naming } => ProjectBody { project: *project, naming: naming.clone() },
        ProjectBody => |b| Event::ProjectCreated { project: b.project, naming: b.naming };
    PROJECT_RENAMED = "ProjectRenamed":
        Event::ProjectRenamed { project, before, after }
            => ProjectRenaming { project: *project, before: before.clone(), after: after.clone() },
        ProjectRenaming => |b| Event::ProjectRenamed { project: b.project, before: b.before, after: b.after };
    TOKEN_MINTED = "TokenMinted":
        Event::TokenMinted(minted) => minted, TokenMinted => Event::TokenMinted;
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

    /// Reads a line.
    pub fn read(text: &str) -> Result<Self, LineError> {
        let head: ReadHead<'_> = serde_json::from_str(text)?;
        if head.v != u64::from(VERSION) {
            return Err(LineError::UnknownVersion(head.v));
        }
        let event = read_event(&head.kind, text)?;
        Ok(Self {
            at: head.at,
            org: head.org,
            n: head.n,
            actor: head.actor,
            idempotency: head.idempotency,
            event,
        })
    }
}
