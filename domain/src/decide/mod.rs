//! Commands, and what they come to.
//!
//! [`decide`] is a plain function of the state, the caller, the time and the command. What a command needs to be
//! allowed (`authorize_…`) stands apart from what it does, because a repeated request is authorized again without
//! being done again.

mod ends;
mod erase;
mod import;
mod instance;
mod invitation;
mod leak;
mod log_key;
mod member;
mod mint;
mod organization;
mod policy;
mod revoke_tokens;
mod role;
mod sweep;
mod token;

pub use ends::{DeleteOrganization, DeleteProject, RestoreOrganization, SuspendOrganization};
pub use erase::{Erase, Erasing, Found};
pub use import::Import;
pub use instance::{ChangePolicy, Resume, Start};
pub(crate) use invitation::find_invitation;
pub use invitation::{Accept, Giving, Invite, Reissue, SESSION, Withdraw};
pub use leak::ReportLeak;
pub use log_key::RotateLogKey;
pub use member::{Offboard, RemoveMember, SetMemberRole, TokensFate};
pub(crate) use mint::read_grants;
pub use mint::{Entropy, Expiry, Mint, Narrow, Particulars, ScopeText};
pub use organization::{CreateOrganization, CreateProject, NamingChange, RenameOrganization, RenameProject};
pub use policy::{ChangeOrganizationPolicy, PolicyChange, draft as draft_policy};
pub use revoke_tokens::{FilterText, RevokeTokens};
pub(crate) use role::object as role_object;
pub use role::{ChangeRole, DefineRole, RetireRole};
pub use sweep::RevokeInactive;
pub use token::{Revoke, Rotate, Update, read_why};

use crate::authority::{Caller, Principal, Reach, Refused};
use crate::event::{Event, Metadata, Subject};
use crate::id::{OrganizationId, TokenId};
use crate::line::Idempotency;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::state::{Organization, Project, Shown, State, Token};
use crate::time::Timestamp;
use crate::verify::{self, Code};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

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
    /// Let another key sign checkpoints.
    RotateLogKey(RotateLogKey),
    /// Change the instance's policy.
    ChangePolicy(ChangePolicy),
    /// Begin an organization.
    CreateOrganization(CreateOrganization),
    /// Rename an organization.
    RenameOrganization(RenameOrganization),
    /// Refuse an organization's tokens until it is restored.
    SuspendOrganization(SuspendOrganization),
    /// Accept a suspended organization's tokens again.
    RestoreOrganization(RestoreOrganization),
    /// End an organization with everything in it.
    DeleteOrganization(DeleteOrganization),
    /// Change an organization's policy.
    ChangeOrganizationPolicy(ChangeOrganizationPolicy),
    /// Revoke tokens that went unused for too long.
    RevokeInactive(RevokeInactive),
    /// Begin a project.
    CreateProject(CreateProject),
    /// Rename a project.
    RenameProject(RenameProject),
    /// End a project with everything in it.
    DeleteProject(DeleteProject),
    /// Begin a role.
    DefineRole(DefineRole),
    /// Change what a role may do.
    ChangeRole(ChangeRole),
    /// End a role.
    RetireRole(RetireRole),
    /// Ask somebody to become a member.
    Invite(Invite),
    /// Give an invitation another text.
    Reissue(Reissue),
    /// Take an invitation back.
    Withdraw(Withdraw),
    /// Become a member.
    Accept(Accept),
    /// Give a member another role.
    SetMemberRole(SetMemberRole),
    /// End a membership.
    RemoveMember(RemoveMember),
    /// End all memberships of a person.
    Offboard(Offboard),
    /// Keep a person's values no longer.
    Erase(Erase),
    /// Begin a token.
    Mint(Mint),
    /// Begin a token that can do no more than the caller, and ends with it.
    Narrow(Narrow),
    /// Begin a token whose text was issued elsewhere.
    Import(Import),
    /// Change what is written about a token, its grants or its expiry.
    Update(Update),
    /// Give a token a new secret.
    Rotate(Rotate),
    /// End a token.
    Revoke(Revoke),
    /// Say that a secret was seen where it should not be.
    ReportLeak(ReportLeak),
    /// End all live tokens that a filter chooses.
    RevokeTokens(RevokeTokens),
}

