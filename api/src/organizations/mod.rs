//! Organizations.

pub(crate) mod contents;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod rename;
pub(crate) mod restore;
pub(crate) mod show;
pub(crate) mod suspend;

use crate::app::App;
use crate::change::Done;
use crate::edge::Problem;
use crate::edge::codes;
use crate::wire;
use domain::event::{By, Subject};
use domain::state::{Organization, Revocation, Standing};
use domain::time::Timestamp;

pub(crate) fn view(organization: &Organization) -> wire::Organization {
    let (status, suspended, deleted) = match &organization.standing {
        Standing::Active => (wire::OrganizationStatus::Active, None, None),
        Standing::Suspended(how) => {
            let how = view_change(how.at, &how.by, how.note.as_deref());
            (wire::OrganizationStatus::Suspended, Some(how), None)
        }
        Standing::Deleted(how) => (wire::OrganizationStatus::Deleted, None, Some(view_deletion(how))),
    };
    wire::Organization {
        id: organization.id.0,
        name: organization.naming.name.to_string(),
        display_name: organization.naming.display_name.as_deref().map(str::to_owned),
        status,
        created_at: organization.created_at.to_string(),
        suspended,
        deleted,
        revision: organization.revision,
    }
}

/// How an organization or a project was deleted.
pub(crate) fn view_deletion(how: &Revocation) -> wire::StatusChange {
    view_change(how.at, &how.by, how.note.as_deref())
}

fn view_change(at: Timestamp, by: &By, note: Option<&str>) -> wire::StatusChange {
    wire::StatusChange { at: at.to_string(), by: by.to_string(), note: note.map(str::to_owned) }
}

/// The organization that a command made or changed, as it is now.
fn changed(app: &App, done: &Done) -> Result<wire::Organization, Problem> {
    let Subject::Organization(id) = done.subject else { return Err(Problem::new(codes::INTERNAL)) };
    let found = app.node().live().read(|state| state.organization(id).map(|found| view(found)));
    found.ok_or_else(|| Problem::new(codes::NOT_FOUND))
}
