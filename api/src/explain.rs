//! A dry run of verify, for people: would this be allowed, by which grant, or what is missing?

use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Json;
use crate::error::{invalid, problem};
use crate::respond::Answer;
use crate::tokens::{read_id, read_scope, view_grant, view_scope};
use crate::wire;
use axum::extract::State;
use domain::explain::{Explanation, Question, Subject};
use domain::permission::Permission;
use domain::query::Read;

/// Explain what a token may do
///
/// Would this be allowed, and by which grant, or what is missing? Of a token, by its id, or of a draft of one, which is
/// taken to be in force. Needs `tokens:read` where the token is, or would be; every token may ask about itself. It is
/// a use of the caller's token, and none of the other's.
#[utoipa::path(
    post, path = "/v1/explain", operation_id = "explain", tag = "verify", request_body = wire::Explain,
    responses((status = 200, body = wire::Explanation), (status = "default", body = wire::Problem))
)]
pub(crate) async fn explain(
    State(app): State<App>,
    session: Session,
    Json(body): Json<wire::Explain>,
) -> Result<Answer<wire::Explanation>, Problem> {
    let question = read(&body)?;
    let at = app.now();
    let look = |state: &_, caller: &_| {
        domain::explain::explain(state, caller, &question, at).map(|found| view(state, &question, &found))
    };
    let read = Read::Explain(Box::new(question.clone()));
    let (found, position) = app.read(session, "explain", read, None, look).await?;
    Ok(Answer::ok(found, position))
}

fn read(body: &wire::Explain) -> Result<Question, Problem> {
    let subject = match (&body.id, &body.draft) {
        (Some(id), None) => Subject::Token(read_id(id)?),
        (None, Some(draft)) => {
            Subject::Draft { scope: read_scope(&draft.scope)?, grants: draft.grants.clone() }
        }
        _ => return Err(invalid("id", "", "either the id of a token, or else a `draft` of one")),
    };
    let permission = Permission::parse("permission", &body.permission);
    let address = |text: &String| {
        text.parse().map_err(|_| invalid("address", text, "an IP address such as 203.0.113.7"))
    };
    Ok(Question {
        subject,
        permission: permission.map_err(|rejection| problem(&rejection.into()))?,
        organization: body.organization.clone(),
        project: body.project.clone(),
        address: body.address.as_ref().map(address).transpose()?,
    })
}

fn view(state: &domain::state::State, question: &Question, found: &Explanation) -> wire::Explanation {
    let by = |(grant, pattern): &(domain::scope::Grant, domain::permission::Pattern)| wire::AllowingGrant {
        grant: view_grant(state, grant),
        permission: pattern.to_string(),
    };
    let missing = format!("{} at {}", question.permission, state.describe(found.place));
    wire::Explanation {
        allowed: found.is_allowed(),
        code: found.code.as_str().to_owned(),
        permission: question.permission.to_string(),
        place: view_scope(state, found.place),
        chain: found
            .links
            .iter()
            .map(|link| wire::ExplainedLink {
                id: link.token.map(|id| id.0),
                allows: link.allows,
                by: link.by.iter().map(by).collect(),
            })
            .collect(),
        missing: found.lacks_permission().then_some(missing).into_iter().collect(),
    }
}
