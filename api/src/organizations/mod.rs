//! Organizations.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod rename;
pub(crate) mod show;

use crate::app::App;
use crate::change::Done;
use crate::edge::Problem;
use crate::edge::codes;
use crate::wire;
use domain::event::Subject;
use domain::state::Organization;

pub(crate) fn view(organization: &Organization) -> wire::Organization {
    wire::Organization {
        id: organization.id.0,
        name: organization.naming.name.to_string(),
        display_name: organization.naming.display_name.as_deref().map(str::to_owned),
        created_at: organization.created_at.to_string(),
        revision: organization.revision,
    }
}

/// The organization that a command made or changed, as it is now.
fn changed(app: &App, done: &Done) -> Result<wire::Organization, Problem> {
    let Subject::Organization(id) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let found = app.node().live().read(|state| state.organization(id).map(|found| view(found)));
    found.ok_or_else(|| Problem::new(codes::NOT_FOUND))
}
