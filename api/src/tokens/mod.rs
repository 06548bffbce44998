//! Tokens, from their minting to their end.

pub(crate) mod history;
pub(crate) mod identify;
pub(crate) mod import;
pub(crate) mod lineage;
pub(crate) mod list;
pub(crate) mod mint;
pub(crate) mod narrow;
pub(crate) mod revoke;
pub(crate) mod revoke_tokens;
pub(crate) mod rotate;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod uses;
pub(crate) mod whoami;

use crate::app::App;
use crate::auth::Session;
use crate::change::Done;
use crate::edge::{Problem, codes};
use crate::error::invalid;
use crate::respond::Answer;
use crate::wire;
use domain::decide::{Expiry, ScopeText};
use domain::event::{Reason, Subject};
use domain::id::TokenId;
use domain::scope::{Grant, Scope};
use domain::state::{Revocation, State, Status, Token};
use domain::time::{Timestamp, parse_duration};
use projections::Moment;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// A token as it is at a time.
pub(crate) fn view(state: &State, token: &Arc<Token>, at: Timestamp) -> wire::Token {
    let revoked = state.revocation(token).map(|(revocation, cause)| view_revocation(revocation, cause));
    let overlap_until =
        token.previous.as_deref().and_then(|previous| previous.valid_until).filter(|until| at < *until);
    wire::Token {
        id: token.id.0,
        name: token.name.to_string(),
        description: token.description.as_deref().map(str::to_owned),
        prefix: token.prefix.to_string(),
        secret: None,
        scope: view_scope(state, token.scope),
        organization_id: token.scope.organization().map(|id| id.0),
        project_id: token.scope.project().map(|id| id.0),
        grants: view_grants(state, &token.grants),
        status: match state.status(token, at) {
            Status::Live => wire::Status::Live,
            Status::Expired => wire::Status::Expired,
            Status::Revoked => wire::Status::Revoked,
        },
        rotation_due: state
            .policy(token.scope)
            .and_then(|policy| policy.rotation_due(token))
            .filter(|_| revoked.is_none())
            .map(|due| due.to_string()),
        created_at: token.created_at.to_string(),
        created_by: token.created_by.to_string(),
        parent: token.parent.map(|id| id.0),
        narrowed: token.narrowed,
        imported: state.imports().of(token.id).map(|imported| wire::Imported {
            algorithm: imported.algorithm.as_str().to_owned(),
            owner: None,
            erased: Vec::new(),
            altered: Vec::new(),
            created_at: imported.created_at.map(|time| time.to_string()),
        }),
        not_before: token.not_before.map(|time| time.to_string()),
        expires_at: state.expiry(token).map(|time| time.to_string()),
        allowed_networks: token.allowed_networks.list().iter().map(ToString::to_string).collect(),
        metadata: token
            .metadata
            .as_ref()
            .and_then(|metadata| serde_json::from_str(metadata.json().get()).ok()),
        overlap_until: overlap_until.filter(|_| revoked.is_none()).map(|time| time.to_string()),
        last_used_at: None,
        last_used: None,
        last_refused: None,
        days: Vec::new(),
        revoked,
        revision: state.revision(token),
    }
}

/// Adds when, for what and from where tokens were last used and refused. Without the database the answer is whole but for
/// that.
pub(crate) async fn add_last_used(app: &App, session: &Session, tokens: &mut [wire::Token]) {
    add_uses(app, session, tokens, false).await;
}

/// The same for one token, and how often it was presented on which day.
async fn add_days(app: &App, session: &Session, token: &mut wire::Token) {
    add_uses(app, session, std::slice::from_mut(token), true).await;
}

async fn add_uses(app: &App, session: &Session, tokens: &mut [wire::Token], with_days: bool) {
    let ids: Vec<TokenId> = tokens.iter().map(|token| TokenId(token.id)).collect();
    let traceable = traceable(app, session, &ids);
    match app.node().last_uses(&ids, with_days).await {
        Ok(mut found) => {
            for token in tokens {
                let known = found.remove(&TokenId(token.id)).unwrap_or_default();
                token.last_used_at = known.used.as_ref().map(|used| used.at.to_string());
                let is_traceable = traceable.contains(&TokenId(token.id));
                token.last_used = known.used.map(|moment| view_moment(moment, is_traceable));
                token.last_refused = known.refused.map(|moment| view_moment(moment, is_traceable));
                token.days = known.days.into_iter().map(view_day).collect();
            }
        }
        Err(error) => tracing::warn!(%error, "when tokens were last used could not be read"),
    }
}

/// The tokens of which the caller is told from where they were presented: its own, and where it may read the audit log,
/// which says the same.
fn traceable(app: &App, session: &Session, ids: &[TokenId]) -> HashSet<TokenId> {
    app.node().live().read(|state| {
        let Ok(caller) = app.again(state, session) else { return HashSet::new() };
        let own = caller.token().map(|token| token.id);
        let is_audited = |id: TokenId| {
            state.tokens().get(id).is_some_and(|token| caller.may(state, "audit:read", token.scope))
        };
        ids.iter().copied().filter(|id| own == Some(*id) || is_audited(*id)).collect()
    })
}

