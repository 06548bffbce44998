//! Users, members, invitations and sessions.

mod commands;
mod erasing;
mod file;
mod invitations;
mod members;
mod offboarding;
mod races;
mod record;

use chancery_tests::{Actor, TestNode};
use serde_json::{Value, json};

/// Somebody with a session.
pub(crate) struct Person {
    pub(crate) user: String,
    pub(crate) session: Actor,
    /// The session's id.
    id: String,
}

/// Invites somebody to an organization, or to `organization/project`; gives the invitation.
async fn invite(actor: &Actor, place: &str, email: &str, role: &str) -> Value {
    let (organization, project) = place.split_once('/').map_or((place, None), |(o, p)| (o, Some(p)));
    let mut body = json!({"email": email, "role": role});
    if let Some(project) = project {
        body["project"] = json!(project);
    }
    let path = format!("/v1/organizations/{organization}/invitations");
    actor.post(&path, body).await.expect(201).clone()
}

/// Accepts an invitation as a new person.
async fn accept(node: &TestNode, invitation: &Value) -> Person {
    let body = json!({"invitation": invitation["secret"], "name": "Ada Lovelace"});
    let answer = node.anon().post("/v1/invitations/accept", body).await;
    let session = answer.expect(201);
    let user = session["created_by"].as_str().unwrap().strip_prefix("session:").unwrap().to_owned();
    Person { user, session: node.token(&answer.text_of("secret")), id: answer.text_of("id") }
}

/// Somebody whom the administrator invited.
pub(crate) async fn join(node: &TestNode, place: &str, email: &str, role: &str) -> Person {
    accept(node, &invite(&node.admin(), place, email, role).await).await
}
