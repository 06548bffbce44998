//! The record as it is written, as server-sent events (WHATWG HTML, section 9.2).
//!
//! Each stream reads the log by pages of its own, as fast as its reader takes them: the log waits for nobody, and a page
//! is all that is held for a reader. Before each piece is given out, it is looked whether the caller may still have it.

use super::filter::{Asked, Texts, is_over};
use crate::app::App;
use crate::auth::Session;
use crate::edge::extract::Query;
use crate::edge::{Ending, Problem, codes};
use crate::error::{invalid, problem};
use crate::paced::{self, Pieces};
use crate::respond::POSITION;
use crate::seats::{Holder, Limits, Seat};
use crate::wire;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::authority::Caller;
use domain::query::{self, AUDIT, Read};
use domain::scope::Scope;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use projections::audit::{EventFilter, Kind, Summary};
use serde::Deserialize;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use utoipa::IntoParams;

/// Commits that are read at a time.
const PAGE: u32 = 200;
/// Bytes of events that are given out at a time, about.
const PIECE: usize = 64 * 1024;
/// How often it is looked whether the stream has to end, when nothing happens.
const TICK: Duration = Duration::from_secs(1);
/// How often something is sent when nothing is let through, so that nobody between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How many there may be.
pub(crate) const STREAMS: Limits =
    Limits { name: "streams", most: 256, most_of_organization: 64, most_of_one: 8 };

/// Which events are streamed, and from where on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
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
    /// Only events before then (RFC 3339). The stream ends when that time has passed.
    to: Option<String>,
    /// Only events that were caused from this address.
    address: Option<String>,
    /// Uses of tokens as well: without it, they are streamed only where `type` names them.
    uses: Option<bool>,
    /// Begins with this position; with what happens next when absent. `Last-Event-ID` goes before it.
    from_position: Option<u64>,
    /// Ends before this position.
    until_position: Option<u64>,
}

impl StreamQuery {
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

/// Stream events
///
/// The lines of the log as they are written, as server-sent events: `id` is the position, `event` the type, `data` the
/// line as `GET /v1/audit/events` shows it. A reader that comes again with `Last-Event-ID` misses nothing and sees nothing
/// twice. The stream ends with an `end` event, whose data is a problem, when the caller may not have it any more, when its
/// reader is too slow, and when the node stops. Needs `audit:read` as `GET /v1/audit/events` does.
#[utoipa::path(
    get, path = "/v1/audit/stream", operation_id = "audit.stream", tag = "audit",
    params(StreamQuery, ("Last-Event-ID" = Option<u64>, Header, description = "The last `id` that was seen.")),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = "default", body = wire::Problem)
    )
)]
pub(crate) async fn stream(
    State(app): State<App>,
    session: Session,
    ending: Option<Extension<Ending>>,
    headers: HeaderMap,
    Query(query): Query<StreamQuery>,
) -> Result<Response, Problem> {
    let asked = query.texts().read(true)?;
    let last = last_event_id(&headers)?;
    app.readable(&session, "audit.stream", Read::Audit(asked.scope.clone()), None).await?;
    let ask = |state: &_, caller: &Caller| {
        query::audited(state, caller, asked.scope.as_ref()).map(|place| (place, Holder::of(state, caller)))
    };
    let (place, holder) = super::look(&app, &session, ask)?;
    let seat = app.streams().take(holder)?;
    let position = app.node().live().position();
    let next = last.map(|last| last.saturating_add(1)).or(query.from_position).unwrap_or(position);
    let clock = app.node().live().clock().clone();
    let reader = Reader {
        place,
        filter: asked.filter_at(place),
        has_uses: query.uses.unwrap_or(query.types.is_some()),
        asked,
        next,
        until: query.until_position,
        pieces: VecDeque::from([Bytes::from(format!("retry: 1000\n: from position {next}\n\n"))]),
        given_at: None,
        is_over: false,
        ending: ending.map(|Extension(ending)| ending).unwrap_or_default(),
        app,
        session,
        _seat: seat,
    };
    let mut response = paced::body(reader, clock).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(POSITION, HeaderValue::from(position));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all("last-event-id").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let number = text.parse().ok().filter(|_| values.next().is_none() && !text.starts_with('+'));
    number
        .map(Some)
        .ok_or_else(|| invalid("Last-Event-ID", text, "one position, the last `id` that was seen"))
}

/// A stream on its way to its reader.
struct Reader {
    app: App,
    session: Session,
    place: Scope,
    asked: Asked,
    filter: EventFilter,
    has_uses: bool,
    /// The position that is looked at next.
    next: u64,
    until: Option<u64>,
    /// What is read and not given out.
    pieces: VecDeque<Bytes>,
    /// When the last piece was given out, by the monotonic clock.
    given_at: Option<Duration>,
    is_over: bool,
    ending: Ending,
    _seat: Seat,
}