impl Command {
    /// The permission that it needs; none where holding a token is enough.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Start(_)
            | Self::EnrollRoles
            | Self::Resume(_)
            | Self::RotateLogKey(_)
            | Self::Narrow(_)
            | Self::Accept(_)
            | Self::ReportLeak(_) => None,
            Self::ChangePolicy(_) => Some("instance:update"),
            Self::CreateOrganization(_) => Some("organizations:create"),
            Self::RenameOrganization(_) => Some("organizations:update"),
            Self::SuspendOrganization(_) | Self::RestoreOrganization(_) => Some("organizations:suspend"),
            Self::DeleteOrganization(_) => Some("organizations:delete"),
            Self::ChangeOrganizationPolicy(_) => Some("policies:update"),
            Self::CreateProject(_) => Some("projects:create"),
            Self::RenameProject(_) => Some("projects:update"),
            Self::DeleteProject(_) => Some("projects:delete"),
            Self::DefineRole(_) => Some("roles:create"),
            Self::ChangeRole(_) => Some("roles:update"),
            Self::RetireRole(_) => Some("roles:retire"),
            Self::Invite(_) | Self::Reissue(_) | Self::Withdraw(_) => Some("members:invite"),
            Self::SetMemberRole(_) => Some("members:update"),
            Self::RemoveMember(_) | Self::Offboard(_) => Some("members:remove"),
            Self::Erase(_) => Some(erase::PERMISSION),
            Self::Mint(_) => Some("tokens:mint"),
            Self::Import(_) => Some("tokens:import"),
            Self::Update(_) => Some("tokens:update"),
            Self::Rotate(_) => Some("tokens:rotate"),
            Self::Revoke(_) | Self::RevokeTokens(_) | Self::RevokeInactive(_) => Some("tokens:revoke"),
        }
    }
}

