//! Projects of organizations.

pub(crate) mod contents;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod rename;
pub(crate) mod show;

use crate::app::App;
use crate::change::Done;
use crate::edge::Problem;
use crate::edge::codes;
use crate::organizations::view_deletion;
use crate::wire;
use domain::event::Subject;
use domain::state::{Project, State};

pub(crate) fn view(state: &State, project: &Project) -> wire::Project {
    let organization = state.organization(project.organization);
    wire::Project {
        id: project.id.0,
        organization: organization.map(|found| found.naming.name.to_string()).unwrap_or_default(),
        organization_id: project.organization.0,
        name: project.naming.name.to_string(),
        display_name: project.naming.display_name.as_deref().map(str::to_owned),
        created_at: project.created_at.to_string(),
        deleted: project.deletion.as_deref().map(view_deletion),
        revision: project.revision,
    }
}

/// The project that a command made or changed, as it is now.
fn changed(app: &App, done: &Done) -> Result<wire::Project, Problem> {
    let Subject::Project(id) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let found = app.node().live().read(|state| state.project(id).map(|found| view(state, found)));
    found.ok_or_else(|| Problem::new(codes::NOT_FOUND))
}
