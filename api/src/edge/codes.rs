//! Every error code there is. This one table feeds the answers, their documentation pages and the OpenAPI
//! document, so that none of them can name a code that the others do not know.

use http::StatusCode;

/// One error: its stable name, and what its documentation page says.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable, for programs: the last part of the problem's `type`.
    pub code: &'static str,
    /// The HTTP status that it is answered with.
    pub status: u16,
    /// A short summary, the same every time.
    pub title: &'static str,
    /// What happened, for people.
    pub meaning: &'static str,
    /// What they can do about it.
    pub remedy: &'static str,
}

impl Code {
    /// The status, typed.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).expect("a test walks the table")
    }

    /// The problem's `type`: a relative reference to its documentation page.
    pub fn url(&self) -> String {
        format!("/docs/errors/{}", self.code)
    }

    /// The code of that name.
    pub fn find(code: &str) -> Option<&'static Code> {
        CODES.iter().copied().find(|entry| entry.code == code)
    }
}

macro_rules! codes {
    ($($name:ident $code:literal $status:literal $title:literal: $meaning:literal; $remedy:literal;)*) => {
        $(
            #[doc = $title]
            pub static $name: &Code =
                &Code { code: $code, status: $status, title: $title, meaning: $meaning, remedy: $remedy };
        )*
        /// All codes, in the order of their statuses.
        pub static CODES: &[&Code] = &[$(
            &Code { code: $code, status: $status, title: $title, meaning: $meaning, remedy: $remedy }
        ),*];
    };
}