impl Command {
    /// What it would change, for the record of a command that changed nothing: as it was asked, by name or id.
    pub fn object(&self) -> Option<String> {
        match self {
            Self::Start(_)
            | Self::EnrollRoles
            | Self::Resume(_)
            | Self::RotateLogKey(_)
            | Self::ChangePolicy(_)
            | Self::CreateOrganization(_)
            | Self::Accept(_)
            | Self::Narrow(_)
            | Self::ReportLeak(_) => None,
            Self::RevokeInactive(sweep) => sweep.organization.map(|id| format!("organization:{id}")),
            Self::RenameOrganization(RenameOrganization { organization, .. })
            | Self::SuspendOrganization(SuspendOrganization { organization, .. })
            | Self::RestoreOrganization(RestoreOrganization { organization, .. })
            | Self::DeleteOrganization(DeleteOrganization { organization, .. })
            | Self::ChangeOrganizationPolicy(ChangeOrganizationPolicy { organization, .. })
            | Self::CreateProject(CreateProject { organization, .. }) => {
                Some(format!("organization:{organization}"))
            }
            Self::RenameProject(RenameProject { organization, project, .. })
            | Self::DeleteProject(DeleteProject { organization, project, .. }) => {
                Some(format!("project:{organization}/{project}"))
            }
            Self::DefineRole(define) => Some(define.object()),
            Self::ChangeRole(change) => Some(role::object(change.organization.as_deref(), &change.role)),
            Self::RetireRole(retire) => Some(role::object(retire.organization.as_deref(), &retire.role)),
            Self::Mint(Mint { scope, .. }) | Self::Import(Import { scope, .. }) => Some(scope.object()),
            Self::Invite(invite) => Some(invite.place.object()),
            Self::Reissue(Reissue { organization, invitation, .. })
            | Self::Withdraw(Withdraw { organization, invitation }) => {
                Some(format!("invitation:{organization}/{invitation}"))
            }
            Self::SetMemberRole(SetMemberRole { place, user, .. })
            | Self::RemoveMember(RemoveMember { place, user, .. }) => {
                Some(format!("{} user:{user}", place.object()))
            }
            Self::Offboard(offboard) => Some(format!("user:{}", offboard.user)),
            // The mail address of somebody who is looked for by it stands on no record.
            Self::Erase(erase) => erase.user.map(|user| format!("user:{user}")),
            Self::RevokeTokens(revoke) => Some(revoke.filter.scope.object()),
            Self::Update(Update { token, .. })
            | Self::Rotate(Rotate { token, .. })
            | Self::Revoke(Revoke { token, .. }) => Some(format!("token:{token}")),
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
    /// What happens with them in other organizations.
    pub elsewhere: Vec<(OrganizationId, Event)>,
    /// What was made or changed.
    pub subject: Subject,
    /// The tokens that somebody who leaves answered for, for the answer: the first 1,000 live ones.
    pub tokens: Vec<TokenId>,
    /// The personal values that are deleted with it.
    pub erases: Option<Erasing>,
    /// The secret to hand out.
    pub secret: Option<Secret>,
    /// Goes into the first event's line.
    pub idempotency: Option<Idempotency>,
    /// It was done before, under the same key.
    pub repeated: bool,
}

impl Decision {
    fn new(organization: Option<OrganizationId>, events: Vec<Event>, subject: Subject) -> Self {
        Self {
            organization,
            events,
            elsewhere: Vec::new(),
            subject,
            tokens: Vec::new(),
            erases: None,
            secret: None,
            idempotency: None,
            repeated: false,
        }
    }

    /// Everything that happens, and of which organization it is.
    pub fn happenings(&self) -> impl Iterator<Item = (Option<OrganizationId>, &Event)> {
        let here = self.events.iter().map(|event| (self.organization, event));
        here.chain(self.elsewhere.iter().map(|(organization, event)| (Some(*organization), event)))
    }
}

/// Decides a command on a state at a time. The caller has to come from [`crate::authority::authenticate`] on this same
/// state: what its token held on an earlier one is not looked up again.
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
        authorize_repeated(state, caller, at, &request.command, reply.subject)?;
        if reply.body != wanted.body {
            return Err(Rejection::IdempotencyKeyReused);
        }
        let tokens = listed_again(state, at, &request.command, reply.subject);
        let done = Decision::new(None, Vec::new(), reply.subject);
        return Ok(Decision { repeated: true, idempotency, tokens, ..done });
    }
    let mut decision = match &request.command {
        Command::Start(start) => instance::start(state, caller, start),
        Command::EnrollRoles => instance::enroll_roles(state, caller),
        Command::Resume(resume) => instance::resume(state, caller, resume),
        Command::RotateLogKey(rotate) => log_key::rotate(state, caller, at, rotate),
        Command::ChangePolicy(change) => {
            instance::change_policy(state, caller, change, request.expected_revision)
        }
        Command::CreateOrganization(create) => organization::create(state, caller, at, create),
        Command::RenameOrganization(rename) => {
            organization::rename(state, caller, at, rename, request.expected_revision)
        }
        Command::SuspendOrganization(suspend) => {
            ends::suspend(state, caller, suspend, request.expected_revision)
        }
        Command::RestoreOrganization(restore) => {
            ends::restore(state, caller, restore, request.expected_revision)
        }
        Command::DeleteOrganization(delete) => ends::delete(state, caller, delete, request.expected_revision),
        Command::ChangeOrganizationPolicy(change) => {
            policy::change(state, caller, change, request.expected_revision)
        }
        Command::RevokeInactive(sweep) => sweep::revoke_inactive(state, caller, at, sweep),
        Command::CreateProject(create) => organization::create_project(state, caller, create),
        Command::RenameProject(rename) => {
            organization::rename_project(state, caller, rename, request.expected_revision)
        }
        Command::DeleteProject(delete) => {
            ends::delete_project(state, caller, delete, request.expected_revision)
        }
        Command::DefineRole(define) => role::define(state, caller, define),
        Command::ChangeRole(change) => role::change(state, caller, at, change, request.expected_revision),
        Command::RetireRole(retire) => role::retire(state, caller, at, retire, request.expected_revision),
        Command::Invite(invite) => invitation::invite(state, caller, at, invite),
        Command::Reissue(reissue) => {
            invitation::reissue(state, caller, at, reissue, request.expected_revision)
        }
        Command::Withdraw(withdraw) => {
            invitation::withdraw(state, caller, at, withdraw, request.expected_revision)
        }
        Command::Accept(accept) => invitation::accept(state, caller, at, accept),
        Command::SetMemberRole(set) => member::set_role(state, caller, set, request.expected_revision),
        Command::RemoveMember(remove) => member::remove(state, caller, at, remove, request.expected_revision),
        Command::Offboard(offboard) => {
            member::offboard(state, caller, at, offboard, request.expected_revision)
        }
        Command::Erase(erase) => erase::erase(state, caller, at, erase),
        Command::Mint(mint) => mint::mint(state, caller, at, mint),
        Command::Import(import) => import::import(state, caller, at, import),
        Command::Narrow(narrow) => mint::narrow(state, caller, at, narrow),
        Command::Update(update) => token::update(state, caller, at, update, request.expected_revision),
        Command::Rotate(rotate) => token::rotate(state, caller, at, rotate, request.expected_revision),
        Command::Revoke(revoke) => token::revoke(state, caller, revoke, request.expected_revision),
        Command::ReportLeak(report) => leak::report(state, caller, at, report),
        Command::RevokeTokens(revoke) => revoke_tokens::revoke_tokens(state, caller, at, revoke),
    }?;
    decision.idempotency = idempotency;
    Ok(decision)
}

