//! Commands, and what they come to.
//!
//! [`decide`] is a plain function of the state, the caller, the time and the command. What a command needs to be
//! allowed (`authorize_…`) stands apart from what it does, because a repeated request is authorized again without
//! being done again.

mod instance;
mod mint;
mod organization;
mod token;

pub use instance::{ChangePolicy, Resume, Start};
pub use mint::{Entropy, Expiry, Mint, Narrow, Particulars, ScopeText};
pub use organization::{CreateOrganization, CreateProject, NamingChange, RenameOrganization, RenameProject};
pub use token::{Revoke, Rotate, Update};

use crate::authority::{Caller, Principal};
use crate::event::{Event, Metadata, Subject};
use crate::id::{OrganizationId, TokenId};
use crate::line::Idempotency;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::state::{Organization, Project, State, Token};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::Arc;

/// A command and the conditions that came with it.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// Only if the thing still has this revision.
    pub expected_revision: Option<u64>,
    /// The request may be repeated under this key.
    pub repeat: Option<Repeat>,
}

/// What tells a repeated request from another one.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// The operation and the path.
    pub route: Box<str>,
    /// The caller's key.
    pub key: Box<str>,
    /// The request's body.
    pub body: Box<[u8]>,
}

/// Everything that can be asked to change.
#[derive(Debug)]
pub enum Command {
    /// Begin the authority.
    Start(Start),
    /// Bring the built-in roles on the log up to this build.
    EnrollRoles,
    /// Go on with a database that does not contain what was seen.
    Resume(Resume),
    /// Change the instance's policy.
    ChangePolicy(ChangePolicy),
    /// Begin an organization.
    CreateOrganization(CreateOrganization),
    /// Rename an organization.
    RenameOrganization(RenameOrganization),
    /// Begin a project.
    CreateProject(CreateProject),
    /// Rename a project.
    RenameProject(RenameProject),
    /// Begin a token.
    Mint(Mint),
    /// Begin a token that can do no more than the caller, and ends with it.
    Narrow(Narrow),
    /// Change what is written about a token, its grants or its expiry.
    Update(Update),
    /// Give a token a new secret.
    Rotate(Rotate),
    /// End a token.
    Revoke(Revoke),
}

impl Command {
    /// The permission that it needs; none where holding a token is enough.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Start(_) | Self::EnrollRoles | Self::Resume(_) | Self::Narrow(_) => None,
            Self::ChangePolicy(_) => Some("instance:update"),
            Self::CreateOrganization(_) => Some("organizations:create"),
            Self::RenameOrganization(_) => Some("organizations:update"),
            Self::CreateProject(_) => Some("projects:create"),
            Self::RenameProject(_) => Some("projects:update"),
            Self::Mint(_) => Some("tokens:mint"),
            Self::Update(_) => Some("tokens:update"),
            Self::Rotate(_) => Some("tokens:rotate"),
            Self::Revoke(_) => Some("tokens:revoke"),
        }
    }
}

/// What a command comes to.
#[derive(Debug)]
pub struct Decision {
    /// The organization that the events are about.
    pub organization: Option<OrganizationId>,
    /// What happens; empty when everything is as asked already, or for a repeated request.
    pub events: Vec<Event>,
    /// What was made or changed.
    pub subject: Subject,
    /// The secret to hand out.
    pub secret: Option<Secret>,
    /// Goes into the first event's line.
    pub idempotency: Option<Idempotency>,
    /// It was done before, under the same key.
    pub repeated: bool,
}

impl Decision {
    fn new(organization: Option<OrganizationId>, events: Vec<Event>, subject: Subject) -> Self {
        Self { organization, events, subject, secret: None, idempotency: None, repeated: false }
    }
}

