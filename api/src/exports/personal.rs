use super::{Asked, look};
use crate::app::App;
use crate::auth::Session;
use crate::edge::extract::Query;
use crate::edge::{Problem, codes};
use crate::error::problem;
use crate::respond::Answer;
use crate::seats::Holder;
use crate::wire;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::OrganizationId;
use eventlog::personal::encode_commitment;
use eventlog::{Commit, Error};
use projections::Failure;
use projections::audit::Summary;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::Range;
use utoipa::IntoParams;

/// Positions that one answer is about at most.
const MOST: u64 = 5_000;
/// Commits that are read at a time.
const PAGE: u32 = 2_000;
/// Values that are read at a time.
const VALUES: usize = 5_000;

/// Of which lines.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PersonalQuery {
    /// Only of this organization's lines, by its name or id.
    organization: Option<String>,
    /// The first position; 0 when absent.
    from_position: Option<u64>,
    /// The position to end before; the size of the log when absent. An answer is about at most 5,000 positions.
    until_position: Option<u64>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Export personal values
///
/// What stands behind the commitments of the lines from `from_position` to `until_position`, as it is kept, whether it
/// fits its commitment or not: whoever takes it away checks that (`chancery log verify --personal`). What was erased is
/// not there. Go on with `until_position` of the answer until that is its `size`, or the one that was asked for. Needs
/// `audit:read`, on the instance unless `organization` says which part.
#[utoipa::path(
    get, path = "/v1/audit/export/personal", operation_id = "audit.personal", tag = "audit", params(PersonalQuery),
    responses((status = 200, body = wire::PersonalValues), (status = "default", body = wire::Problem))
)]
pub(crate) async fn personal(
    State(app): State<App>,
    session: Session,
    Query(query): Query<PersonalQuery>,
) -> Result<Answer<wire::PersonalValues>, Problem> {
    let PersonalQuery { organization, from_position, until_position, at_least } = query;
    let asked = Asked { organization: organization.as_deref(), from_position, until_position, at_least };
    let granted = asked.grant(&app, &session, "audit.personal").await?;
    let holder = app.node().live().read(|state| Holder::of(state, &granted.caller));
    let _seat = app.exports().take(holder)?;
    let (size, mut positions) = (granted.size, granted.positions);
    positions.end = positions.end.min(positions.start.saturating_add(MOST));
    let until_position = positions.end;
    let mut wanted = BTreeSet::new();
    while !positions.is_empty() {
        let commits = app.node().audit_log().commits_from(positions.start, PAGE).await;
        let commits = commits.map_err(|error| failed(&error))?;
        let Some(end) = commits.last().map(Commit::end) else { return Err(problem(&Failure::Unavailable)) };
        let (of, organization) = (positions.clone(), granted.place.organization());
        let found = tokio::task::spawn_blocking(move || commitments(&commits, &of, organization)).await;
        wanted.extend(found.map_err(|_| Problem::new(codes::INTERNAL))?);
        positions.start = end;
    }
    let wanted: Vec<_> = wanted.into_iter().collect();
    let mut items = Vec::with_capacity(wanted.len());
    for some in wanted.chunks(VALUES) {
        look(&app, &session, |state, caller| caller.require(state, "audit:read", granted.place))?;
        let mut rows = app.node().audit_log().personal_rows(some).await.map_err(|error| failed(&error))?;
        let row = |commitment| Some((encode_commitment(commitment), rows.remove(commitment)?));
        items.extend(some.iter().filter_map(row).map(|(commitment, row)| wire::PersonalValue {
            commitment,
            salt: URL_SAFE_NO_PAD.encode(row.salt),
            kind: row.kind,
            value: row.value,
        }));
    }
    Ok(Answer::ok(wire::PersonalValues { until_position, size, items }, size))
}

/// The commitments in an organization's lines, or in all. A line that cannot be read has none: the export has it as it is.
fn commitments(
    commits: &[Commit],
    positions: &Range<u64>,
    organization: Option<OrganizationId>,
) -> BTreeSet<[u8; 32]> {
    let lines =
        commits.iter().flat_map(Commit::numbered).filter(|(position, _)| positions.contains(position));
    let summaries = lines.filter_map(|(_, line)| Summary::read(line).ok());
    let own = summaries.filter(|line| organization.is_none() || line.org == organization);
    own.flat_map(|line| line.commitments().collect::<Vec<_>>()).collect()
}

fn failed(error: &Error) -> Problem {
    tracing::warn!(%error, "personal values could not be exported");
    problem(&Failure::Unavailable)
}