/// Authorizes a command again that was done before. What it was done to is looked for by id and not by the name in
/// the request: a rename, this one or a later one, may have given that name up.
fn authorize_repeated(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    command: &Command,
    subject: Subject,
) -> Result<(), Rejection> {
    let place = place_of(state, subject);
    let require = |permission, place: Scope| {
        if caller.may_know(place) { caller.require(state, permission, place) } else { Err(absent(subject)) }
    };
    match command {
        Command::Start(_) | Command::EnrollRoles | Command::Resume(_) | Command::RotateLogKey(_) => {
            require_system(caller)
        }
        Command::ChangePolicy(_) => caller.require(state, "instance:update", Scope::Instance),
        Command::CreateOrganization(_) => caller.require(state, "organizations:create", Scope::Instance),
        Command::RenameOrganization(_) => require("organizations:update", place),
        Command::SuspendOrganization(_) | Command::RestoreOrganization(_) if caller.may_know(place) => {
            require("organizations:suspend", Scope::Instance)
        }
        Command::DeleteOrganization(_) => require("organizations:delete", place),
        Command::ChangeOrganizationPolicy(_) => require("policies:update", place),
        Command::RevokeInactive(sweep) => sweep::authorize(state, caller, sweep),
        Command::CreateProject(_) => {
            require("projects:create", place.organization().map_or(place, Scope::Organization))
        }
        Command::RenameProject(_) => require("projects:update", place),
        // The deletion may itself have ended what allowed it; its answer says no more than that it is done.
        Command::DeleteProject(_) if caller.may_know(place) => Ok(()),
        Command::SuspendOrganization(_) | Command::RestoreOrganization(_) | Command::DeleteProject(_) => {
            Err(absent(subject))
        }
        Command::DefineRole(_) => require("roles:create", place),
        Command::ChangeRole(_) => require("roles:update", place),
        Command::RetireRole(_) => require("roles:retire", place),
        // The answer hands the secret out again, so the caller still has to hold what the token can do.
        Command::Mint(_) => {
            require("tokens:mint", place)?;
            match subject {
                Subject::Token(id) => state
                    .tokens()
                    .get(id)
                    .map_or(Ok(()), |token| caller.require_reach(state, &Reach::of(token))),
                _ => Ok(()),
            }
        }
        Command::Import(import) => import::authorize_import(state, caller, import).map(drop),
        // The answer may hand the text out again.
        Command::Invite(_) => invitation::authorize_repeated_invite(state, caller, at, subject),
        Command::Reissue(_) | Command::Withdraw(_) if !caller.may_know(place) => Err(absent(subject)),
        Command::Reissue(reissue) => {
            let organization = place.organization().map(|id| id.to_string()).unwrap_or_default();
            invitation::authorize_reissue(state, caller, at, &organization, reissue.invitation).map(drop)
        }
        Command::Withdraw(withdraw) => {
            let organization = place.organization().map(|id| id.to_string()).unwrap_or_default();
            invitation::authorize_withdraw(state, caller, &organization, withdraw.invitation).map(drop)
        }
        Command::Accept(_) => invitation::authorize_accept(caller).map(drop),
        Command::SetMemberRole(SetMemberRole { place, .. }) => {
            let found = member::repeated_place(state, subject, place).ok_or_else(|| absent(subject))?;
            require("members:update", found)
        }
        Command::RemoveMember(RemoveMember { place, .. }) => {
            let found = member::repeated_place(state, subject, place).ok_or_else(|| absent(subject))?;
            require("members:remove", found)
        }
        Command::Offboard(offboard) => member::authorize_offboard(state, caller, offboard),
        Command::Erase(_) => erase::authorize(state, caller),
        Command::Narrow(_) => mint::authorize_narrow(caller).map(drop),
        Command::Update(update) => find_token(state, caller, update.token, "tokens:update").map(drop),
        Command::Rotate(rotate) => token::authorize_rotate(state, caller, rotate).map(drop),
        Command::Revoke(revoke) => token::authorize_revoke(state, caller, revoke).map(drop),
        Command::ReportLeak(_) => Ok(()),
        Command::RevokeTokens(_) => require("tokens:revoke", place),
    }
}

