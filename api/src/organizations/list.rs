use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::page::{self, Page};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::name::Name;
use domain::query::{self, Read};
use serde::Deserialize;
use utoipa::IntoParams;

/// A page of things in the order of their names.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NamedPage {
    /// Items on the page, 1 to 1,000; 100 when absent.
    pub(crate) limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
    /// Answer from a log of at least this position; waits up to 5 s.
    pub(crate) at_least: Option<u64>,
}

impl NamedPage {
    pub(crate) fn after(&self) -> Result<Option<Name>, Problem> {
        page::decode(self.cursor.as_deref())
    }
}

/// A page of what was found, one more than fits onto it.
pub(crate) fn cut<T, V>(
    mut found: Vec<T>,
    limit: usize,
    name: impl Fn(&T) -> &Name,
    view: impl Fn(&T) -> V,
) -> Page<V> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| has_more).map(|last| page::encode(name(last)));
    Page { items: found.iter().map(view).collect(), next_cursor }
}

/// List organizations
///
/// Those that the caller may read (`organizations:read`), by name.
#[utoipa::path(
    get, path = "/v1/organizations", operation_id = "organizations.list", tag = "organizations", params(NamedPage),
    responses((status = 200, body = Page<wire::Organization>), (status = "default", body = wire::Problem))
)]
pub(crate) async fn list(
    State(app): State<App>,
    session: Session,
    Query(query): Query<NamedPage>,
) -> Result<Answer<Page<wire::Organization>>, Problem> {
    let (limit, after) = (page::limit(query.limit)?, query.after()?);
    let look = |state: &_, caller: &_| Ok(query::organizations(state, caller, after.as_ref(), limit + 1));
    let (found, position) =
        app.read(session, "organizations.list", Read::Organizations, query.at_least, look).await?;
    let page = cut(found, limit, |found| &found.naming.name, |found| super::view(found));
    Ok(Answer::ok(page, position))
}
