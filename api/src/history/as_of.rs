use super::{enter, find, one_moment, place, view_member, view_moment};
use crate::app::App;
use crate::auth::Session;
use crate::edge::Problem;
use crate::edge::extract::Query;
use crate::error::invalid;
use crate::respond::Answer;
use crate::{instance, organizations, page, policies, projects, roles, tokens, wire};
use axum::extract::State;
use domain::history::{self, Moment};
use domain::id::{ProjectId, UserId};
use domain::name::Name;
use domain::scope::Scope;
use projections::AsOf;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Organizations,
    Policies,
    Projects,
    Members,
    Roles,
    Tokens,
}

/// Which moment, and what of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AsOfQuery {
    /// The state after the last lifecycle event until then, looked at with the clock at that time; now when absent.
    time: Option<String>,
    /// In place of a time: a log of so many lines, at the time of the last one.
    position: Option<u64>,
    /// In place of a time: a log of so many lifecycle events, at the time of the last one.
    version: Option<u64>,
    /// What is listed: organizations, policies, projects, members, roles or tokens; tokens when absent.
    list: Option<String>,
    /// What was in this organization, by its name now or its id. Projects and members need one.
    organization: Option<String>,
    /// What was in this project of the organization, by its name now or its id.
    project: Option<String>,
    /// Tokens that had ended as well.
    #[serde(default)]
    ended: bool,
    /// Items on the page, 1 to 1,000; 100 when absent.
    limit: Option<usize>,
    /// The `next_cursor` of the page before: it stands for the moment as well, so name none with it.
    cursor: Option<String>,
    /// Answer from a log of at least this position; waits up to 5 s.
    at_least: Option<u64>,
}

/// Where a page ended, and of which moment.
#[derive(Serialize, Deserialize)]
struct Cursor {
    list: Kind,
    version: u64,
    micros: i64,
    after: After,
}

#[derive(Serialize, Deserialize)]
enum After {
    Name(Name),
    Member(UserId, Option<ProjectId>),
    Slot(u32),
}

/// List what there was
///
/// Organizations, policies, projects, members, roles or tokens as they stood at a moment, at the caller's own scope or the
/// organization or project that is named. Needs `audit:read` there, now.
#[utoipa::path(
    get, path = "/v1/audit/as-of", operation_id = "audit.as_of", tag = "audit", params(AsOfQuery),
    responses((status = 200, body = wire::AsOf), (status = "default", body = wire::Problem))
)]
pub(crate) async fn as_of(
    State(app): State<App>,
    session: Session,
    Query(query): Query<AsOfQuery>,
) -> Result<Answer<wire::AsOf>, Problem> {
    let (list, limit) = (read_kind(query.list.as_deref())?, page::limit(query.limit)?);
    let cursor: Option<Cursor> = page::decode(query.cursor.as_deref())?;
    let (field, moment) = one_moment(&app, query.time.as_deref(), query.position, query.version)?;
    if let Some(text) = query.cursor.as_deref() {
        let names = query.time.is_some() || query.position.is_some() || query.version.is_some();
        if names || cursor.as_ref().is_some_and(|cursor| cursor.list != list) {
            return Err(invalid("cursor", text, "a cursor of this list, without a moment beside it"));
        }
    }
    let project = query.project.clone();
    let scope = place(query.organization, query.project)?;
    let place = enter(&app, &session, "audit.as_of", scope, query.at_least).await?.place;
    if place == Scope::Instance && matches!(list, Kind::Projects | Kind::Members) {
        return Err(invalid("organization", "", "the name or id of the organization whose they are"));
    }
    if place.project().is_some() && list == Kind::Policies {
        let project = project.unwrap_or_else(|| "that of the token".to_owned());
        return Err(invalid(
            "project",
            &project,
            "left out: an organization has policies, a project has none",
        ));
    }
    let moment = cursor.as_ref().map_or(moment, |cursor| Moment::Version(cursor.version));
    let mut found = find(&app, field, moment).await?;
    if let Some(cursor) = &cursor {
        found.at = domain::time::Timestamp::from_micros(cursor.micros);
    }
    let position = app.node().live().position();
    let after = cursor.map(|cursor| cursor.after);
    Ok(Answer::ok(view(&found, list, place, after.as_ref(), query.ended, limit), position))
}

