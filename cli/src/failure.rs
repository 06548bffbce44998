//! How a command ends: its exit code, and what it says when it fails.

use crate::output::escape::plain;
use api::wire::Problem;
use clap::builder::styling::{AnsiColor, Style};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

/// How a command ended, for scripts. The numbers are part of the command line's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Failed = 1,
    Usage = 2,
    /// Verify answered that the token may not.
    Refused = 3,
    /// Nobody is logged in, or who is may not.
    Denied = 4,
    NotFound = 5,
    /// What is there stands against it: a taken name, an ended token, another revision.
    Conflict = 6,
    /// No answer: the server cannot be reached, or cannot answer now.
    Unavailable = 7,
    /// Left at a prompt, as a shell counts an interrupt.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is at fault.
    Usage(String),
    /// The server refused, and says why.
    Problem(Box<Refusal>),
    /// No credential to call with, or one that must not be used.
    NoCredential(String),
    /// What was named does not exist.
    NotFound(String),
    /// No answer, or none that says anything.
    Unavailable(String),
    /// Anything else.
    Other(String),
    /// Left at a prompt.
    Cancelled,
    /// Whoever read the output has gone, which is theirs to decide.
    ReaderGone,
}

/// A refusal of the server.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    /// Where the problem's documentation is.
    pub(crate) documentation: Option<String>,
    /// What may help, where the command line knows more than the server.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Problem(refusal) => refusal.exit(),
            Self::NoCredential(_) => Exit::Denied,
            Self::NotFound(_) => Exit::NotFound,
            Self::Unavailable(_) => Exit::Unavailable,
            Self::Other(_) => Exit::Failed,
            Self::Cancelled => Exit::Cancelled,
            Self::ReaderGone => Exit::Success,
        }
    }

    /// What people read: no secret, nothing that moves the cursor.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Usage(text)
            | Self::NoCredential(text)
            | Self::NotFound(text)
            | Self::Unavailable(text)
            | Self::Other(text) => plain(text),
            Self::Problem(refusal) => refusal.message(),
            Self::Cancelled => "cancelled; nothing was changed".to_owned(),
            Self::ReaderGone => String::new(),
        }
    }

    /// The same, of one of several.
    pub(crate) fn about(self, what: &str) -> Self {
        let name = |text: String| format!("{what}: {text}");
        match self {
            Self::Problem(mut refusal) => {
                refusal.problem.title = name(refusal.problem.title);
                Self::Problem(refusal)
            }
            Self::NotFound(text) => Self::NotFound(name(text)),
            Self::Unavailable(text) => Self::Unavailable(name(text)),
            Self::Other(text) => Self::Other(name(text)),
            other => other,
        }
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) {
        if matches!(self, Self::ReaderGone) {
            return;
        }
        let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let mut text = format!("{style}error:{style:#} {}\n", self.message());
        if matches!(self, Self::Usage(_)) {
            text.push_str("\nFor more information, try '--help'.\n");
        }
        // With standard error gone there is nowhere left to say it; the exit code still does.
        let _ = anstream::stderr().write_all(text.as_bytes());
    }
}

impl Refusal {
    fn exit(&self) -> Exit {
        match (self.problem.status, self.problem.code.as_str()) {
            (_, "idempotency_key_reused") | (409 | 412, _) => Exit::Conflict,
            (401 | 403, _) => Exit::Denied,
            (404, _) => Exit::NotFound,
            (400 | 422, _) => Exit::Usage,
            (408 | 429 | 502..=504, _) => Exit::Unavailable,
            _ => Exit::Failed,
        }
    }

    fn message(&self) -> String {
        let problem = &self.problem;
        let mut text = plain(&problem.title);
        let mut line = |label: &str, value: &str| {
            let _ = write!(text, "\n  {label}{}", plain(value));
        };
        if let Some(detail) = &problem.detail {
            line("", detail);
        }
        // Of one field, the detail often says the same.
        let detail = problem.detail.as_deref().unwrap_or_default().to_lowercase();
        for error in problem.errors.iter().filter(|error| !detail.contains(&error.detail.to_lowercase())) {
            line(&format!("{}: ", plain(&error.field)), &error.detail);
        }
        if !problem.missing.is_empty() {
            line("missing: ", &problem.missing.join(", "));
        }
        if let Some(hint) = &self.hint {
            line("hint: ", hint);
        }
        if let Some(id) = &problem.request_id {
            line("request: ", id);
        }
        if let Some(documentation) = &self.documentation {
            line("see: ", documentation);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::wire::FieldProblem;

    fn refusal(status: u16, code: &str) -> Failure {
        let secret = domain::secret::Secret::from_entropy(domain::secret::Kind::Project, &[7; 64]);
        Failure::Problem(Box::new(Refusal {
            problem: Problem {
                kind: format!("/docs/errors/{code}"),
                title: "The permission is missing".to_owned(),
                status,
                code: code.to_owned(),
                detail: Some(format!("Not with {}\u{1b}[2J.", secret.text())),
                errors: vec![FieldProblem {
                    field: "name".to_owned(),
                    detail: "`X` is not a label".to_owned(),
                }],
                missing: vec!["tokens:mint".to_owned(), "tokens:read".to_owned()],
                request_id: Some("00000001-2".to_owned()),
            },
            documentation: Some(format!("http://127.0.0.1:7070/docs/errors/{code}")),
            hint: None,
        }))
    }

    #[test]
    fn a_refusal_says_all_it_knows_and_no_secret() {
        let message = refusal(403, "forbidden").message();
        let (masked, rest) = message.split_once('…').expect("the secret is masked");
        assert!(masked.ends_with(char::is_alphanumeric) && masked.contains("\n  Not with chyp_"), "{masked}");
        insta::assert_snapshot!(rest, @r"
        \u{1b}[2J.
          name: `X` is not a label
          missing: tokens:mint, tokens:read
          request: 00000001-2
          see: http://127.0.0.1:7070/docs/errors/forbidden
        ");
    }

    #[test]
    fn exit_codes_follow_the_problem() {
        for (status, code, exit) in [
            (401, "token_expired", Exit::Denied),
            (403, "escalation", Exit::Denied),
            (404, "not_found", Exit::NotFound),
            (409, "name_taken", Exit::Conflict),
            (412, "precondition_failed", Exit::Conflict),
            (422, "idempotency_key_reused", Exit::Conflict),
            (422, "invalid_value", Exit::Usage),
            (503, "unavailable", Exit::Unavailable),
            (500, "internal", Exit::Failed),
        ] {
            assert_eq!(refusal(status, code).exit(), exit, "{code}");
        }
        assert_eq!(Failure::ReaderGone.exit(), Exit::Success);
    }
}
