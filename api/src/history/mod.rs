//! The state as it stood, for who may audit it.

pub(crate) mod as_of;
pub(crate) mod diff;
pub(crate) mod state;
pub(crate) mod who_could;

use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::error::{invalid, problem};
use crate::tokens::view_scope;
use crate::wire;
use domain::decide::ScopeText;
use domain::history::Moment;
use domain::query::{self, Read, Sight};
use domain::state::{Member, State};
use domain::time::Timestamp;
use projections::AsOf;

/// What a moment looks like.
const MOMENT: &str = "a time such as 2026-11-22T10:15:00Z, `position:<lines>` or `version:<events>`";

/// The place that is looked at. An organization is named as it is called now.
fn place(organization: Option<String>, project: Option<String>) -> Result<Option<ScopeText>, Problem> {
    match (organization, project) {
        (None, None) => Ok(None),
        (Some(organization), None) => Ok(Some(ScopeText::Organization(organization))),
        (Some(organization), Some(project)) => Ok(Some(ScopeText::Project(organization, project))),
        (None, Some(project)) => Err(invalid("project", &project, "given without its organization")),
    }
}

/// Enrols the read, and says how far the caller sees.
async fn enter(
    app: &App,
    session: &Session,
    operation: &'static str,
    scope: Option<ScopeText>,
    at_least: Option<u64>,
) -> Result<Sight, Problem> {
    app.readable(session, operation, Read::Past(scope.clone()), at_least).await?;
    app.node().live().read(|state| {
        let caller = app.again(state, session)?;
        query::history(state, &caller, scope.as_ref()).map_err(|rejection| problem(&rejection.into()))
    })
}

/// The state at a moment.
async fn find(app: &App, field: &'static str, moment: Moment) -> Result<AsOf, Problem> {
    let found = app.node().as_of(moment).await.map_err(|failure| problem(&failure))?;
    found.ok_or_else(|| match moment {
        Moment::Position(position) => {
            invalid(field, &position.to_string(), "a size that the log has reached")
        }
        Moment::Version(version) => {
            invalid(field, &version.to_string(), "a version that the log has reached")
        }
        Moment::Time(time) => invalid(field, &time.to_string(), "a time"),
    })
}

/// A moment as text; now without one.
fn read_moment(app: &App, field: &'static str, text: Option<&str>) -> Result<Moment, Problem> {
    let Some(text) = text else { return Ok(Moment::Time(app.now())) };
    let number = |text: &str| text.parse::<u64>().ok();
    let found = if let Some(position) = text.strip_prefix("position:") {
        number(position).map(Moment::Position)
    } else if let Some(version) = text.strip_prefix("version:") {
        number(version).map(Moment::Version)
    } else {
        Timestamp::parse(text).map(Moment::Time)
    };
    found.ok_or_else(|| invalid(field, text, MOMENT))
}

/// A moment by one of the three ways to say it; now without any.
fn one_moment(
    app: &App,
    time: Option<&str>,
    position: Option<u64>,
    version: Option<u64>,
) -> Result<(&'static str, Moment), Problem> {
    match (time, position, version) {
        (time, None, None) => Ok(("time", read_time(app, time)?)),
        (None, Some(position), None) => Ok(("position", Moment::Position(position))),
        (None, None, Some(version)) => Ok(("version", Moment::Version(version))),
        _ => Err(invalid("time", time.unwrap_or_default(), "one of `time`, `position` and `version`")),
    }
}

fn read_time(app: &App, text: Option<&str>) -> Result<Moment, Problem> {
    let Some(text) = text else { return Ok(Moment::Time(app.now())) };
    let time =
        Timestamp::parse(text).ok_or_else(|| invalid("time", text, "a time such as 2026-11-22T10:15:00Z"))?;
    Ok(Moment::Time(time))
}

fn view_moment(found: &AsOf) -> wire::Moment {
    wire::Moment { version: found.state.version(), time: found.at.to_string() }
}

fn view_member(state: &State, member: &Member) -> wire::PastMember {
    wire::PastMember {
        user: member.user.0,
        scope: view_scope(state, member.place),
        role: member.role.to_string(),
        since: member.since.to_string(),
    }
}
