//! Cursors: where a page ended, as opaque text.

use crate::edge::Problem;
use crate::error::invalid;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

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