fn read_kind(text: Option<&str>) -> Result<Kind, Problem> {
    match text {
        Some("organizations") => Ok(Kind::Organizations),
        Some("policies") => Ok(Kind::Policies),
        Some("projects") => Ok(Kind::Projects),
        Some("members") => Ok(Kind::Members),
        Some("roles") => Ok(Kind::Roles),
        None | Some("tokens") => Ok(Kind::Tokens),
        Some(other) => {
            let expected = "`organizations`, `policies`, `projects`, `members`, `roles` or `tokens`";
            Err(invalid("list", other, expected))
        }
    }
}

fn view(
    found: &AsOf,
    list: Kind,
    place: Scope,
    after: Option<&After>,
    with_ended: bool,
    limit: usize,
) -> wire::AsOf {
    let (state, at) = (&*found.state, found.at);
    let mut page = wire::AsOf {
        moment: view_moment(found),
        organizations: None,
        policies: None,
        instance_policy: None,
        projects: None,
        members: None,
        roles: None,
        tokens: None,
        next_cursor: None,
    };
    let name = match after {
        Some(After::Name(name)) => Some(name),
        _ => None,
    };
    let next = match list {
        Kind::Organizations => {
            let mut rows = history::organizations(state, place, name, limit + 1);
            let next = cut(&mut rows, limit, |last| After::Name(last.naming.name.clone()));
            page.organizations = Some(rows.iter().map(|row| organizations::view(row)).collect());
            next
        }
        Kind::Policies => {
            let mut rows = history::organizations(state, place, name, limit + 1);
            let next = cut(&mut rows, limit, |last| After::Name(last.naming.name.clone()));
            page.policies = Some(rows.iter().map(|row| policies::settings(row, &row.policy)).collect());
            let own = state.instance().filter(|_| place == Scope::Instance && name.is_none());
            page.instance_policy = own.map(|instance| instance::view_policy(&instance.policy));
            next
        }
        Kind::Projects => {
            let mut rows = history::projects(state, place, name, limit + 1);
            let next = cut(&mut rows, limit, |last| After::Name(last.naming.name.clone()));
            page.projects = Some(rows.iter().map(|row| projects::view(state, row)).collect());
            next
        }
        Kind::Roles => {
            let mut rows = history::roles(state, place, name, limit + 1);
            let next = cut(&mut rows, limit, |last| After::Name(last.name.clone()));
            page.roles = Some(rows.iter().map(|row| roles::view(state, row)).collect());
            next
        }
        Kind::Members => {
            let after = match after {
                Some(After::Member(user, project)) => Some((*user, *project)),
                _ => None,
            };
            let mut rows = history::members(state, place, after, limit + 1);
            let next = cut(&mut rows, limit, |last| After::Member(last.user, last.place.project()));
            page.members = Some(rows.iter().map(|row| view_member(state, row)).collect());
            next
        }
        Kind::Tokens => {
            let after = match after {
                Some(After::Slot(slot)) => Some(*slot),
                _ => None,
            };
            let mut rows = history::tokens(state, place, after, with_ended, at, limit + 1);
            let next = cut(&mut rows, limit, |last| After::Slot(last.0));
            page.tokens = Some(rows.iter().map(|(_, row)| tokens::view(state, row, at)).collect());
            next
        }
    };
    let cursor = |after| Cursor { list, version: state.version(), micros: at.micros(), after };
    page.next_cursor = next.map(|after| page::encode(&cursor(after)));
    page
}

/// Leaves as many as fit; says where the page ended if there are more.
fn cut<T>(rows: &mut Vec<T>, limit: usize, after: impl Fn(&T) -> After) -> Option<After> {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| has_more).map(after)
}
