//! Invitations that go out by mail: what is checked before, and the mail after.

use super::view;
use crate::app::App;
use crate::auth::Session;
use crate::change::{Conditions, Done};
use crate::edge::{Problem, codes};
use crate::error::invalid;
use crate::mail::invitation::Invitation as Contents;
use crate::mail::{self, Handover};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use domain::decide::Command;
use domain::event::{By, Subject};
use domain::id::{InvitationId, OrganizationId};
use domain::secret::SecretHash;
use domain::state::InvitationStatus;
use serde::Serialize;
use std::sync::Arc;

/// A request that gives an invitation's text out.
pub(super) struct GivingOut<B> {
    pub(super) session: Session,
    pub(super) operation: &'static str,
    pub(super) path: Vec<String>,
    pub(super) body: B,
    pub(super) conditions: Conditions,
    pub(super) command: Command,
}

/// Refuses an address that no mail can be sent to, and an inviter who has sent too many; before there is an invitation.
pub(super) fn require_sendable(app: &App, session: &Session, email: &str) -> Result<(), Problem> {
    if app.mail().is_some() && mail::address(email).is_none() {
        return Err(invalid("email", email, "a mail address that mail can be sent to"));
    }
    require_within_limit(app, session)
}

pub(super) fn require_within_limit(app: &App, session: &Session) -> Result<(), Problem> {
    if app.mail().is_some() { app.limit_inviter(session) } else { Ok(()) }
}

/// Gives an invitation's text out: by mail where that is set up, in the answer elsewhere.
pub(super) async fn give_out<B: Serialize + Send + Sync + 'static>(
    app: App,
    request: GivingOut<B>,
) -> Result<Answer<wire::Invitation>, Problem> {
    let is_mailed = app.mail().is_some();
    let giving_out = async move {
        let GivingOut { session, operation, path, body, conditions, command } = request;
        let is_new = matches!(command, Command::Invite(_));
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut done = app.change(&session, operation, &path, &body, conditions, command).await?;
        let mail = if is_mailed { send(&app, &mut done).await } else { None };
        super::changed(&app, done, mail, is_new).await
    };
    if is_mailed {
        // Whoever does not wait for the answer leaves no invitation behind whose mail was never sent.
        tokio::spawn(giving_out).await.map_err(|_| Problem::new(codes::INTERNAL))?
    } else {
        giving_out.await
    }
}

/// Sends what was decided to go out by mail, and takes it out of the answer. A repeated request sends nothing: there is
/// no text any more.
async fn send(app: &App, done: &mut Done) -> Option<Handover> {
    let (mailer, text) = (app.mail()?, done.secret.take()?);
    let Subject::Invitation(organization, id) = done.subject else { return None };
    let found = app.node().live().read(|state| {
        let found = state.people().invitation(organization, id)?;
        let inviter = match found.inviter.by {
            By::Session(user) => state.people().user(user).map(|user| people::view_user(state, user)),
            _ => None,
        };
        Some((view(state, found, app.now()), found.inviter.by.to_string(), inviter))
    });
    let (mut invitation, by, mut inviter) = found?;
    people::open(app, [&mut invitation]).await;
    people::open(app, inviter.as_mut()).await;
    let Some(to) = invitation.email.as_deref().and_then(mail::address) else {
        return Some(Handover::Refused);
    };
    let contents = Contents {
        id: invitation.id.to_string(),
        revision: invitation.revision,
        to,
        organization: &invitation.organization,
        project: invitation.project.as_deref(),
        role: &invitation.role,
        inviter: inviter.as_ref().and_then(|inviter| inviter.email.as_deref()).unwrap_or(&by),
        expires_at: &invitation.expires_at,
        text: &text,
    };
    let letter = mailer.invitation(&contents, app.now());
    let wanted = is_open(app, organization, id, SecretHash::of(&text));
    Some(mailer.deliver(letter, wanted).await)
}

/// Whether an invitation can still be accepted with this text.
fn is_open(
    app: &App,
    organization: OrganizationId,
    id: InvitationId,
    text: SecretHash,
) -> impl Fn() -> bool + Send + 'static {
    // Only the state, so that a mail that waits holds up no node that stops.
    let live = Arc::clone(app.node().live());
    move || {
        let at = domain::time::Timestamp::from_micros(live.clock().now());
        live.read(|state| {
            let found = state.people().invitation(organization, id);
            found.is_some_and(|found| {
                found.issue.hash == Some(text) && found.status(at) == InvitationStatus::Open
            })
        })
    }
}
