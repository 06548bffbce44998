use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::{Path, Query};
use crate::error::invalid;
use crate::page;
use crate::respond::Answer;
use crate::wire;
use axum::extract::State as Shared;
use domain::authority::Caller;
use domain::id::TokenId;
use domain::lineage::{self, Ancestor, Extent};
use domain::query::Read;
use domain::state::{State, Token};
use domain::time::Timestamp;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// How far down a lineage goes when the request does not say.
const USUAL_DEPTH: u32 = 8;
/// How far down it goes at most.
const MOST_DEPTH: u32 = 1_000;

/// How much of a lineage is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LineageQuery {
    /// How far down, 1 to 1,000; 8 when absent.
    depth: Option<u32>,
    /// Tokens above and tokens below, 1 to 1,000 each; 100 when absent.
    limit: Option<usize>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Show a token's lineage
///
/// Who minted it, up, and what it minted, down. Needs `tokens:read` at its scope; every token may read its own. What the
/// caller may not read is not there, but for the id of the first such token above.
#[utoipa::path(
    get, path = "/v1/tokens/{id}/lineage", operation_id = "tokens.lineage", tag = "tokens",
    params(("id" = String, Path, description = "The token's id."), LineageQuery),
    responses((status = 200, body = wire::Lineage), (status = "default", body = wire::Problem))
)]
pub(crate) async fn show(
    Shared(app): Shared<App>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<LineageQuery>,
) -> Result<Answer<wire::Lineage>, Problem> {
    let id = super::read_id(&id)?;
    let extent = query.extent()?;
    let at = app.now();
    let look = |state: &State, caller: &Caller| {
        lineage::lineage(state, caller, id, extent).map(|found| view(state, caller, &found, at))
    };
    let (mut found, position) =
        app.read(session, "tokens.lineage", Read::Lineage(id), query.at_least, look).await?;
    add_last_used(&app, &mut found).await;
    Ok(Answer::ok(found, position))
}

impl LineageQuery {
    fn extent(&self) -> Result<Extent, Problem> {
        let depth = match self.depth {
            None => USUAL_DEPTH,
            Some(depth @ 1..=MOST_DEPTH) => depth,
            Some(other) => return Err(invalid("depth", &other.to_string(), "a number from 1 to 1000")),
        };
        Ok(Extent { depth, limit: page::limit(self.limit)? })
    }
}

fn view(state: &State, caller: &Caller, found: &lineage::Lineage, at: Timestamp) -> wire::Lineage {
    let ancestors = (1..).zip(&found.ancestors).map(|(up, ancestor)| match ancestor {
        Ancestor::Known(token) => node(state, caller, token, -up, at),
        Ancestor::Hidden(id) => {
            wire::LineageNode { id: id.0, hidden: true, depth: -up, ..wire::LineageNode::default() }
        }
    });
    let descendants =
        found.descendants.iter().map(|(token, depth)| node(state, caller, token, i64::from(*depth), at));
    wire::Lineage {
        token: node(state, caller, &found.token, 0, at),
        ancestors: ancestors.collect(),
        descendants: descendants.collect(),
        cut: found.is_cut,
    }
}

fn node(state: &State, caller: &Caller, token: &Arc<Token>, depth: i64, at: Timestamp) -> wire::LineageNode {
    let token_view = super::view(state, token, at);
    wire::LineageNode {
        id: token_view.id,
        hidden: false,
        depth,
        parent: token_view.parent,
        name: Some(token_view.name),
        prefix: Some(token_view.prefix),
        scope: Some(token_view.scope),
        grants: token_view.grants,
        narrowed: token_view.narrowed,
        status: Some(token_view.status),
        created_at: Some(token_view.created_at),
        created_by: Some(token_view.created_by),
        expires_at: token_view.expires_at,
        last_used_at: None,
        revoked: token_view.revoked,
        minted: lineage::minted(state, caller, token) as u64,
    }
}

/// Without the database the answer is whole but for that.
async fn add_last_used(app: &App, found: &mut wire::Lineage) {
    let mut nodes: Vec<&mut wire::LineageNode> = std::iter::once(&mut found.token)
        .chain(&mut found.ancestors)
        .chain(&mut found.descendants)
        .filter(|node| !node.hidden)
        .collect();
    let ids: Vec<TokenId> = nodes.iter().map(|node| TokenId(node.id)).collect();
    match app.node().last_used(&ids).await {
        Ok(last) => {
            for node in &mut nodes {
                node.last_used_at = last.get(&TokenId(node.id)).map(ToString::to_string);
            }
        }
        Err(error) => tracing::warn!(%error, "when tokens were last used could not be read"),
    }
}