/// Decides a command on a state at a time.
pub fn decide(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    request: &Request,
) -> Result<Decision, Rejection> {
    let idempotency = request.repeat.as_ref().map(|repeat| idempotency(caller, repeat));
    if let Some(wanted) = &idempotency
        && let Some(reply) = state.reply(&wanted.key, at)
    {
        authorize(state, caller, &request.command)?;
        if reply.body != wanted.body {
            return Err(Rejection::IdempotencyKeyReused);
        }
        let done = Decision::new(None, Vec::new(), reply.subject);
        return Ok(Decision { repeated: true, idempotency, ..done });
    }
    let mut decision = match &request.command {
        Command::Start(start) => instance::start(state, caller, start),
        Command::EnrollRoles => instance::enroll_roles(state, caller),
        Command::Resume(resume) => instance::resume(state, caller, resume),
        Command::ChangePolicy(change) => {
            instance::change_policy(state, caller, change, request.expected_revision)
        }
        Command::CreateOrganization(create) => organization::create(state, caller, at, create),
        Command::RenameOrganization(rename) => {
            organization::rename(state, caller, at, rename, request.expected_revision)
        }
        Command::CreateProject(create) => organization::create_project(state, caller, create),
        Command::RenameProject(rename) => {
            organization::rename_project(state, caller, rename, request.expected_revision)
        }
        Command::Mint(mint) => mint::mint(state, caller, at, mint),
        Command::Narrow(narrow) => mint::narrow(state, caller, at, narrow),
        Command::Update(update) => token::update(state, caller, at, update, request.expected_revision),
        Command::Rotate(rotate) => token::rotate(state, caller, at, rotate, request.expected_revision),
        Command::Revoke(revoke) => token::revoke(state, caller, revoke, request.expected_revision),
    }?;
    decision.idempotency = idempotency;
    Ok(decision)
}

fn authorize(state: &State, caller: &Caller, command: &Command) -> Result<(), Rejection> {
    match command {
        Command::Start(_) | Command::EnrollRoles | Command::Resume(_) => require_system(caller),
        Command::ChangePolicy(_) => caller.require(state, "instance:update", Scope::Instance),
        Command::CreateOrganization(_) => caller.require(state, "organizations:create", Scope::Instance),
        Command::RenameOrganization(rename) => {
            organization::authorize_rename(state, caller, rename).map(drop)
        }
        Command::CreateProject(create) => {
            organization::authorize_create_project(state, caller, create).map(drop)
        }
        Command::RenameProject(rename) => {
            organization::authorize_rename_project(state, caller, rename).map(drop)
        }
        Command::Mint(mint) => mint::authorize_mint(state, caller, mint).map(drop),
        Command::Narrow(_) => mint::authorize_narrow(caller).map(drop),
        Command::Update(update) => find_token(state, caller, update.token, "tokens:update").map(drop),
        Command::Rotate(rotate) => token::authorize_rotate(state, caller, rotate).map(drop),
        Command::Revoke(revoke) => token::authorize_revoke(state, caller, revoke).map(drop),
    }
}

/// 128 bits of a BLAKE3 are enough to tell requests apart, and half of one keeps lines small.
fn idempotency(caller: &Caller, repeat: &Repeat) -> Idempotency {
    let mut key = blake3::Hasher::new_derive_key("chancery 2026 idempotency key");
    let actor = match &caller.principal {
        Principal::Token(token, _) => token.id.to_string(),
        Principal::AdminToken | Principal::System(_) => caller.by().to_string(),
    };
    for part in [&*actor, &repeat.route, &repeat.key] {
        key.update(&(part.len() as u64).to_le_bytes());
        key.update(part.as_bytes());
    }
    let half = |hash: blake3::Hash| URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..16]).into_boxed_str();
    Idempotency { key: half(key.finalize()), body: half(blake3::hash(&repeat.body)) }
}

fn require_system(caller: &Caller) -> Result<(), Rejection> {
    match caller.principal {
        Principal::System(_) => Ok(()),
        Principal::AdminToken | Principal::Token(..) => Err(Rejection::Forbidden {
            permission: "*".to_owned(),
            place: "the authority's own jobs".to_owned(),
        }),
    }
}