impl Pieces for Reader {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.is_over {
            return None;
        }
        let piece = match self.wait().await {
            Ok(piece) => piece?,
            Err(problem) => {
                self.is_over = true;
                last(&problem)
            }
        };
        self.given_at = Some(self.now());
        Some(Ok(piece))
    }

    fn too_late() -> io::Result<Bytes> {
        Ok(last(&Problem::new(codes::TOO_SLOW)))
    }
}

/// The last event: why there are no more.
fn last(problem: &Problem) -> Bytes {
    let data = serde_json::to_string(&problem.as_wire()).expect("a problem is plain data");
    Bytes::from(format!("event: end\ndata: {data}\n\n"))
}

impl Reader {
    /// Waits until there is something to give out; nothing ends the stream.
    async fn wait(&mut self) -> Result<Option<Bytes>, Problem> {
        let since = self.given_at.unwrap_or_else(|| self.now());
        loop {
            if self.ending.is_near() {
                return Err(Problem::new(codes::UNAVAILABLE).detail("This node is stopping."));
            }
            let end = self.end()?;
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(Some(piece));
            }
            if self.until.is_some_and(|until| self.next >= until) {
                return Ok(None);
            }
            // However much is read that the filter lets nothing through of.
            if self.now().saturating_sub(since) >= KEEP_ALIVE {
                return Ok(Some(Bytes::from(self.keep_alive())));
            }
            if self.next < end {
                self.read(end).await?;
                continue;
            }
            if is_over(self.filter.to, self.app.now()) {
                return Ok(None);
            }
            self.app.node().live().reaches(self.next.saturating_add(1), TICK).await;
        }
    }

    /// How far the caller may read now. What stands behind that was appended later, maybe by whoever ended the caller.
    fn end(&self) -> Result<u64, Problem> {
        let live = self.app.node().live();
        live.read(|state| {
            let caller = self.app.again(state, &self.session)?;
            caller.require(state, AUDIT, self.place).map_err(|rejection| problem(&rejection.into()))?;
            Ok(live.position())
        })
    }

    /// Says how far nothing was found: whoever comes again with that need not look through it once more.
    fn keep_alive(&self) -> String {
        match self.next.checked_sub(1) {
            Some(last) => format!(": at position {last}\nid: {last}\n\n"),
            None => ": at the beginning\n\n".to_owned(),
        }
    }

    /// Reads a page.
    async fn read(&mut self, end: u64) -> Result<(), Problem> {
        let end = end.min(self.until.unwrap_or(u64::MAX));
        let log = self.app.node().audit_log();
        let commits = log.commits_from(self.next, PAGE).await.map_err(|error| super::failed(&error))?;
        let mut lines = Vec::new();
        for (position, line) in commits.iter().flat_map(eventlog::Commit::numbered) {
            if (self.next..end).contains(&position) {
                let summary = Summary::read(line).map_err(|error| super::unread(position, &error))?;
                if self.lets_through(&summary) {
                    lines.push((position, line.to_owned()));
                }
            }
        }
        self.next = commits.last().map_or(self.next, eventlog::Commit::end).min(end);
        let events = super::view(&self.app, lines, |_| true).await?;
        let mut piece = String::new();
        for event in events {
            self.write(&mut piece, &event)?;
            if piece.len() >= PIECE {
                self.pieces.push_back(Bytes::from(std::mem::take(&mut piece)));
            }
        }
        if !piece.is_empty() {
            self.pieces.push_back(Bytes::from(piece));
        }
        Ok(())
    }

    fn lets_through(&self, line: &Summary<'_>) -> bool {
        let state = self.app.node().live();
        let scope = line
            .token
            .and_then(|token| state.read(|state| state.tokens().get(token).map(|token| token.scope)));
        (self.has_uses || line.kind() != Kind::Use) && self.filter.lets_through(line, scope)
    }

    /// Writes an event, unless it came from another address than those that are asked for.
    fn write(&self, piece: &mut String, event: &wire::AuditEvent) -> Result<(), Problem> {
        let line = event.line.get();
        let summary = Summary::read(line).map_err(|error| super::unread(event.position, &error))?;
        if let Some(address) = self.asked.address {
            let own = summary.actor.address.as_deref().and_then(|commitment| event.personal.get(commitment));
            if own.is_none_or(|own| *own != address.to_canonical().to_string()) {
                return Ok(());
            }
        }
        let data = serde_json::to_string(event).expect("an event is plain data");
        let _ = write!(piece, "id: {}\nevent: {}\ndata: {data}\n\n", event.position, summary.kind);
        Ok(())
    }

    fn now(&self) -> Duration {
        self.app.node().live().clock().monotonic()
    }
}
