use super::filter::Texts;
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::query::{self, Read};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which events are listed, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Only events that this actor caused (`org-token:chyo_4fT9aQ1`, `admin-token`), or the token with this id.
    actor: Option<String>,
    /// Only events of this organization, by name or id. The caller's own when absent; all, to the instance's callers.
    organization: Option<String>,
    /// Only events of this project of `organization`, by name or id.
    project: Option<String>,
    /// Only events about the token with this id.
    token: Option<String>,
    /// Only events of these types, such as `TokenMinted`, with commas between them.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    types: Option<String>,
    /// Only events from then on (RFC 3339).
    from: Option<String>,
    /// Only events before then (RFC 3339).
    to: Option<String>,
    /// Only events that were caused from this address.
    address: Option<String>,
    /// `newest` first (when absent), or `oldest`.
    order: Option<String>,
    /// Items on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Answer from views of a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

impl EventQuery {
    fn texts(&self) -> Texts<'_> {
        Texts {
            actor: self.actor.as_deref(),
            organization: self.organization.as_deref(),
            project: self.project.as_deref(),
            token: self.token.as_deref(),
            types: self.types.as_deref(),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            address: self.address.as_deref(),
        }
    }
}

/// List events
///
/// Lifecycle events, and to the instance's callers uses of the break-glass token. Needs `audit:read` at the organization
/// or project that is named or, without one, at the caller's own scope. `Chancery-Position` is how far the views had
/// come: what happened since is not on the page.
#[utoipa::path(
    get, path = "/v1/audit/events", operation_id = "audit.events", tag = "audit", params(EventQuery),
    responses((status = 200, body = Page<wire::AuditEvent>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Query(query): Query<EventQuery>,
) -> Result<Answer<Page<wire::AuditEvent>>, Problem> {
    let (asked, limit) = (query.texts().read(false)?, page::limit(query.limit)?);
    let (order, after) = super::read_order(query.order.as_deref(), query.cursor.as_deref())?;
    app.readable(&session, "audit.events", Read::Audit(asked.scope.clone()), None).await?;
    super::reached(&app, query.at_least).await?;
    let place =
        super::look(&app, &session, |state, caller| query::audited(state, caller, asked.scope.as_ref()))?;
    let filter = asked.at(&app, place).await?;
    let found = app.node().audit().events(&filter, order, after, limit).await;
    let found = found.map_err(|error| super::failed(&error))?;
    let (page, position) = super::view_page(&app, found, order, |_| true).await?;
    Ok(Answer::ok(page, position))
}
