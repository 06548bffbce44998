//! The mail that an invitation goes out by.
//!
//! What people chose freely (display names, names of persons) is not in it: a mail in the authority's name must not say
//! what somebody else wants it to say. Names that are labels, addresses and times are.

use super::{Letter, Mailer};
use domain::time::Timestamp;
use lettre::Message;
use lettre::address::Address;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use std::time::{Duration, UNIX_EPOCH};
use zeroize::Zeroizing;

/// What the mail says.
pub(crate) struct Invitation<'a> {
    /// The invitation's id.
    pub(crate) id: String,
    /// Which change of the invitation it is about; an address may be sent several.
    pub(crate) revision: u64,
    pub(crate) to: Address,
    /// The organization's name.
    pub(crate) organization: &'a str,
    /// The project's name.
    pub(crate) project: Option<&'a str>,
    pub(crate) role: &'a str,
    /// Who invites, in words.
    pub(crate) inviter: &'a str,
    pub(crate) expires_at: &'a str,
    /// What it is accepted with.
    pub(crate) text: &'a str,
}

impl Mailer {
    /// The mail, written at a time.
    pub(crate) fn invitation(&self, invitation: &Invitation<'_>, at: Timestamp) -> Letter {
        let body = Zeroizing::new(body(invitation, &self.public_url));
        let written = UNIX_EPOCH + Duration::from_micros(u64::try_from(at.micros()).unwrap_or_default());
        let domain = self.from.email.domain();
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, invitation.to.clone()))
            .subject(format!("Invitation to {}", place(invitation)))
            .date(written)
            // The same in every attempt, so that a mail that was taken twice can be told.
            .message_id(Some(format!("<{}.{}@{domain}>", invitation.id, invitation.revision)))
            // RFC 3834, section 5: no absence is to be told to it.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(body.as_str().to_owned())
            .expect("a mail with one sender and one receiver can be written");
        Letter::new(invitation.id.clone(), &message)
    }
}

fn place(invitation: &Invitation<'_>) -> String {
    match invitation.project {
        Some(project) => format!("{project} in {}", invitation.organization),
        None => invitation.organization.to_owned(),
    }
}

fn body(invitation: &Invitation<'_>, public_url: &str) -> String {
    let Invitation { organization, role, inviter, expires_at, text, .. } = invitation;
    let place = match invitation.project {
        Some(project) => format!("the project {project} of the organization {organization}"),
        None => format!("the organization {organization}"),
    };
    format!(
        "Hello,\n\n\
         {inviter} invites you to become a member of\n\
         {place},\n\
         with the role {role}, at\n\
         {public_url}\n\n\
         Your invitation is this text:\n\n\
         {text}\n\n\
         It is a secret: whoever has it can accept it in your place. It can be\n\
         accepted once, until {expires_at}.\n\n\
         On the command line, which asks for the text:\n\n\
         chancery invite accept --url {public_url} --save\n\n\
         Or with any HTTP client, which is answered with your session:\n\n\
         POST {public_url}/v1/invitations/accept\n\
         Content-Type: application/json\n\n\
         {{\"invitation\": \"<the text above>\", \"name\": \"<your name>\"}}\n\n\
         If you did not expect this, do nothing: nobody becomes a member without\n\
         accepting.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::MailSettings;
    use super::*;

    fn letter(project: Option<&str>) -> String {
        let settings = MailSettings::new(
            "smtp://localhost?tls=none".parse().unwrap(),
            "Chancery <chancery@example.org>",
            "https://chancery.example.org/",
        );
        let invitation = Invitation {
            id: "0193".to_owned(),
            revision: 7,
            to: "ada@example.org".parse().unwrap(),
            organization: "acme",
            project,
            role: "member",
            inviter: "grace@example.org",
            expires_at: "2026-11-29T10:15:00.000000Z",
            text: "chyn_text",
        };
        let mailer = Mailer::new(settings.unwrap()).unwrap();
        let letter = mailer.invitation(&invitation, Timestamp::from_micros(0));
        String::from_utf8(letter.text.to_vec()).unwrap()
    }

    #[test]
    fn a_mail_says_who_invites_to_what_until_when_and_how_to_accept() {
        let text = letter(None);
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        for header in [
            "From: Chancery <chancery@example.org>",
            "To: ada@example.org",
            "Subject: Invitation to acme",
            "Message-ID: <0193.7@example.org>",
            "Auto-Submitted: auto-generated",
            "Content-Type: text/plain; charset=utf-8",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
        ] {
            assert!(headers.lines().any(|line| line == header), "{header}: {headers}");
        }
        for line in [
            "grace@example.org invites you to become a member of",
            "the organization acme,",
            "with the role member, at",
            "https://chancery.example.org",
            "chyn_text",
            "accepted once, until 2026-11-29T10:15:00.000000Z.",
            "chancery invite accept --url https://chancery.example.org --save",
            "POST https://chancery.example.org/v1/invitations/accept",
        ] {
            assert!(body.lines().any(|found| found == line), "{line}: {body}");
        }
        assert!(letter(Some("web")).contains("the project web of the organization acme"));
    }
}
