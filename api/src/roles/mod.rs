//! Roles: the built-in ones, the instance's own and the organizations' own.

pub(crate) mod change;
pub(crate) mod define;
pub(crate) mod list;
pub(crate) mod retire;
pub(crate) mod show;

use crate::app::App;
use crate::auth::Session;
use crate::change::Done;
use crate::edge::{Problem, codes};
use crate::error::problem;
use crate::wire;
use domain::event::Subject;
use domain::name::Name;
use domain::query::Census;
use domain::role::Level;
use domain::state::{Role, State};

/// A role as it is; who holds it is counted elsewhere.
pub(crate) fn view(state: &State, role: &Role) -> wire::Role {
    let organization = role.organization.and_then(|id| state.organization(id));
    wire::Role {
        name: role.name.to_string(),
        organization: organization.map(|found| found.naming.name.to_string()),
        organization_id: role.organization.map(|id| id.0),
        level: match role.level {
            Level::Instance => wire::Level::Instance,
            Level::Organization => wire::Level::Organization,
            Level::Project => wire::Level::Project,
        },
        permissions: role.permissions.patterns().iter().map(ToString::to_string).collect(),
        built_in: role.is_built_in(),
        holders: None,
        members: None,
        created_at: role.created_at.to_string(),
        created_by: role.created_by.to_string(),
        revision: role.revision,
    }
}

/// A role with who holds it, in an organization or on the instance.
fn counted(state: &State, role: &Role, census: &Census, organization: Option<&str>) -> wire::Role {
    let (holders, members) = (Some(census.tokens(role)), organization.map(|_| census.members(role)));
    wire::Role { holders, members, ..view(state, role) }
}

/// Counts who holds which role. Between two steps, whoever waits for the state has its turn.
async fn census(app: &App, session: &Session, organization: Option<&str>) -> Result<Census, Problem> {
    let (mut census, at) = (Census::default(), app.now());
    let mut step = |state: &_| {
        let caller = app.again(state, session)?;
        census.step(state, &caller, organization, at).map_err(|rejection| problem(&rejection.into()))
    };
    while app.node().live().read(&mut step)? {
        tokio::task::yield_now().await;
    }
    Ok(census)
}

/// The role that a command made or changed, as it is now, by the name that the request has for it.
fn changed(app: &App, done: &Done, name: &str) -> Result<wire::Role, Problem> {
    let Subject::Roles(owner) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let found = app.node().live().read(|state| {
        let role = Name::label(name).and_then(|name| state.role(owner, &name).cloned())?;
        Some(view(state, &role))
    });
    found.ok_or_else(|| Problem::new(codes::NOT_FOUND))
}

/// Where the roles of an organization, or of the instance, are.
fn path_of(role: &wire::Role) -> String {
    let name = &role.name;
    role.organization_id
        .map_or_else(|| format!("/v1/roles/{name}"), |id| format!("/v1/organizations/{id}/roles/{name}"))
}