/// The tokens of somebody who has left, for the answer to a repeated request.
fn listed_again(state: &State, at: Timestamp, command: &Command, subject: Subject) -> Vec<TokenId> {
    let (user, place) = match command {
        Command::RemoveMember(remove) => (remove.user, member::repeated_place(state, subject, &remove.place)),
        Command::Offboard(offboard) => (offboard.user, Some(Scope::Instance)),
        _ => return Vec::new(),
    };
    place.map(|place| member::departing(state, at, user, place)).unwrap_or_default()
}

/// The scope that a subject is, or acts in.
fn place_of(state: &State, subject: Subject) -> Scope {
    let place = match subject {
        Subject::Instance => None,
        Subject::Organization(id) => Some(Scope::Organization(id)),
        Subject::Project(id) => state.project(id).map(|found| Scope::Project(found.organization, id)),
        Subject::Token(id) => state.tokens().get(id).map(|found| found.scope),
        Subject::Roles(owner) => owner.map(Scope::Organization),
        Subject::Invitation(organization, id) => {
            state.people().invitation(organization, id).map(|found| found.place)
        }
        Subject::Member(organization, _) => Some(Scope::Organization(organization)),
        Subject::User(_) => Some(Scope::Instance),
        Subject::Tokens(scope, _) => Some(scope),
    };
    place.unwrap_or(Scope::Instance)
}

fn absent(subject: Subject) -> Rejection {
    match subject {
        Subject::Instance | Subject::Roles(None) => Rejection::not_found("instance", ""),
        Subject::Organization(id) | Subject::Roles(Some(id)) => Rejection::not_found("organization", &id),
        Subject::Project(id) => Rejection::not_found("project", &id),
        Subject::Token(id) => Rejection::not_found("token", &id),
        Subject::Invitation(_, id) => Rejection::not_found("invitation", &id),
        Subject::Member(_, id) => Rejection::not_found("member", &id),
        Subject::User(id) => Rejection::not_found("user", &id),
        Subject::Tokens(scope, _) => match (scope.organization(), scope.project()) {
            (_, Some(id)) => Rejection::not_found("project", &id),
            (Some(id), None) => Rejection::not_found("organization", &id),
            (None, None) => Rejection::not_found("instance", ""),
        },
    }
}

/// How long the secret that a rotation of its own replaced may ask for the answer again: long enough for a retry.
const OWN_ROTATION: Duration = Duration::from_mins(1);

/// The caller of a rotation of itself that is asked again because its answer was lost: the secret that it shows is the
/// one that this very rotation replaced. It gets the answer once more, and nothing else.
pub fn repeats_own_rotation(
    state: &State,
    refused: &Refused,
    at: Timestamp,
    address: Option<IpAddr>,
    request: &Request,
) -> Option<Caller> {
    let (token, shown) = refused.token.as_ref()?;
    let (Command::Rotate(rotate), Some(repeat)) = (&request.command, &request.repeat) else { return None };
    if refused.code != Code::Superseded || rotate.token != token.id || shown.secret + 1 != token.secret {
        return None;
    }
    let was_shown = Shown { replaced: None, ..*shown };
    verify::standing(state, token, was_shown, at, address).ok()?;
    let caller = Caller { principal: Principal::Token(Arc::clone(token), *shown), address };
    let wanted = idempotency(&caller, repeat);
    let reply = state.reply(&wanted.key, at).filter(|reply| reply.body == wanted.body)?;
    (at.since(reply.at) < OWN_ROTATION).then_some(caller)
}

