use super::Asked;
use super::compression::{Encoder, Encoding};
use super::file::Format;
use super::reading::Reading;
use crate::app::App;
use crate::auth::Session;
use crate::edge::extract::Query;
use crate::edge::{Problem, codes};
use crate::error::{invalid, problem};
use crate::respond::Answer;
use crate::wire;
use axum::extract::State;
use domain::scope::Scope;
use eventlog::tree::ranges;
use eventlog::{Checkpoint, Error};
use projections::Failure;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use utoipa::IntoParams;

/// Positions that one manifest is about at most, so that it is answered in time.
const MOST: u64 = 100_000;

/// Of which export.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ManifestQuery {
    /// `ndjson` when absent.
    #[param(inline)]
    format: Option<Format>,
    /// Only this organization's lines, by its name or id.
    organization: Option<String>,
    /// The first position; 0 when absent.
    from_position: Option<u64>,
    /// The position to end before, at most 100,000 after the first. When absent, as much as one manifest is about.
    until_position: Option<u64>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Describe an export
///
/// What `GET /v1/audit/export` with the same parameters and these positions answers: its positions, lines, bytes and
/// SHA-256, before it is compressed on the way; and a checkpoint that holds its last line, with the proof that the lines
/// before `until_position` are the checkpoint's beginning. It waits up to 5 s for one. Long exports are described part by
/// part, each with the `until_position` of the one before as `from_position`, until that is `size`. Needs `audit:read` as
/// the export does.
#[utoipa::path(
    get, path = "/v1/audit/export/manifest", operation_id = "audit.manifest", tag = "audit", params(ManifestQuery),
    responses((status = 200, body = wire::ExportManifest), (status = "default", body = wire::Problem))
)]
pub(crate) async fn manifest(
    State(app): State<App>,
    session: Session,
    Query(query): Query<ManifestQuery>,
) -> Result<Answer<wire::ExportManifest>, Problem> {
    let ManifestQuery { format, organization, from_position, until_position, at_least } = query;
    let asked = Asked { organization: organization.as_deref(), from_position, until_position, at_least };
    let mut granted = asked.grant(&app, &session, "audit.manifest").await?;
    let last = granted.positions.start.saturating_add(MOST);
    if let Some(until) = until_position.filter(|until| *until > last) {
        let expected = format!("at most {last}, {MOST} positions after the first");
        return Err(invalid("until_position", &until.to_string(), &expected));
    }
    granted.positions.end = granted.positions.end.min(last);
    // The caller's authority is looked at again before each piece that is read.
    let (checkpoint, consistency) = proved(&app, granted.positions.end).await?.unzip();
    let (size, positions, place) = (granted.size, granted.positions.clone(), granted.place);
    let format = format.unwrap_or_default();
    let encoder = Encoder::new(Encoding::Identity).map_err(|_| Problem::new(codes::INTERNAL))?;
    let mut reading = Reading::new(app, session, granted, format, encoder)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    while let Some(piece) = reading.piece().await? {
        bytes += piece.len() as u64;
        hash.update(&piece);
    }
    let sha256 = hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let manifest = wire::ExportManifest {
        format,
        organization: match place {
            Scope::Instance => None,
            Scope::Organization(id) | Scope::Project(id, _) => Some(id.0),
        },
        from_position: positions.start,
        until_position: positions.end,
        size,
        lines: reading.lines,
        bytes,
        sha256,
        checkpoint,
        consistency: consistency.unwrap_or_default(),
    };
    Ok(Answer::ok(manifest, size))
}

/// A checkpoint of at least so many lines, if one comes, and the proof that they are its beginning.
async fn proved(app: &App, until: u64) -> Result<Option<(String, Vec<String>)>, Problem> {
    let found = async {
        let note = app.node().checkpoint(until).await?;
        let signed = note.as_deref().and_then(Checkpoint::of_note).map(|checkpoint| checkpoint.size);
        let (Some(note), Some(signed)) = (note, signed.filter(|signed| *signed >= until)) else {
            return Ok(None);
        };
        let proof = app.node().tree().roots(&ranges::consistency(until, signed)).await?;
        Ok(Some((note, proof.iter().map(ToString::to_string).collect())))
    };
    match found.await {
        Ok(found) => Ok(found),
        Err(Error::Unavailable { .. }) => Err(problem(&Failure::Unavailable)),
        Err(error) => {
            // What keeps the log's own lines from being signed is no reason to withhold them from an auditor.
            tracing::error!(%error, "an export is described without a checkpoint");
            Ok(None)
        }
    }
}
