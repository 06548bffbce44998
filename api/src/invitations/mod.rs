//! Invitations to become a member.

pub(crate) mod accept;
pub(crate) mod create;
pub(crate) mod list;
mod mail;
pub(crate) mod reissue;
pub(crate) mod show;
pub(crate) mod withdraw;

use crate::app::App;
use crate::change::Done;
use crate::edge::{Problem, codes};
use crate::mail::Handover;
use crate::people;
use crate::respond::Answer;
use crate::wire;
use domain::event::Subject;
use domain::state::{Invitation, InvitationEnd, InvitationStatus, State};
use domain::time::Timestamp;

/// An invitation as it is at a time, with a commitment where the mail address belongs.
pub(crate) fn view(state: &State, invitation: &Invitation, at: Timestamp) -> wire::Invitation {
    let (organization, project) = people::names(state, invitation.place);
    let status = match invitation.status(at) {
        InvitationStatus::Open => "open",
        InvitationStatus::Accepted => "accepted",
        InvitationStatus::Withdrawn => "withdrawn",
        InvitationStatus::Expired => "expired",
    };
    let delivery = match (invitation.issue.mailed, invitation.issue.hash) {
        (true, _) => "mail",
        (false, Some(_)) => "answer",
        (false, None) => "none",
    };
    let user = match invitation.end {
        Some(InvitationEnd::Accepted(user)) => Some(user.0),
        Some(InvitationEnd::Withdrawn) | None => None,
    };
    wire::Invitation {
        id: invitation.id.0,
        email: Some(invitation.email.to_string()),
        erased: Vec::new(),
        altered: Vec::new(),
        organization,
        project,
        role: invitation.role.to_string(),
        status: status.to_owned(),
        delivery: delivery.to_owned(),
        mail: None,
        secret: None,
        created_at: invitation.created_at.to_string(),
        created_by: invitation.inviter.by.to_string(),
        expires_at: invitation.issue.expires_at.to_string(),
        user,
        revision: invitation.revision,
    }
}

/// The answer to a change of an invitation: it as it is now, with its text where there is one to hand out.
async fn changed(
    app: &App,
    done: Done,
    mail: Option<Handover>,
    is_new: bool,
) -> Result<Answer<wire::Invitation>, Problem> {
    let Subject::Invitation(organization, id) = done.subject else {
        return Err(Problem::new(codes::INTERNAL));
    };
    let at = app.now();
    let found = app
        .node()
        .live()
        .read(|state| state.people().invitation(organization, id).map(|found| view(state, found, at)));
    let mut invitation = found.ok_or_else(|| Problem::new(codes::NOT_FOUND))?;
    people::open(app, [&mut invitation]).await;
    invitation.mail = mail.map(|handover| handover.name().to_owned());
    invitation.secret = done.secret;
    let revision = invitation.revision;
    let answer = if is_new {
        let location = format!("/v1/organizations/{organization}/invitations/{id}");
        Answer::created(invitation, done.position, location)
    } else {
        Answer::ok(invitation, done.position)
    };
    Ok(answer.revision(revision))
}
