use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::extract::{Json, Path};
use crate::edge::{Problem, codes};
use crate::people;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, SetMemberRole};
use domain::event::Subject;

/// Give a member another role
///
/// In the organization or, with `project`, a first or another one in that. In force at once, for the person's sessions
/// too. Needs `members:update`, and everything that the role before and the role after can do. An organization keeps
/// an owner.
#[utoipa::path(
    patch, path = "/v1/organizations/{organization}/members/{user}", operation_id = "members.update",
    tag = "members",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("user" = String, Path, description = "The person's id."),
        ("If-Match" = Option<String>, Header, description = "Only if the role's revision is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::SetMemberRole,
    responses((status = 200, body = wire::Member), (status = "default", body = wire::Problem))
)]
pub(crate) async fn update(
    State(app): State<App>,
    session: Session,
    Path((organization, user)): Path<(String, String)>,
    conditions: Conditions,
    Json(body): Json<wire::SetMemberRole>,
) -> Result<Answer<wire::Member>, Problem> {
    let place = people::read_place(&organization, body.project.as_deref());
    let id = super::read_user(&user)?;
    let command = Command::SetMemberRole(SetMemberRole { place, user: id, role: body.role.clone() });
    let path = [organization.as_str(), user.as_str()];
    let done = app.change(&session, "members.update", &path, &body, conditions, command).await?;
    let Subject::Member(of, _) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let found = app.node().live().read(|state| {
        let project = body.project.as_deref().map(|text| state.find_project(of, text).map(|found| found.id));
        let member = match project {
            None => state.people().member(of, id, None),
            Some(project) => project.and_then(|project| state.people().member(of, id, Some(project))),
        };
        member.map(|member| super::view(state, member))
    });
    let mut member = found.ok_or_else(|| Problem::new(codes::NOT_FOUND))?;
    people::open(&app, [&mut member]).await;
    let revision = member.revision;
    Ok(Answer::ok(member, done.position).revision(revision))
}
