use crate::app::App;
use crate::auth::Session;
use crate::change::Conditions;
use crate::edge::Problem;
use crate::edge::extract::{Json, Path};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::{Command, NamingChange, RenameOrganization};

/// Rename an organization
///
/// Needs `organizations:update`. The name before stays reserved for the organization for 90 days.
#[utoipa::path(
    patch, path = "/v1/organizations/{organization}", operation_id = "organizations.rename", tag = "organizations",
    params(
        ("organization" = String, Path, description = "Name or id."),
        ("If-Match" = Option<String>, Header, description = "Only if the `ETag` is still this one."),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeat the request under the same key: it has one effect."),
    ),
    request_body = wire::Rename,
    responses((status = 200, body = wire::Organization), (status = "default", body = wire::Problem))
)]
pub(crate) async fn rename(
    State(app): State<App>,
    session: Session,
    Path(organization): Path<String>,
    conditions: Conditions,
    Json(body): Json<wire::Rename>,
) -> Result<Answer<wire::Organization>, Problem> {
    let change = NamingChange { name: body.name.clone(), display_name: body.display_name.clone() };
    let command =
        Command::RenameOrganization(RenameOrganization { organization: organization.clone(), change });
    let path = [organization.as_str()];
    let done = app.change(&session, "organizations.rename", &path, &body, conditions, command).await?;
    let organization = super::changed(&app, &done)?;
    let revision = organization.revision;
    Ok(Answer::ok(organization, done.position).revision(revision))
}
