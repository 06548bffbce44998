//! What is asked of the scribe, and what it answers.

use crate::seal::SealKey;
use crate::sweep::Sweep;
use domain::authority::{Caller, Credential};
use domain::decide::{Command, Request};
use domain::event::{By, Subject};
use domain::id::{TokenId, UserId};
use domain::import::Hashes;
use domain::query::Read;
use domain::rejection::Rejection;
use domain::secret::{Secret, SecretHash};
use domain::state::State;
use domain::verify::{Code, Question, Verdict};
use eventlog::Personal;
use std::net::IpAddr;
use std::sync::Arc;
use thiserror::Error;

/// One call of the API, or of a job of the authority's own.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls.
    pub presented: Presented,
    /// From where.
    pub client: Client,
    /// The request's id.
    pub request: Box<str>,
    /// The operation, as the OpenAPI document names it.
    pub operation: &'static str,
    /// What it is about, where the operation does not say it, for the record: fit for a line.
    pub object: Option<Box<str>>,
    /// The personal values whose commitments a command carries; they are stored with what it comes to.
    pub personal: Vec<Personal>,
}

/// Who calls, before anything is known of it.
#[derive(Clone, Copy, Debug)]
pub enum Presented {
    /// Somebody with a credential.
    Credential(Credential),
    /// A job of the authority's own.
    Job(&'static str),
    /// Somebody without a credential of this authority, who may only report.
    Outsider(Outsider),
    /// Somebody with the text of an invitation, to accept it.
    Invitation {
        /// BLAKE3 of the text.
        text: SecretHash,
        /// The person that accepting it makes, unless it was accepted before.
        user: UserId,
    },
}

/// Who reports without a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outsider {
    /// Nobody knows.
    Anonymous,
    /// A partner whose signature was verified.
    Partner(&'static str),
}

impl Outsider {
    /// Who it is, as lines and answers write it.
    pub fn by(self) -> By {
        match self {
            Self::Anonymous => By::Anonymous,
            Self::Partner(name) => By::Partner(name.into()),
        }
    }
}

/// From where somebody calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The network address.
    pub address: Option<IpAddr>,
    /// The user agent, at most 256 bytes.
    pub agent: Option<Arc<str>>,
}

/// What is wanted.
#[derive(Debug)]
pub enum Work {
    /// A change.
    Command(Box<Request>, Option<SealKey>),
    /// The end of tokens that have gone unused for too long.
    Sweep(Box<Sweep>),
    /// A look: only whether the caller may.
    Read(Read),
    /// Answers about presented tokens.
    Verify(Vec<Inquiry>),
}

impl Work {
    /// Whether it deletes personal values.
    pub(crate) fn is_erasure(&self) -> bool {
        matches!(self, Self::Command(request, _) if matches!(request.command, Command::Erase(_)))
    }

    /// What it is about, as it was asked: by names or ids that nobody has checked.
    pub fn object(&self) -> Option<String> {
        match self {
            Self::Command(request, _) => request.command.object(),
            Self::Read(read) => read.object(),
            Self::Sweep(sweep) => sweep.request().command.object(),
            Self::Verify(_) => None,
        }
    }
}

/// One question about a presented token.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// What the presented text can be known by.
    pub hashes: Hashes,
    /// The text starts like one of ours and its checksum fails.
    pub malformed: bool,
    /// What it would do.
    pub permission: Option<Box<str>>,
    /// The organization in question, by name or id.
    pub organization: Option<Box<str>>,
    /// The project in question, by name or id.
    pub project: Option<Box<str>>,
    /// The resource in question, in the asking service's words.
    pub resource: Option<Box<str>>,
    /// Who presented it.
    pub client: Client,
}

impl Inquiry {
    /// The question that the domain decides on a state.
    pub fn question(&self, state: &State) -> Question<'_> {
        Question {
            hash: self.hashes.known(state),
            malformed: self.malformed,
            permission: self.permission.as_deref(),
            organization: self.organization.as_deref(),
            project: self.project.as_deref(),
            address: self.client.address,
        }
    }
}

/// An answer whose record is on the log.
#[derive(Debug)]
pub struct Answered {
    /// Who called.
    pub caller: Caller,
    /// What came of it.
    pub outcome: Outcome,
    /// The size of the log after it.
    pub position: u64,
}

/// What came of a call.
#[derive(Debug)]
pub enum Outcome {
    /// A command was done.
    Done {
        /// What it made or changed.
        subject: Subject,
        /// The tokens that somebody who leaves answered for, for the answer.
        tokens: Vec<TokenId>,
        /// The secret to hand out.
        secret: Option<Secret>,
        /// It had been done before, under the same idempotency key, whose hash this is.
        repeated: Option<Box<str>>,
    },
    /// The caller may read.
    Readable,
    /// Each question's verdict and, unless the token is unknown, the position of its line.
    Verified(Vec<(Verdict, Option<u64>)>),
}

/// Why there is no such answer.
#[derive(Debug, Error)]
pub enum Failure {
    /// The credential is not in force. What it was is on the log.
    #[error("{}", .0.explanation())]
    Unauthenticated(Code),
    /// The state does not allow it. That it was asked is on the log.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The database cannot be reached. Nothing happened.
    #[error("the database cannot be reached; nothing was changed")]
    Unavailable,
    /// The database was lost half-way. It may have happened.
    #[error("the database was lost half-way; whether the change was recorded is being found out")]
    OutcomeUnknown,
    /// Too much waits already. Nothing happened.
    #[error("too many requests wait already")]
    Overloaded,
    /// Bounded: what this node knows is older than may be answered from.
    #[error("this node has not seen the log for longer than the policy allows")]
    Stale,
    /// When tokens were last used is not known up to now, and would take too long to find out. Nothing happened.
    #[error("when tokens were last used is known only up to {} lines ago", .0)]
    UsageBehind(u64),
    /// The node is stopping. Nothing happened.
    #[error("this node is stopping")]
    Stopping,
}
