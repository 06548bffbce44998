//! Organizations and their projects.

use super::{Decision, check_revision, find_organization, find_project};
use crate::authority::Caller;
use crate::event::{Event, Naming, Subject};
use crate::id::{OrganizationId, ProjectId};
use crate::name::Name;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{NAME_RESERVATION, Organization, Project, State};
use crate::text;
use crate::time::Timestamp;
use std::sync::Arc;

/// The most bytes of a display name.
const DISPLAY_NAME: usize = 128;

/// Begin an organization.
#[derive(Clone, Debug)]
pub struct CreateOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// What people read.
    pub display_name: Option<String>,
}

/// A change of a name and a display name; what is absent stays, an empty display name goes.
#[derive(Clone, Debug, Default)]
pub struct NamingChange {
    /// The new name.
    pub name: Option<String>,
    /// The new display name.
    pub display_name: Option<String>,
}

/// Rename an organization.
#[derive(Clone, Debug)]
pub struct RenameOrganization {
    /// Which, by name or id.
    pub organization: String,
    /// To what.
    pub change: NamingChange,
}

/// Begin a project.
#[derive(Clone, Debug)]
pub struct CreateProject {
    /// Its id.
    pub id: ProjectId,
    /// Its organization, by name or id.
    pub organization: String,
    /// Its name.
    pub name: String,
    /// What people read.
    pub display_name: Option<String>,
}

/// Rename a project.
#[derive(Clone, Debug)]
pub struct RenameProject {
    /// Its organization, by name or id.
    pub organization: String,
    /// Which, by name or id.
    pub project: String,
    /// To what.
    pub change: NamingChange,
}

pub(super) fn create(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    create: &CreateOrganization,
) -> Result<Decision, Rejection> {
    caller.require(state, "organizations:create", Scope::Instance)?;
    let naming = naming(&create.name, create.display_name.as_deref())?;
    require_free_name(state, &naming.name, at, None)?;
    Ok(Decision::new(
        Some(create.id),
        vec![Event::OrganizationCreated(naming)],
        Subject::Organization(create.id),
    ))
}

pub(super) fn authorize_rename<'a>(
    state: &'a State,
    caller: &Caller,
    rename: &RenameOrganization,
) -> Result<&'a Arc<Organization>, Rejection> {
    let organization = find_organization(state, caller, &rename.organization)?;
    caller.require(state, "organizations:update", Scope::Organization(organization.id))?;
    Ok(organization)
}

pub(super) fn rename(
    state: &State,
    caller: &Caller,
    at: Timestamp,
    rename: &RenameOrganization,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let organization = authorize_rename(state, caller, rename)?;
    check_revision(organization.revision, expected)?;
    let before = organization.naming.clone();
    let after = changed(&before, &rename.change)?;
    if after.name != before.name {
        require_free_name(state, &after.name, at, Some(organization.id))?;
    }
    let events =
        if before == after { Vec::new() } else { vec![Event::OrganizationRenamed { before, after }] };
    Ok(Decision::new(Some(organization.id), events, Subject::Organization(organization.id)))
}

pub(super) fn authorize_create_project(
    state: &State,
    caller: &Caller,
    create: &CreateProject,
) -> Result<OrganizationId, Rejection> {
    let organization = find_organization(state, caller, &create.organization)?.id;
    caller.require(state, "projects:create", Scope::Organization(organization))?;
    Ok(organization)
}

pub(super) fn create_project(
    state: &State,
    caller: &Caller,
    create: &CreateProject,
) -> Result<Decision, Rejection> {
    let organization = authorize_create_project(state, caller, create)?;
    let naming = naming(&create.name, create.display_name.as_deref())?;
    require_free_project_name(state, organization, &naming.name)?;
    let events = vec![Event::ProjectCreated { project: create.id, naming }];
    Ok(Decision::new(Some(organization), events, Subject::Project(create.id)))
}

pub(super) fn authorize_rename_project<'a>(
    state: &'a State,
    caller: &Caller,
    rename: &RenameProject,
) -> Result<&'a Arc<Project>, Rejection> {
    let project = find_project(state, caller, &rename.organization, &rename.project)?;
    caller.require(state, "projects:update", Scope::Project(project.organization, project.id))?;
    Ok(project)
}

pub(super) fn rename_project(
    state: &State,
    caller: &Caller,
    rename: &RenameProject,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let project = authorize_rename_project(state, caller, rename)?;
    check_revision(project.revision, expected)?;
    let before = project.naming.clone();
    let after = changed(&before, &rename.change)?;
    if after.name != before.name {
        require_free_project_name(state, project.organization, &after.name)?;
    }
    let events = if before == after {
        Vec::new()
    } else {
        vec![Event::ProjectRenamed { project: project.id, before, after }]
    };
    Ok(Decision::new(Some(project.organization), events, Subject::Project(project.id)))
}

fn naming(name: &str, display_name: Option<&str>) -> Result<Naming, Rejection> {
    Ok(Naming {
        name: Name::parse("name", name)?,
        display_name: display_name.map(read_display_name).transpose()?,
    })
}

fn read_display_name(text: &str) -> Result<Box<str>, Rejection> {
    text::clean("display_name", text, DISPLAY_NAME)
}

fn changed(before: &Naming, change: &NamingChange) -> Result<Naming, Rejection> {
    Ok(Naming {
        name: change
            .name
            .as_deref()
            .map_or_else(|| Ok(before.name.clone()), |name| Name::parse("name", name))?,
        display_name: match change.display_name.as_deref() {
            None => before.display_name.clone(),
            Some("") => None,
            Some(text) => Some(read_display_name(text)?),
        },
    })
}

/// A name that an organization gave up is its own to take back; for all others it stays reserved for 90 days, so
/// that nobody receives what was meant for the one before.
fn require_free_name(
    state: &State,
    name: &Name,
    at: Timestamp,
    of: Option<OrganizationId>,
) -> Result<(), Rejection> {
    let until = match state.organization_name(name) {
        None => return Ok(()),
        Some(holder) => match holder.freed_at {
            Some(_) if of == Some(holder.organization) => return Ok(()),
            Some(freed_at) if at.since(freed_at) >= NAME_RESERVATION => return Ok(()),
            Some(freed_at) => {
                Some(format!("it was given up and stays reserved until {}", freed_at.after(NAME_RESERVATION)))
            }
            None => None,
        },
    };
    Err(Rejection::NameTaken { kind: "organization", name: name.to_string(), until })
}

fn require_free_project_name(
    state: &State,
    organization: OrganizationId,
    name: &Name,
) -> Result<(), Rejection> {
    match state.find_project(organization, name.as_str()) {
        None => Ok(()),
        Some(_) => Err(Rejection::NameTaken { kind: "project", name: name.to_string(), until: None }),
    }
}