// An unknown field and a value of the wrong type are 422 like every other value that cannot be: the body was
// read, and only its content is at fault. 400 is kept for what could not be read at all.
codes! {
    MALFORMED_JSON "malformed_json" 400 "The body is not JSON":
        "The request's body could not be read as JSON. The detail names the line and column where reading stopped.";
        "Send one JSON document in UTF-8, and check how your client quotes and escapes it.";
    MALFORMED_REQUEST "malformed_request" 400 "The request could not be read":
        "A part of the request outside its JSON, such as its path, its query or the transfer of its body, is not what the endpoint expects, or broke off.";
        "See the detail for the part at fault, and the API reference for what the endpoint takes.";

    UNAUTHENTICATED "unauthenticated" 401 "No credential was presented":
        "The endpoint answers only to authenticated callers, and the request carried no credential.";
        "Send the token as `Authorization: Bearer <token>`.";
    TOKEN_MALFORMED "token_malformed" 401 "The token is damaged":
        "The presented text begins like a token of this authority, but its checksum does not match: it was cut, mistyped or altered on the way.";
        "Copy the secret again, whole: 54 characters, without quotes, spaces or line breaks.";
    TOKEN_UNKNOWN "token_unknown" 401 "The token is unknown":
        "No token of this authority has this secret, or none that you may know of.";
        "Check that the secret belongs to this authority and this environment.";
    TOKEN_SUPERSEDED "token_superseded" 401 "The secret was rotated out":
        "The token was rotated, and the time during which its earlier secret still held is over.";
        "Use the secret that the rotation handed out.";
    TOKEN_REVOKED "token_revoked" 401 "The token is revoked":
        "The token, or one that it descends from, was revoked. A revocation is final.";
        "Ask whoever administers the token's scope; its history says who revoked it and why. Mint a new one if it is still needed.";
    ORGANIZATION_SUSPENDED "organization_suspended" 401 "The organization is suspended":
        "The organization that the token belongs to is suspended, and none of its tokens is accepted meanwhile.";
        "Ask an administrator of the instance. The tokens are accepted again once the organization is restored.";
    TOKEN_NOT_YET_VALID "token_not_yet_valid" 401 "The token is not in force yet":
        "The token carries a time before which it is not accepted, and that time lies ahead.";
        "Wait until its `not_before`, or mint one without it.";
    TOKEN_EXPIRED "token_expired" 401 "The token has expired":
        "The token's time has run out. An expired token is not revived.";
        "Mint a new one, or rotate tokens before they expire.";
    ADDRESS_DENIED "address_denied" 401 "The token is not accepted from this address":
        "The token is bound to networks, and the caller's address is in none of them or could not be told.";
        "Call from an allowed network, or have `allowed_networks` changed. Behind a proxy, check that the server trusts it.";

    FORBIDDEN "forbidden" 403 "The permission is missing":
        "The caller is known, and none of its grants allows this here. `missing` lists the permissions that would.";
        "Use a credential that has them, or ask for a role that includes them.";
    ESCALATION "escalation" 403 "This would grant more than the caller has":
        "Nobody can enlarge what a credential may do beyond what they may do themselves. `missing` lists what goes beyond.";
        "Leave out what is missing, or have somebody who holds it do this.";

    SIGNATURE_INVALID "signature_invalid" 403 "The signature is not valid":
        "The report claims to be signed by a partner, and no configured key with this identifier has signed these bytes.";
        "Sign the body as it is sent, and see that the node knows the partner's present keys.";

    NOT_FOUND "not_found" 404 "There is no such thing":
        "Nothing with this id or name exists, or the caller may not read it, which is answered alike.";
        "Check the id, and that the credential belongs to the right organization.";
    NO_SUCH_ROUTE "no_such_route" 404 "There is no such endpoint":
        "No endpoint has this path.";
        "Compare the path with the API reference, its version prefix included.";
    METHOD_NOT_ALLOWED "method_not_allowed" 405 "The endpoint does not take this method":
        "The path exists, but not for this method. The `Allow` header lists those that it takes.";
        "Compare the method with the API reference.";
    NOT_ACCEPTABLE "not_acceptable" 406 "The format is not available":
        "The endpoint has no representation in the format that was asked for.";
        "Ask for one of the formats that the API reference lists.";
    TIMEOUT "timeout" 408 "The request came too slowly":
        "The body had not arrived whole when the time for a request was over. Nothing was changed.";
        "Send it again over a better connection, or send less at a time.";

    TOO_SLOW "too_slow" 408 "The reader is too slow":
        "An event of a stream was not taken within 30 seconds, so the stream was ended. It is the last event's code, never an answer's.";
        "Connect again with `Last-Event-ID`: nothing is skipped. Narrow the filters, or read faster.";

    NAME_TAKEN "name_taken" 409 "The name is taken":
        "Something of the same kind in the same scope has this name, or its name is still reserved.";
        "Choose another name, or end what holds it.";
    TOKEN_ENDED "token_ended" 409 "The token has ended":
        "The token is revoked or expired, and what has ended is not changed.";
        "Mint a new token.";
    ROLE_FIXED "role_fixed" 409 "The role is not changed here":
        "A built-in role is what it is, and a role of the instance's own is not changed in an organization.";
        "Define a role of another name with the permissions that are needed. The instance's own are changed under `/v1/roles`.";
    ROLE_HELD "role_held" 409 "The role is held":
        "Live tokens or members hold the role, or open invitations give it, and without it they would hold nothing in its place.";
        "Name a `replacement`, or give the tokens other grants first. `GET /v1/tokens?role=…` lists them.";
    ROLE_NAMED "role_named" 409 "A policy names the role":
        "The policy of an organization names the role among those that tokens may hold, and would mean another role once somebody takes the name.";
        "Take it out of `allowed_roles` of that policy first.";
    LIMIT_REACHED "limit_reached" 409 "There are as many as there may be":
        "The instance or the organization has as many of these as there may be; the detail says how many.";
        "Remove what is not needed. The limits are in the conventions of the API.";
    POLICY_LIMIT "policy_limit" 409 "The organization's policy leaves no room":
        "The organization's policy limits how many tokens may live, or how many may be minted within an hour, and there are as many already.";
        "Revoke tokens that are not needed, wait until the time that the detail names, or have the policy changed.";
    HASH_KNOWN "hash_known" 409 "A token has or had this key":
        "The key that was to be imported belongs to a token already, or did before it was revoked or rotated out.";
        "Leave it out, or rotate the token that has it. A key that was revoked does not come back.";
    INVITATION_ENDED "invitation_ended" 409 "The invitation has ended":
        "The invitation was accepted, was withdrawn, has expired, or is void because whoever gave it may no longer give what it gives.";
        "Ask for a new one.";
    ALREADY_MEMBER "already_member" 409 "The person is a member already":
        "The person has a role there, and an invitation does not change one.";
        "Have the member's role changed instead.";
    LAST_OWNER "last_owner" 409 "An organization keeps an owner":
        "The person is the only owner of an organization, which would be left without one.";
        "Make somebody else an owner first.";
    STILL_MEMBER "still_member" 409 "The person is a member":
        "Somebody who is a member of an organization cannot be erased: the members of an organization know each other, and whose tokens are whose.";
        "Offboard the person first.";
    COUNT_CHANGED "count_changed" 409 "There are more or fewer of them now":
        "A change of many things names how many it expects, and there are no longer as many. Nothing was changed.";
        "Look at them again with `dry_run`, decide again, and send the change with the new count.";
    PRECONDITION_FAILED "precondition_failed" 412 "It has changed meanwhile":
        "`If-Match` names a version that is no longer the current one: somebody else changed it.";
        "Read it again, decide again, and send the change with the new `ETag`.";
    BODY_TOO_LARGE "body_too_large" 413 "The body is too large":
        "The request's body is larger than the endpoint accepts. It was not read to its end.";
        "Send less at a time: a batch can be split.";
    UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" 415 "The body's type is not supported":
        "The endpoint takes JSON, and the request's `Content-Type` says otherwise or is missing.";
        "Send `Content-Type: application/json`.";

    INVALID_VALUE "invalid_value" 422 "A value is not valid":
        "The request was read, and a value in it is missing, of the wrong type or outside what is possible. `errors` names each field.";
        "Correct the fields that `errors` names.";
    UNKNOWN_FIELD "unknown_field" 422 "A field is unknown":
        "The request holds a field that the endpoint does not know. It is refused rather than ignored, because a mistyped restriction that is ignored is a hole.";
        "Check the spelling against the API reference.";
    IDEMPOTENCY_KEY_REUSED "idempotency_key_reused" 422 "The idempotency key belongs to another request":
        "The same caller sent this `Idempotency-Key` with another body within the last 24 hours.";
        "Use a new key for every new request, and the same key only to repeat one unchanged.";
    RATE_LIMITED "rate_limited" 429 "Too many of this kind":
        "The caller, from its address, has asked this more often than the node allows. A token that is known is always answered about.";
        "Wait for the time in `Retry-After`. Whoever runs the node can set another limit.";
    HEADERS_TOO_LARGE "headers_too_large" 431 "The headers are too large":
        "The request's headers take more room than the server gives them. Where the connection itself refuses them, the answer has no body.";
        "Send fewer or shorter headers; look for cookies that do not belong here.";

    INTERNAL "internal" 500 "Something broke":
        "The server failed in a way that it should not have. The failure is on its log under this request id.";
        "Try again; if it persists, report the request id. Repeat a change only with its idempotency key.";
    UNAVAILABLE "unavailable" 503 "The authority is not available":
        "The log cannot be reached in time, and without it there is no answer. Nothing was changed.";
        "Try again after the time in `Retry-After`.";
    OUTCOME_UNKNOWN "outcome_unknown" 503 "The outcome is not known":
        "The change was sent to the log, and its acknowledgement did not come back in time. It may or may not have happened.";
        "Send the same request with the same `Idempotency-Key`: it has its effect once.";
    BEHIND "behind" 503 "This node has not come so far":
        "The answer needs more of the log than this node has come to: `at_least` asks for a position that it has not reached within five seconds, or when tokens were last used is not known up to now.";
        "Try again, or leave `at_least` out if an older answer will do.";
    OVERLOADED "overloaded" 503 "Too much at once":
        "More is waiting for the log than the server lets wait. Nothing was changed.";
        "Try again after the time in `Retry-After`, with growing pauses.";
    CALLER_REFUSED "caller_refused" 503 "The proxy's own credential is not accepted":
        "A reverse proxy asked about its client's token, and its own token, in `Chancery-Caller`, is missing, not in force, or may not verify there. Nothing was said about the client's.";
        "Give the proxy a token in force that has `tokens:verify` at the organization in question.";
    STALE "stale" 503 "The state is too old to answer from":
        "The node's last look at the log is older than the authority allows an answer to be, so it gives none.";
        "Try again; if it persists, the node has lost its database.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        for (place, code) in CODES.iter().enumerate() {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.code);
            assert!(code.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", code.code);
            assert_eq!(Code::find(code.code), Some(*code), "a name occurs once");
            assert!(CODES[..place].iter().all(|earlier| earlier.status <= code.status), "{}", code.code);
            assert!(code.meaning.ends_with('.') && code.remedy.ends_with('.'), "{}", code.code);
        }
        assert_eq!(NOT_FOUND.url(), "/docs/errors/not_found");
        assert_eq!(Code::find("nonsense"), None);
    }
}