fn check_revision(current: u64, expected: Option<u64>) -> Result<(), Rejection> {
    match expected {
        Some(expected) if expected != current => Err(Rejection::PreconditionFailed { current, expected }),
        _ => Ok(()),
    }
}

/// An organization that the caller may know of, by name or id.
pub(crate) fn find_organization<'a>(
    state: &'a State,
    caller: &Caller,
    text: &str,
) -> Result<&'a Arc<Organization>, Rejection> {
    let found = state.find_organization(text).ok_or_else(|| Rejection::not_found("organization", text))?;
    if caller.may_know(Scope::Organization(found.id)) {
        Ok(found)
    } else {
        Err(Rejection::hidden("organization", text))
    }
}

/// A project that the caller may know of, by the names or ids of it and its organization.
pub(crate) fn find_project<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    text: &str,
) -> Result<&'a Arc<Project>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
    let found =
        state.find_project(organization, text).ok_or_else(|| Rejection::not_found("project", text))?;
    if caller.may_know(Scope::Project(organization, found.id)) {
        Ok(found)
    } else {
        Err(Rejection::hidden("project", text))
    }
}

/// A token that the caller may read or do `permission` to. One that it may only read answers 403, any other 404.
pub(crate) fn find_token<'a>(
    state: &'a State,
    caller: &Caller,
    id: TokenId,
    permission: &'static str,
) -> Result<&'a Arc<Token>, Rejection> {
    let token = state.tokens().get(id).ok_or_else(|| Rejection::not_found("token", &id))?;
    if caller.may(state, permission, token.scope) {
        return Ok(token);
    }
    if is_self(caller, id) || caller.may(state, "tokens:read", token.scope) {
        caller.require(state, permission, token.scope)?;
    }
    Err(Rejection::hidden("token", &id))
}

pub(crate) fn is_self(caller: &Caller, id: TokenId) -> bool {
    caller.token().is_some_and(|token| token.id == id)
}

/// Reads the metadata of a token: a JSON object, at most 4 KiB in its shortest form. Keys are sorted, and floats are
/// refused: they have no one way to be written, and the line is hashed.
pub fn metadata(value: &serde_json::Map<String, serde_json::Value>) -> Result<Option<Metadata>, Rejection> {
    const MOST: usize = 4096;
    if value.is_empty() {
        return Ok(None);
    }
    let refuse = |value: &str, expected: String| Err(Rejection::invalid("metadata", value, expected));
    let mut waiting: Vec<&serde_json::Value> = value.values().collect();
    let mut texts: Vec<&str> = value.keys().map(String::as_str).collect();
    while let Some(value) = waiting.pop() {
        match value {
            serde_json::Value::Number(number) if number.is_f64() => {
                return refuse(&number.to_string(), "a whole number; write others as text".to_owned());
            }
            serde_json::Value::String(text) => texts.push(text),
            serde_json::Value::Array(items) => waiting.extend(items),
            serde_json::Value::Object(members) => {
                texts.extend(members.keys().map(String::as_str));
                waiting.extend(members.values());
            }
            _ => {}
        }
    }
    if let Some(bad) = texts.iter().find(|text| text.chars().any(crate::text::is_forbidden)) {
        return refuse(bad, "text without control characters".to_owned());
    }
    let json = serde_json::to_string(value).expect("a JSON value can be written");
    if json.len() > MOST {
        return refuse(&json, format!("at most {MOST} bytes of JSON; this has {}", json.len()));
    }
    // Masking keeps the JSON whole: a secret has only letters, digits and `_`.
    let masked = crate::text::mask(&json).into_owned();
    let raw = serde_json::value::RawValue::from_string(masked).expect("masked JSON is JSON");
    Ok(Some(Metadata(raw)))
}