/// 128 bits of a BLAKE3 are enough to tell requests apart, and half of one keeps lines small.
fn idempotency(caller: &Caller, repeat: &Repeat) -> Idempotency {
    let mut key = blake3::Hasher::new_derive_key("chancery 2026 idempotency key");
    let actor = match &caller.principal {
        Principal::Token(token, _) => token.id.to_string(),
        Principal::AdminToken | Principal::System(_) | Principal::Outsider(_) | Principal::Invited(_) => {
            caller.by().to_string()
        }
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
        Principal::AdminToken | Principal::Token(..) | Principal::Outsider(_) | Principal::Invited(_) => {
            Err(Rejection::Forbidden {
                permission: "*".to_owned(),
                place: "the authority's own jobs".to_owned(),
            })
        }
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
    let found = state.find_organization(text);
    found
        .filter(|found| caller.may_know(Scope::Organization(found.id)))
        .ok_or_else(|| Rejection::not_found("organization", text))
}

/// The same, with deleted ones by their ids.
pub(crate) fn find_organization_ever<'a>(
    state: &'a State,
    caller: &Caller,
    text: &str,
) -> Result<&'a Arc<Organization>, Rejection> {
    let found = state.find_organization_ever(text);
    found
        .filter(|found| caller.may_know(Scope::Organization(found.id)))
        .ok_or_else(|| Rejection::not_found("organization", text))
}

/// A project that the caller may know of, by the names or ids of it and its organization.
pub(crate) fn find_project<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    text: &str,
) -> Result<&'a Arc<Project>, Rejection> {
    let organization = find_organization(state, caller, organization)?.id;
    let found = state.find_project(organization, text);
    found
        .filter(|found| caller.may_know(Scope::Project(organization, found.id)))
        .ok_or_else(|| Rejection::not_found("project", text))
}

/// The same, with deleted ones by their ids.
pub(crate) fn find_project_ever<'a>(
    state: &'a State,
    caller: &Caller,
    organization: &str,
    text: &str,
) -> Result<&'a Arc<Project>, Rejection> {
    let organization = find_organization_ever(state, caller, organization)?.id;
    let found = state.find_project_ever(organization, text);
    found
        .filter(|found| caller.may_know(Scope::Project(organization, found.id)))
        .ok_or_else(|| Rejection::not_found("project", text))
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
    Err(Rejection::not_found("token", &id))
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
    let raw = serde_json::value::RawValue::from_string(masked(json)).expect("masked JSON is JSON");
    Ok(Some(Metadata(raw)))
}