fn view_moment(moment: Moment, is_traceable: bool) -> wire::Presentation {
    let Moment { at, code, permission, address, agent, erased, altered } = moment;
    let presented =
        wire::Presentation { at: at.to_string(), code, permission, ..wire::Presentation::default() };
    if !is_traceable {
        return presented;
    }
    let own = |fields: Vec<&'static str>| fields.into_iter().map(str::to_owned).collect();
    wire::Presentation { address, agent, erased: own(erased), altered: own(altered), ..presented }
}

fn view_day((day, used, refused): (i64, u64, u64)) -> wire::DayOfUse {
    let midnight = Timestamp::from_micros(day * 86_400_000_000).to_string();
    wire::DayOfUse { day: midnight[..10].to_owned(), used, refused }
}

fn view_revocation(revocation: &Revocation, cause: Option<TokenId>) -> wire::Revocation {
    let reason = match revocation.reason {
        Reason::Requested => "requested",
        Reason::Inactive => "inactive",
        Reason::Leaked => "leaked",
        Reason::MemberRemoved => "member-removed",
        Reason::ProjectDeleted => "project-deleted",
        Reason::OrganizationDeleted => "organization-deleted",
    };
    wire::Revocation {
        at: revocation.at.to_string(),
        by: revocation.by.to_string(),
        reason: reason.to_owned(),
        note: revocation.note.as_deref().map(str::to_owned),
        cause: cause.map(|id| id.0),
    }
}

/// A scope in names.
pub(crate) fn view_scope(state: &State, scope: Scope) -> wire::Scope {
    let organization = scope.organization().map(|id| {
        state.organization(id).map_or_else(|| id.to_string(), |found| found.naming.name.to_string())
    });
    let project = scope
        .project()
        .map(|id| state.project(id).map_or_else(|| id.to_string(), |found| found.naming.name.to_string()));
    wire::Scope { instance: (scope == Scope::Instance).then_some(true), organization, project }
}

/// Grants in names, without those that have ended with their project.
pub(crate) fn view_grants(state: &State, grants: &[Grant]) -> Vec<String> {
    grants.iter().filter(|grant| !state.has_ended(grant)).map(|grant| view_grant(state, grant)).collect()
}

/// A grant in names.
pub(crate) fn view_grant(state: &State, grant: &Grant) -> String {
    match grant.project {
        None => grant.role.to_string(),
        Some(id) => {
            let project =
                state.project(id).map_or_else(|| id.to_string(), |found| found.naming.name.to_string());
            format!("{}@{project}", grant.role)
        }
    }
}

/// The answer to a change of a token: the token as it is now, with the secret where there is one to hand out.
pub(crate) fn changed(app: &App, done: Done, is_new: bool) -> Result<Answer<wire::Token>, Problem> {
    let Subject::Token(id) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let at = app.now();
    let found = app.node().live().read(|state| state.tokens().get(id).map(|token| view(state, token, at)));
    let mut token = found.ok_or_else(|| Problem::new(codes::NOT_FOUND))?;
    token.secret = done.secret;
    let revision = token.revision;
    let answer = if is_new {
        Answer::created(token, done.position, format!("/v1/tokens/{id}"))
    } else {
        Answer::ok(token, done.position)
    };
    Ok(answer.revision(revision))
}

/// The id of a path. A text that is none names no token.
pub(crate) fn read_id(text: &str) -> Result<TokenId, Problem> {
    text.parse().map_err(|_| {
        let rejection = domain::rejection::Rejection::not_found("token", &text);
        crate::error::problem(&rejection.into())
    })
}

/// The scope that a body states.
pub(crate) fn read_scope(scope: &wire::Scope) -> Result<ScopeText, Problem> {
    match (scope.instance, &scope.organization, &scope.project) {
        (Some(true), None, None) => Ok(ScopeText::Instance),
        (None, Some(organization), None) => Ok(ScopeText::Organization(organization.clone())),
        (None, Some(organization), Some(project)) => {
            Ok(ScopeText::Project(organization.clone(), project.clone()))
        }
        _ => {
            let expected = "exactly one of {\"instance\": true}, {\"organization\": …} and {\"organization\": …, \
                            \"project\": …}";
            Err(invalid("scope", &serde_json::to_string(scope).unwrap_or_default(), expected))
        }
    }
}

/// The expiry that a body states: at most one of a duration and a time.
fn read_expiry(
    expires_in: Option<&str>,
    expires_at: Option<Option<&str>>,
) -> Result<Option<Expiry>, Problem> {
    match (expires_in, expires_at) {
        (None, None) => Ok(None),
        (None, Some(None)) => Ok(Some(Expiry::Never)),
        (None, Some(Some(time))) => Ok(Some(Expiry::At(read_time("expires_at", time)?))),
        (Some(duration), None) => Ok(Some(Expiry::In(read_duration("expires_in", duration)?))),
        (Some(duration), Some(_)) => Err(invalid("expires_in", duration, "given together with expires_at")),
    }
}

pub(crate) fn read_time(field: &'static str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text)
        .ok_or_else(|| invalid(field, text, "a time such as 2027-01-31T12:00:00Z (RFC 3339)"))
}

pub(crate) fn read_duration(field: &'static str, text: &str) -> Result<Duration, Problem> {
    parse_duration(text).ok_or_else(|| invalid(field, text, "a duration such as 30d, 12h or 1h30m"))
}
