//! The one place where a failure becomes a status and a code.

use crate::edge::Problem;
use crate::edge::codes::{self, Code as ProblemCode};
use domain::rejection::{Rejection, wrong};
use domain::verify::Code;
use projections::Failure;

/// Seconds after which a call that could not be served may be tried again.
const RETRY_AFTER: u32 = 1;

/// The problem that a failure is to its caller.
pub(crate) fn problem(failure: &Failure) -> Problem {
    match failure {
        Failure::Unauthenticated(code) => unauthenticated(*code),
        Failure::Rejected(rejection) => rejected(rejection),
        Failure::Unavailable | Failure::Stopping => temporary(codes::UNAVAILABLE, failure),
        Failure::OutcomeUnknown => temporary(codes::OUTCOME_UNKNOWN, failure),
        Failure::Overloaded => temporary(codes::OVERLOADED, failure),
        Failure::Stale => temporary(codes::STALE, failure),
        Failure::UsageBehind(_) => temporary(codes::BEHIND, failure),
    }
}

fn temporary(code: &'static ProblemCode, failure: &Failure) -> Problem {
    Problem::new(code).detail(sentence(failure)).retry_after(RETRY_AFTER)
}

/// A credential that is not in force.
pub(crate) fn unauthenticated(code: Code) -> Problem {
    Problem::new(unauthenticated_code(code)).detail(sentence(&code.explanation()))
}

fn unauthenticated_code(code: Code) -> &'static ProblemCode {
    match code {
        Code::Malformed => codes::TOKEN_MALFORMED,
        Code::Unknown | Code::WrongOrganization => codes::TOKEN_UNKNOWN,
        Code::Superseded => codes::TOKEN_SUPERSEDED,
        Code::Revoked => codes::TOKEN_REVOKED,
        Code::OrganizationSuspended => codes::ORGANIZATION_SUSPENDED,
        Code::NotYetValid => codes::TOKEN_NOT_YET_VALID,
        Code::Expired => codes::TOKEN_EXPIRED,
        Code::AddressDenied => codes::ADDRESS_DENIED,
        Code::WrongProject | Code::Forbidden | Code::Valid => codes::FORBIDDEN,
    }
}

fn rejected(rejection: &Rejection) -> Problem {
    let detail = sentence(rejection);
    match rejection {
        Rejection::Unauthenticated(code) => unauthenticated(*code),
        Rejection::Forbidden { permission, .. } => {
            Problem::new(codes::FORBIDDEN).detail(detail).missing([permission.as_str()])
        }
        Rejection::Escalation { missing } => {
            Problem::new(codes::ESCALATION).detail(detail).missing(missing.iter().map(String::as_str))
        }
        Rejection::NotFound { .. } => Problem::new(codes::NOT_FOUND).detail(detail),
        Rejection::NameTaken { .. } => {
            Problem::new(codes::NAME_TAKEN).detail(detail).field("name", rejection.to_string())
        }
        Rejection::Invalid { field, value, expected } => {
            Problem::new(codes::INVALID_VALUE).detail(detail).field(*field, wrong(value, expected))
        }
        Rejection::RoleFixed { .. } => Problem::new(codes::ROLE_FIXED).detail(detail),
        Rejection::RoleNamed { .. } => Problem::new(codes::ROLE_NAMED).detail(detail),
        Rejection::RoleHeld { .. } => Problem::new(codes::ROLE_HELD).detail(detail),
        Rejection::HashKnown => Problem::new(codes::HASH_KNOWN).detail(detail),
        Rejection::TokenEnded { .. } => Problem::new(codes::TOKEN_ENDED).detail(detail),
        Rejection::LimitReached { .. } => Problem::new(codes::LIMIT_REACHED).detail(detail),
        Rejection::PolicyLimit { .. } => Problem::new(codes::POLICY_LIMIT).detail(detail),
        Rejection::InvitationEnded { .. } => Problem::new(codes::INVITATION_ENDED).detail(detail),
        Rejection::AlreadyMember { .. } => Problem::new(codes::ALREADY_MEMBER).detail(detail),
        Rejection::LastOwner { .. } => Problem::new(codes::LAST_OWNER).detail(detail),
        Rejection::StillMember { .. } => Problem::new(codes::STILL_MEMBER).detail(detail),
        Rejection::PreconditionFailed { .. } => Problem::new(codes::PRECONDITION_FAILED).detail(detail),
        Rejection::CountChanged { .. } => Problem::new(codes::COUNT_CHANGED).detail(detail),
        Rejection::IdempotencyKeyReused => Problem::new(codes::IDEMPOTENCY_KEY_REUSED).detail(detail),
    }
}

/// The position that a read asks for has not been reached.
pub(crate) fn behind(wanted: u64, position: u64) -> Problem {
    Problem::new(codes::BEHIND)
        .detail(format!("The read asks for at least position {wanted}; this node has reached {position}."))
        .retry_after(RETRY_AFTER)
}

/// A value of the request that cannot be.
pub(crate) fn invalid(field: &'static str, value: &str, expected: &str) -> Problem {
    rejected(&Rejection::invalid(field, value, expected.to_owned()))
}

/// Details are sentences: they begin with a capital letter and end with a period.
fn sentence(text: &impl ToString) -> String {
    let text = text.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}