/// Masking keeps JSON whole, because a secret has only letters, digits and `_`. It may bring names out of their order,
/// or make two the same, so that what was masked is brought into its shortest form again.
fn masked(json: String) -> String {
    match crate::text::mask(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(masked) => {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&masked).expect("masked JSON is JSON");
            serde_json::to_string(&object).expect("a JSON value can be written")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Kind, Secret};
    use crate::state::IDEMPOTENCY_WINDOW;
    use crate::testing::{World, absent, admin, forbidden, repeat, texts};
    use std::time::Duration;

    fn request(command: Command, key: &str, body: &str) -> Request {
        Request { command, expected_revision: None, repeat: Some(repeat("POST /v1/things", key, body)) }
    }

    fn mint(world: &mut World, name: &str) -> Command {
        let particulars = world.particulars(name);
        let scope = ScopeText::Organization("acme".to_owned());
        Command::Mint(Mint { scope, grants: texts(&["verifier"]), particulars })
    }

    fn rename(organization: &str, name: &str) -> Command {
        let change = NamingChange { name: Some(name.to_owned()), display_name: None };
        Command::RenameOrganization(RenameOrganization { organization: organization.to_owned(), change })
    }

    fn rename_project(project: &str, name: &str) -> Command {
        let change = NamingChange { name: Some(name.to_owned()), display_name: None };
        let (organization, project) = ("acme".to_owned(), project.to_owned());
        Command::RenameProject(RenameProject { organization, project, change })
    }

    #[test]
    fn a_repeated_request_has_one_effect_and_the_same_subject() {
        let mut world = World::with_tenants();
        let command = mint(&mut world, "ci");
        let first = world.request(&admin(), &request(command, "k", "b")).unwrap();
        assert!(first.secret.is_some() && !first.repeated);
        world.pass_almost(IDEMPOTENCY_WINDOW);
        let command = mint(&mut world, "ci");
        let again = world.request(&admin(), &request(command, "k", "b")).unwrap();
        assert!(again.repeated && again.events.is_empty() && again.secret.is_none());
        assert_eq!((again.subject, &again.idempotency), (first.subject, &first.idempotency));
        let command = mint(&mut world, "ci");
        let other_body = world.request(&admin(), &request(command, "k", "c"));
        assert_eq!(other_body.unwrap_err(), Rejection::IdempotencyKeyReused);
        world.pass(Duration::from_micros(1));
        let command = mint(&mut world, "ci 2");
        assert!(!world.request(&admin(), &request(command, "k", "c")).unwrap().repeated);
    }

    #[test]
    fn a_key_means_something_only_to_its_caller_and_route() {
        let mut world = World::with_tenants();
        let owner = world.mint("acme", &["owner"]);
        let owner = world.caller(owner);
        let command = mint(&mut world, "a");
        world.request(&admin(), &request(command, "k", "b")).unwrap();
        let command = mint(&mut world, "b");
        assert!(!world.request(&owner, &request(command, "k", "b")).unwrap().repeated);
        let command = mint(&mut world, "c");
        let elsewhere =
            Request { repeat: Some(repeat("POST /v1/others", "k", "b")), ..request(command, "k", "b") };
        assert!(!world.request(&admin(), &elsewhere).unwrap().repeated);
        // Where a part ends is part of the key.
        let parts = |route, key| idempotency(&admin(), &repeat(route, key, "")).key;
        assert_ne!(parts("ab", "c"), parts("a", "bc"));
    }

    #[test]
    fn a_key_survives_the_rotation_of_its_caller() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["owner"]);
        let (command, caller) = (mint(&mut world, "a"), world.caller(id));
        world.request(&caller, &request(command, "k", "b")).unwrap();
        world.rotate(&admin(), id, Duration::ZERO).unwrap();
        let (command, caller) = (mint(&mut world, "a"), world.caller(id));
        assert!(world.request(&caller, &request(command, "k", "b")).unwrap().repeated);
    }

    #[test]
    fn a_repeated_request_is_authorized_again() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["owner"]);
        let (command, caller) = (mint(&mut world, "a"), world.caller(id));
        world.request(&caller, &request(command, "k", "b")).unwrap();
        world.update(&admin(), id, |u| u.grants = Some(texts(&["auditor"]))).unwrap();
        for body in ["b", "c"] {
            let (command, caller) = (mint(&mut world, "a"), world.caller(id));
            let refused = world.request(&caller, &request(command, "k", body));
            assert_eq!(forbidden(refused), "tokens:mint at organization acme");
        }
    }

    #[test]
    fn a_repeated_rename_finds_what_it_renamed() {
        let mut world = World::with_tenants();
        let acme = world.state.find_organization("acme").unwrap().id;
        let web = world.scope("acme/web").project().unwrap();
        let first = world.request(&admin(), &request(rename_project("web", "site"), "p", "")).unwrap();
        assert_eq!(first.subject, Subject::Project(web));
        world.project("acme", "web");
        world.request(&admin(), &request(rename("acme", "beta"), "o", "")).unwrap();
        let again = world.request(&admin(), &request(rename("acme", "beta"), "o", "")).unwrap();
        assert_eq!((again.repeated, again.subject), (true, Subject::Organization(acme)));
        let again = world.request(&admin(), &request(rename_project("web", "site"), "p", "")).unwrap();
        assert_eq!((again.repeated, again.subject), (true, Subject::Project(web)));
    }

    #[test]
    fn what_a_caller_may_no_longer_know_is_hidden_from_its_repeats() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["project-admin@web", "project-reader@api"]);
        let caller = world.caller(id);
        world.request(&caller, &request(rename_project("web", "site"), "k", "")).unwrap();
        world.update(&admin(), id, |u| u.grants = Some(texts(&["project-reader@api"]))).unwrap();
        let caller = world.caller(id);
        assert!(absent(world.request(&caller, &request(rename_project("web", "site"), "k", ""))));
    }

    #[test]
    fn every_repeated_command_is_authorized_by_the_rule_of_its_first_time() {
        let mut world = World::with_tenants();
        let (boss, stranger) =
            (world.mint("instance", &["instance-admin"]), world.mint("acme", &["verifier"]));
        let target = world.mint("acme", &["member"]);
        let (project, entropy) = (crate::id::ProjectId(world.id()), world.entropy());
        let create = CreateProject {
            id: project,
            organization: "acme".to_owned(),
            name: "new".to_owned(),
            display_name: None,
        };
        let update = Update {
            token: target,
            name: Some("x".to_owned()),
            description: None,
            metadata: None,
            grants: None,
            expiry: None,
        };
        let commands = [
            Command::ChangePolicy(ChangePolicy { max_staleness_ms: Some(2_000), ..ChangePolicy::default() }),
            Command::CreateOrganization(CreateOrganization {
                id: crate::id::OrganizationId(world.id()),
                name: "third".to_owned(),
                display_name: None,
            }),
            Command::CreateProject(create),
            Command::Narrow(Narrow { grants: None, particulars: world.particulars("n") }),
            Command::Update(update),
            Command::Rotate(Rotate { token: target, entropy, overlap: Duration::ZERO }),
            Command::Revoke(Revoke { token: target, reason: None, note: None, cascade: false }),
        ];
        for command in commands {
            let caller = world.caller(boss);
            let request = request(command, &format!("{}", world.lines.len()), "");
            assert!(!world.request(&caller, &request).unwrap().repeated);
            let lines = world.lines.len();
            assert!(world.request(&caller, &request).unwrap().repeated);
            assert_eq!(world.lines.len(), lines);
            if !matches!(request.command, Command::Narrow(_)) {
                let subject = decide(&world.state, &caller, world.at, &request).unwrap().subject;
                let stranger = world.caller(stranger);
                authorize_repeated(&world.state, &stranger, world.at, &request.command, subject).unwrap_err();
            }
        }
        assert!(
            authorize_repeated(&world.state, &admin(), world.at, &Command::EnrollRoles, Subject::Instance)
                .is_err()
        );
    }

    #[test]
    fn requests_are_forgotten_after_a_day_and_not_before() {
        let mut world = World::with_tenants();
        let command = mint(&mut world, "a");
        let first = world.request(&admin(), &request(command, "k", "b")).unwrap();
        let key = first.idempotency.unwrap().key;
        world.pass_almost(IDEMPOTENCY_WINDOW);
        world.state.forget(world.at);
        assert!(world.state.reply(&key, world.at).is_some());
        world.pass(Duration::from_micros(1));
        assert!(world.state.reply(&key, world.at).is_none());
        world.state.forget(world.at);
        world.mint("acme", &["member"]);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn each_command_names_the_permission_that_it_is_refused_for() {
        let mut world = World::with_tenants();
        let target = world.mint("acme", &["member"]);
        let caller = world.mint("acme", &["auditor"]);
        let caller = world.caller(caller);
        let mut commands = vec![
            Command::ChangePolicy(ChangePolicy::default()),
            rename("acme", "x"),
            rename_project("web", "x"),
            mint(&mut world, "x"),
            Command::Revoke(Revoke { token: target, reason: None, note: None, cascade: false }),
        ];
        let entropy = world.entropy();
        commands.push(Command::Rotate(Rotate { token: target, entropy, overlap: Duration::ZERO }));
        for command in commands {
            let permission = command.permission().unwrap();
            assert!(forbidden(world.run(&caller, command)).starts_with(permission));
        }
    }

    #[test]
    fn masked_metadata_is_in_its_shortest_form() {
        let secret = Secret::from_entropy(Kind::Project, &[5; 64]).into_text();
        let prefix = &secret[..12];
        // Two names that are one when they are masked, and one that sorts between a secret and what is left of it.
        let twin = format!("{prefix}{}", "z".repeat(42));
        let between = format!("{prefix}z");
        let given =
            serde_json::json!({ &*secret: 1, &*twin: 2, &*between: 3, "deep": [{ &*secret: secret }] });
        let kept = metadata(given.as_object().unwrap()).unwrap().unwrap();
        assert!(!kept.json().get().contains(&secret[13..]));
        let read: Metadata = serde_json::from_str(kept.json().get()).unwrap();
        assert_eq!(read, kept);
        assert!(serde_json::from_str::<Metadata>(r#"{"b":1,"a":1}"#).is_err());
        assert!(serde_json::from_str::<Metadata>(r#"{"a": 1}"#).is_err());
    }
}
