//! Cursors: where a page ended, as opaque text.

use crate::edge::Problem;
use crate::error::invalid;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Items on a page when the request does not say.
const USUAL: usize = 100;
/// The most items on a page.
pub(crate) const MOST: usize = 1_000;

/// One page of a list.
#[derive(Debug, Serialize, serde::Deserialize, ToSchema)]
pub struct Page<T> {
    /// What the page holds.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A page of things in the order of their ids.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IdPage {
    /// Items on the page, 1 to 1,000; 100 when absent.
    pub(crate) limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
    /// Answer from a log of at least this position; waits up to 5 s.
    pub(crate) at_least: Option<u64>,
}

impl IdPage {
    /// Where the page before ended.
    pub(crate) fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        decode(self.cursor.as_deref())
    }
}

/// A page of what was found, one more than fits onto it.
pub(crate) fn cut<T, K: Serialize, V>(
    mut found: Vec<T>,
    limit: usize,
    key: impl Fn(&T) -> K,
    view: impl Fn(&T) -> V,
) -> Page<V> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| has_more).map(|last| encode(&key(last)));
    Page { items: found.iter().map(view).collect(), next_cursor }
}

/// How many items a page holds.
pub(crate) fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted {
        None => Ok(USUAL),
        Some(wanted @ 1..=MOST) => Ok(wanted),
        Some(other) => Err(invalid("limit", &other.to_string(), "a number from 1 to 1000")),
    }
}

/// A cursor of a position.
pub(crate) fn encode(position: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).expect("a position can be written"))
}

/// The position of a cursor that [`encode`] made.
pub(crate) fn decode<T: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<T>, Problem> {
    let Some(text) = cursor else { return Ok(None) };
    let position = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice(&json).ok());
    position.map(Some).ok_or_else(|| invalid("cursor", text, "a `next_cursor` that this list answered with"))
}
