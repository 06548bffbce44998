use crate::app::App;
use crate::auth::{self, Session};
use crate::change::Conditions;
use crate::edge::extract::Json;
use crate::edge::{Problem, RequestContext, codes};
use crate::limits::Limited;
use crate::people;
use crate::respond::Answer;
use crate::tokens;
use crate::wire;
use axum::extract::State;
use domain::decide::{Accept, Command};
use domain::event::Subject;
use domain::id::UserId;
use domain::secret::SecretHash;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Accept an invitation
///
/// The invitation's text is the credential, and is accepted once. The answer is a session of the person, with its
/// `secret`: a token that lasts 24 hours and may do what the person's memberships in the organization give. Who is known
/// already shows a session (`chyu_…`) as the bearer token and stays the same person; other credentials are not looked
/// at.
#[utoipa::path(
    post, path = "/v1/invitations/accept", operation_id = "invitations.accept", tag = "invitations",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect.")),
    request_body = wire::AcceptInvitation,
    responses((status = 201, body = wire::Token), (status = "default", body = wire::Problem)),
    security(())
)]
pub(crate) async fn accept(
    State(app): State<App>,
    context: RequestContext,
    headers: HeaderMap,
    conditions: Conditions,
    Json(body): Json<wire::AcceptInvitation>,
) -> Result<Answer<wire::Token>, Problem> {
    let text = SecretHash::of(body.invitation.trim());
    let name = body.name.as_deref().map(|name| people::read_name(&app, name)).transpose()?;
    let command = Command::Accept(Accept {
        text,
        name: name.as_ref().map(|name| name.encoded().into()),
        session: app.new_token_id(),
        entropy: app.new_entropy(),
    });
    let session = match known_person(&headers) {
        Some(shown) => Session::of(&app, shown, &context),
        None => Session::of(&app, body.invitation.trim(), &context).invited(text, UserId(app.new_id())),
    };
    let conditions = conditions.personal(name);
    // Before anything is decided, or whoever guesses would keep the scribe busy. What is known is never slowed down.
    if app.node().live().read(|state| state.people().invitation_by_text(&text).is_none()) {
        app.limit(Limited::Unknown, None, context.address())?;
    }
    let done = app.change(&session, "invitations.accept", &[], &body, conditions, command).await?;
    let Subject::Token(_) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    tokens::changed(&app, done, true)
}

/// The session of somebody who accepts another invitation.
fn known_person(headers: &HeaderMap) -> Option<&str> {
    auth::bearer(headers, &AUTHORIZATION).ok().filter(|text| text.starts_with("chyu_"))
}
