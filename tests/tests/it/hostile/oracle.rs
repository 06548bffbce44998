//! What every answer has to be, whoever asked whatever.

use super::cases::{Case, Expect};
use super::document::Operation;
use super::ground::{Caller, Ground, May};
use api::edge::codes::Code;
use chancery_tests::Reply;
use domain::text::is_forbidden;
use serde_json::Value;

/// A case as it was sent, and what came of it.
pub(super) struct Sent<'s> {
    pub(super) operation: &'s Operation,
    pub(super) case: &'s Case,
    pub(super) caller: &'s Caller,
    pub(super) request: &'s [u8],
    pub(super) reply: &'s Reply,
    /// Whether the lifecycle state moved.
    pub(super) has_changed: bool,
}

/// What is wrong with an answer; none is nothing.
pub(super) fn fault(ground: &Ground, sent: &Sent<'_>) -> Option<String> {
    let Sent { reply, case, .. } = sent;
    let shown = || format!("{} {:.600}", reply.status, reply.text());
    let found = if reply.status >= 500 {
        (!is_the_proxys_fault(sent)).then(|| "a failure of the server".to_owned())
    } else if reply.status < 400 {
        taken(ground, sent)
    } else {
        refused(sent)
    };
    let found = found.or_else(|| leaks(ground, sent));
    found.map(|what| {
        let request = String::from_utf8_lossy(&sent.request[..sent.request.len().min(700)]).into_owned();
        format!(
            "{what}: {} ({}: {}) by {}, expected {:?}, answered {}\n{request}\n",
            sent.operation.template,
            case.sort,
            case.about,
            sent.caller.name,
            case.expect,
            shown(),
        )
    })
}

/// A reverse proxy's own credential is not its client's fault.
fn is_the_proxys_fault(sent: &Sent<'_>) -> bool {
    sent.operation.template == "/v1/authorize"
        && sent.reply.status == 503
        && code_of(sent.reply) == "caller_refused"
}

fn code_of(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

fn taken(ground: &Ground, sent: &Sent<'_>) -> Option<String> {
    if sent.caller.may(sent.operation) == May::No && !ground.is_at_home(sent.caller, sent.request) {
        return Some("done for somebody who may not".to_owned());
    }
    match sent.case.expect {
        Expect::Right | Expect::Open => None,
        // What is out of everybody else's reach is the stranger's own.
        Expect::Wrong(_) if ground.is_at_home(sent.caller, sent.request) => None,
        Expect::Wrong(_) | Expect::Status(_) => Some("taken, and it is not right".to_owned()),
    }
}

fn refused(sent: &Sent<'_>) -> Option<String> {
    if sent.has_changed {
        return Some("refused, and something was changed".to_owned());
    }
    if is_of_the_protocol(sent.reply) {
        return matches!(sent.case.expect, Expect::Right).then(|| "not understood".to_owned());
    }
    let is_head = sent.case.method == "HEAD";
    if let Some(what) = (!is_head).then(|| not_a_problem(sent.reply)).flatten() {
        return Some(what);
    }
    let status = sent.reply.status;
    let may = sent.caller.may(sent.operation);
    match &sent.case.expect {
        Expect::Right if may == May::Yes => Some("refused, and it is right".to_owned()),
        Expect::Status(expected) => {
            let unasked =
                status == 401 && sent.caller.credential.is_none() && !matches!(expected, [404 | 405]);
            // A proxy's question is about its credentials before it is about anything else.
            (!expected.contains(&status) && !unasked).then(|| "refused as something else".to_owned())
        }
        Expect::Wrong(Some(field)) if may == May::Yes => {
            (!sent.reply.text().contains(field.as_str())).then(|| format!("refused without naming {field}"))
        }
        _ => None,
    }
}

/// What the HTTP library refuses itself, because it cannot be read as HTTP.
fn is_of_the_protocol(reply: &Reply) -> bool {
    matches!(reply.status, 400 | 414 | 431)
        && reply.body.is_empty()
        && reply.header("x-request-id").is_empty()
}

fn not_a_problem(reply: &Reply) -> Option<String> {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let code = body["code"].as_str().unwrap_or_default();
    let wrong = |what: &str| Some(format!("a refusal {what}"));
    if reply.header("content-type") != "application/problem+json" {
        return wrong("that is no problem document");
    }
    if Code::find(code).is_none_or(|known| known.status != reply.status) || body["status"] != reply.status {
        return wrong("whose code is not its status");
    }
    if body["request_id"].as_str() != Some(reply.header("x-request-id")) {
        return wrong("that does not name its request");
    }
    match reply.status {
        401 if reply.header("www-authenticate").is_empty() => return wrong("without a challenge"),
        405 if reply.header("allow").is_empty() => return wrong("that does not say which methods"),
        422 if body["detail"].as_str().is_none_or(str::is_empty) => {
            return wrong("that does not say what is wrong");
        }
        _ => {}
    }
    if reply.body.len() > 4_000 {
        return wrong("that echoes all that it was sent");
    }
    forges(&body).then(|| "a refusal with characters that forge".to_owned())
}

fn forges(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().any(is_forbidden),
        Value::Array(all) => all.iter().any(forges),
        Value::Object(all) => all.values().any(forges),
        _ => false,
    }
}

fn leaks(ground: &Ground, sent: &Sent<'_>) -> Option<String> {
    let head: Vec<&str> = sent.reply.headers.iter().map(|(_, value)| &**value).collect();
    let text = head.join("\n") + &sent.reply.text();
    if let Some(secret) = ground.secrets().find(|secret| text.contains(secret)) {
        return Some(format!("a secret in the answer (…{})", &secret[secret.len() - 6..]));
    }
    // Whoever accepts an invitation comes to know what it is to.
    if sent.operation.template == "/v1/invitations/accept" && sent.reply.status < 400 {
        return None;
    }
    let foreign = ground.foreign(sent.caller, sent.request);
    foreign
        .into_iter()
        .find(|foreign| text.contains(foreign))
        .map(|foreign| format!("{foreign} in the answer"))
}
