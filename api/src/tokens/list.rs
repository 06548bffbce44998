use super::read_time;
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::error::{invalid, problem};
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::decide::ScopeText;
use domain::id::TokenId;
use domain::name::Name;
use domain::query::{Filter, Listing, Order, Position, Read, SortKey};
use domain::role::Level;
use domain::state::Status;
use domain::time::Timestamp;
use projections::Failure;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::IntoParams;

/// Which tokens are listed, and in which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokenQuery {
    /// Only tokens of this level: `instance`, `organization` or `project`.
    scope: Option<String>,
    /// Only tokens of this organization and its projects, by name or id.
    organization: Option<String>,
    /// Only tokens of this project of `organization`, by name or id.
    project: Option<String>,
    /// `live` (when absent), `expired`, `revoked` or `all`.
    status: Option<String>,
    /// Only the token with this name.
    name: Option<String>,
    /// Only tokens whose secret begins like this.
    prefix: Option<String>,
    /// Only tokens minted by this actor (`org-token:chyo_4fT9aQ1`), or by the token with this id.
    created_by: Option<String>,
    /// Only tokens that expire before then (RFC 3339).
    expiring_before: Option<String>,
    /// Only tokens that hold this role.
    role: Option<String>,
    /// Only tokens whose last use, or whose minting if they were never used, was earlier than then (RFC 3339).
    unused_since: Option<String>,
    /// `created`, `name`, `expires` or `last_used`, with `-` in front for the largest first; `-created` when absent.
    sort: Option<String>,
    /// Items on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Tokens whose last uses are looked up by one statement.
const LOOKED_UP: usize = 5_000;
/// The order when the request does not say.
const USUAL_ORDER: &str = "-created";

#[derive(Serialize, Deserialize)]
pub(crate) struct Cursor {
    sort: String,
    value: String,
    slot: u32,
}

/// List tokens
///
/// Those that the caller may read (`tokens:read`).
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "tokens.list", tag = "tokens", params(TokenQuery),
    responses((status = 200, body = Page<wire::Token>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Query(query): Query<TokenQuery>,
) -> Result<Answer<Page<wire::Token>>, Problem> {
    let (filter, limit) = (query.filter()?, page::limit(query.limit)?);
    let (sort, order) = (query.sort.as_deref().unwrap_or(USUAL_ORDER), query.order()?);
    let after: Option<Cursor> = page::decode(query.cursor.as_deref())?;
    if let Some(other) = after.as_ref().filter(|after| after.sort != sort) {
        let expected = format!("a cursor of this order; it is of a list sorted by {}", other.sort);
        return Err(invalid("cursor", query.cursor.as_deref().unwrap_or_default(), &expected));
    }
    let after = after.map(|after| Position { value: after.value, slot: after.slot });
    let at = app.now();
    let read = Read::Tokens(filter.scope.clone());
    app.readable(&session, "tokens.list", read, query.at_least).await?;
    let live = app.node().live();
    let position = live.position();
    let unused_since =
        query.unused_since.as_deref().map(|time| read_time("unused_since", time)).transpose()?;
    // Last uses are not in the state: what a page by them holds is told when all candidates are known.
    let is_by_use = unused_since.is_some() || order.key == SortKey::LastUsed;
    let most = if is_by_use { usize::MAX } else { limit };
    let mut listing = Listing::new(&filter, order, after.as_ref(), most);
    let mut step = |state: &_| {
        let caller = app.again(state, &session)?;
        listing.step(state, &caller, at).map_err(|rejection| problem(&rejection.into()))
    };
    while live.read(&mut step)? {
        tokio::task::yield_now().await;
    }
    let (found, next) = if is_by_use {
        let last_used = last_used(&app, listing.found().collect()).await?;
        listing.finish_by_use(limit, unused_since, &last_used)
    } else {
        listing.finish()
    };
    let items = live.read(|state| found.iter().map(|token| super::view(state, token, at)).collect());
    let cursor = |next: Position| Cursor { sort: sort.to_owned(), value: next.value, slot: next.slot };
    let mut page = Page { items, next_cursor: next.map(|next| page::encode(&cursor(next))) };
    super::add_last_used(&app, &session, &mut page.items).await;
    Ok(Answer::ok(page, position))
}

/// When tokens were last used; without the database there is no answer.
async fn last_used(app: &App, tokens: Vec<TokenId>) -> Result<HashMap<TokenId, Timestamp>, Problem> {
    let mut all = HashMap::new();
    for some in tokens.chunks(LOOKED_UP) {
        let known = app.node().last_used(some).await.map_err(|error| {
            tracing::warn!(%error, "when tokens were last used could not be read");
            problem(&Failure::Unavailable)
        })?;
        all.extend(known);
    }
    Ok(all)
}

impl TokenQuery {
    pub(crate) fn order(&self) -> Result<Order, Problem> {
        read_order(self.sort.as_deref().unwrap_or(USUAL_ORDER))
    }

    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let scope = match (&self.organization, &self.project) {
            (None, None) => None,
            (Some(organization), None) => Some(ScopeText::Organization(organization.clone())),
            (Some(organization), Some(project)) => {
                Some(ScopeText::Project(organization.clone(), project.clone()))
            }
            (None, Some(project)) => {
                return Err(invalid("project", project, "given without its organization"));
            }
        };
        Ok(Filter {
            scope,
            level: self.scope.as_deref().map(read_level).transpose()?,
            status: read_status(self.status.as_deref())?,
            name: self.name.clone(),
            prefix: self.prefix.clone(),
            created_by: self.created_by.clone(),
            expiring_before: self
                .expiring_before
                .as_deref()
                .map(|time| read_time("expiring_before", time))
                .transpose()?,
            role: self.role.as_deref().map(read_role).transpose()?,
        })
    }
}

fn read_level(text: &str) -> Result<Level, Problem> {
    match text {
        "instance" => Ok(Level::Instance),
        "organization" => Ok(Level::Organization),
        "project" => Ok(Level::Project),
        other => Err(invalid("scope", other, "`instance`, `organization` or `project`")),
    }
}

fn read_status(text: Option<&str>) -> Result<Option<Status>, Problem> {
    match text {
        None | Some("live") => Ok(Some(Status::Live)),
        Some("expired") => Ok(Some(Status::Expired)),
        Some("revoked") => Ok(Some(Status::Revoked)),
        Some("all") => Ok(None),
        Some(other) => Err(invalid("status", other, "`live`, `expired`, `revoked` or `all`")),
    }
}

fn read_role(text: &str) -> Result<Name, Problem> {
    Name::label(text).ok_or_else(|| invalid("role", text, "the name of a role"))
}

fn read_order(text: &str) -> Result<Order, Problem> {
    let (descending, key) = text.strip_prefix('-').map_or((false, text), |key| (true, key));
    let key = match key {
        "created" => SortKey::Created,
        "name" => SortKey::Name,
        "expires" => SortKey::Expires,
        "last_used" => SortKey::LastUsed,
        _ => {
            return Err(invalid(
                "sort",
                text,
                "`created`, `name`, `expires` or `last_used`, or one of them with - in front",
            ));
        }
    };
    Ok(Order { key, descending })
}
