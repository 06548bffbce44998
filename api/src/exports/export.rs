use super::Asked;
use super::compression::{Encoder, Encoding};
use super::file::Format;
use super::reading::Reading;
use crate::app::App;
use crate::auth::Session;
use crate::edge::extract::Query;
use crate::edge::{Problem, codes};
use crate::paced;
use crate::respond::POSITION;
use crate::wire;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which part of the log, and as what.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `ndjson` when absent: the exact lines. `csv` and `parquet` have one row a line.
    #[param(inline)]
    format: Option<Format>,
    /// Only this organization's lines, by its name or id. In NDJSON leaf hashes stand for the others'.
    organization: Option<String>,
    /// The first position; 0 when absent.
    from_position: Option<u64>,
    /// The position to end before; the size of the log when absent.
    until_position: Option<u64>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Export the log
///
/// The lines from `from_position` on up to the size that the log has when the request comes, or to `until_position`. Whoever is cut off goes on
/// with the position after the last whole line. Compressed with zstd or gzip as `Accept-Encoding` says, but for Parquet,
/// which is compressed inside. Needs `audit:read`, on the instance unless `organization` says which part; the connection
/// is cut when the caller may not have it any more, and when its reader has taken nothing for 30 s. A node serves 8
/// exports at a time, 3 to the callers of one organization and 2 to one caller.
#[utoipa::path(
    get, path = "/v1/audit/export", operation_id = "audit.export", tag = "audit",
    params(ExportQuery, ("Accept-Encoding" = Option<String>, Header, description = "`zstd` or `gzip`.")),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn export(
    State(app): State<App>,
    session: Session,
    headers: HeaderMap,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let ExportQuery { format, organization, from_position, until_position, at_least } = query;
    let asked = Asked { organization: organization.as_deref(), from_position, until_position, at_least };
    let granted = asked.grant(&app, &session, "audit.export").await?;
    let format = format.unwrap_or_default();
    let encoding = match format {
        Format::Parquet => Encoding::Identity,
        Format::Ndjson | Format::Csv => Encoding::accepted(&headers),
    };
    let encoder = Encoder::new(encoding).map_err(|error| {
        tracing::error!(%error, "an export could not be compressed");
        Problem::new(codes::INTERNAL)
    })?;
    let size = granted.size;
    let name = file_name(granted.positions.start, granted.positions.end, format);
    let clock = app.node().live().clock().clone();
    let reading = Reading::new(app, session, granted, format, encoder)?;
    let mut response = paced::body(reading, clock).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(POSITION, HeaderValue::from(size));
    headers.insert(CONTENT_DISPOSITION, name);
    if let Some(name) = encoding.name() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    Ok(response)
}

fn file_name(from: u64, to: u64, format: Format) -> HeaderValue {
    let ending = match format {
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
        Format::Parquet => "parquet",
    };
    let text = format!("attachment; filename=\"log-{from:012}-{to:012}.{ending}\"");
    HeaderValue::from_str(&text).expect("digits and a known ending are visible")
}
