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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Command, Decision};
    use crate::testing::{World, absent, admin, forbidden, invalid, only, types};
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);

    fn named(name: &str) -> NamingChange {
        NamingChange { name: Some(name.to_owned()), display_name: None }
    }

    fn create(world: &mut World, caller: &Caller, name: &str) -> Result<Decision, Rejection> {
        let id = OrganizationId(world.id());
        let create = CreateOrganization { id, name: name.to_owned(), display_name: None };
        world.run(caller, Command::CreateOrganization(create))
    }

    fn rename(
        world: &mut World,
        caller: &Caller,
        organization: &str,
        change: NamingChange,
    ) -> Result<Decision, Rejection> {
        let rename = RenameOrganization { organization: organization.to_owned(), change };
        world.run(caller, Command::RenameOrganization(rename))
    }

    fn create_project(
        world: &mut World,
        caller: &Caller,
        organization: &str,
        name: &str,
    ) -> Result<Decision, Rejection> {
        let id = ProjectId(world.id());
        let (organization, name) = (organization.to_owned(), name.to_owned());
        let create = CreateProject { id, organization, name, display_name: Some("Web shop".to_owned()) };
        world.run(caller, Command::CreateProject(create))
    }

    fn rename_project(
        world: &mut World,
        caller: &Caller,
        (organization, project): (&str, &str),
        change: NamingChange,
    ) -> Result<Decision, Rejection> {
        let (organization, project) = (organization.to_owned(), project.to_owned());
        world.run(caller, Command::RenameProject(RenameProject { organization, project, change }))
    }

    fn is_taken<T>(result: &Result<T, Rejection>) -> bool {
        matches!(result, Err(Rejection::NameTaken { .. }))
    }

    #[test]
    fn an_organization_is_created_once_by_whoever_may() {
        let mut world = World::new();
        let provisioner = world.mint("instance", &["provisioner"]);
        let provisioner = world.caller(provisioner);
        let created = create(&mut world, &provisioner, "acme").unwrap();
        assert_eq!(types(&created), ["OrganizationCreated"]);
        assert!(is_taken(&create(&mut world, &admin(), "acme")));
        assert_eq!(invalid(create(&mut world, &admin(), "Acme")), "name");
        assert_eq!(invalid(create(&mut world, &admin(), "owner")), "name");
        let owner = world.mint("acme", &["owner"]);
        let owner = world.caller(owner);
        let refused = create(&mut world, &owner, "mine");
        assert_eq!(forbidden(refused), "organizations:create at the instance");
    }

    #[test]
    fn a_freed_name_stays_reserved_for_90_days_but_its_own_may_take_it_back() {
        let mut world = World::with_tenants();
        rename(&mut world, &admin(), "acme", named("beta")).unwrap();
        assert!(world.state.find_organization("acme").is_none());
        world.pass_almost(90 * DAY);
        assert!(is_taken(&create(&mut world, &admin(), "acme")));
        assert!(is_taken(&rename(&mut world, &admin(), "other", named("acme"))));
        rename(&mut world, &admin(), "beta", named("acme")).unwrap();
        rename(&mut world, &admin(), "acme", named("gamma")).unwrap();
        world.pass(90 * DAY);
        create(&mut world, &admin(), "acme").unwrap();
        // Now it is another's: who had it first has lost it.
        assert!(is_taken(&rename(&mut world, &admin(), "gamma", named("acme"))));
    }

    #[test]
    fn renaming_changes_what_is_said_and_nothing_else() {
        let mut world = World::with_tenants();
        let same = rename(&mut world, &admin(), "acme", named("acme")).unwrap();
        assert!(same.events.is_empty());
        let change = NamingChange { name: None, display_name: Some("Acme Inc.".to_owned()) };
        let renamed = rename(&mut world, &admin(), "acme", change).unwrap();
        let Event::OrganizationRenamed { before, after } = only(&renamed) else { panic!() };
        assert_eq!(
            (before.display_name.as_deref(), after.display_name.as_deref()),
            (None, Some("Acme Inc."))
        );
        let change = NamingChange { name: None, display_name: Some(String::new()) };
        rename(&mut world, &admin(), "acme", change).unwrap();
        assert_eq!(world.state.find_organization("acme").unwrap().naming.display_name, None);
    }

    #[test]
    fn renaming_an_organization_is_for_who_may_and_hidden_from_strangers() {
        let mut world = World::with_tenants();
        let member = world.mint("acme", &["member"]);
        let (member, stranger) = (world.caller(member), world.mint("other", &["owner"]));
        let stranger = world.caller(stranger);
        let refused = rename(&mut world, &member, "acme", named("new"));
        assert_eq!(forbidden(refused), "organizations:update at organization acme");
        assert!(absent(rename(&mut world, &stranger, "acme", named("new"))));
        assert!(absent(rename(&mut world, &stranger, "never-was", named("new"))));
        assert!(is_taken(&rename(&mut world, &stranger, "other", named("acme"))));
    }

    #[test]
    fn projects_are_named_once_in_their_organization_and_free_at_once() {
        let mut world = World::with_tenants();
        assert!(is_taken(&create_project(&mut world, &admin(), "acme", "web")));
        assert!(is_taken(&rename_project(&mut world, &admin(), ("acme", "api"), named("web"))));
        create_project(&mut world, &admin(), "other", "api").unwrap();
        let renamed = rename_project(&mut world, &admin(), ("acme", "web"), named("site")).unwrap();
        assert_eq!(types(&renamed), ["ProjectRenamed"]);
        assert_eq!(types(&create_project(&mut world, &admin(), "acme", "web").unwrap()), ["ProjectCreated"]);
        assert!(
            rename_project(&mut world, &admin(), ("acme", "web"), named("web")).unwrap().events.is_empty()
        );
        assert_eq!(invalid(create_project(&mut world, &admin(), "acme", "Ä")), "name");
    }

    #[test]
    fn projects_are_changed_by_who_may_and_hidden_from_others() {
        let mut world = World::with_tenants();
        let of_web = world.mint("acme/web", &["project-admin"]);
        let through_grant = world.mint("acme", &["project-admin@web"]);
        let reader = world.mint("acme", &["member"]);
        let stranger = world.mint("other", &["owner"]);
        for id in [of_web, through_grant] {
            let caller = world.caller(id);
            assert!(absent(rename_project(&mut world, &caller, ("acme", "api"), named("x"))));
            assert!(absent(rename_project(&mut world, &caller, ("acme", "never-was"), named("x"))));
            rename_project(&mut world, &caller, ("acme", "web"), named("site")).unwrap();
            rename_project(&mut world, &caller, ("acme", "site"), named("web")).unwrap();
            let refused = create_project(&mut world, &caller, "acme", "new");
            assert_eq!(forbidden(refused), "projects:create at organization acme");
        }
        let (reader, stranger) = (world.caller(reader), world.caller(stranger));
        let refused = rename_project(&mut world, &reader, ("acme", "web"), named("x"));
        assert_eq!(forbidden(refused), "projects:update at project web of acme");
        assert!(absent(create_project(&mut world, &stranger, "acme", "x")));
        assert!(absent(rename_project(&mut world, &stranger, ("acme", "web"), named("x"))));
    }

    #[test]
    fn a_name_is_never_taken_for_an_id() {
        let mut world = World::with_tenants();
        let acme = world.state.find_organization("acme").unwrap().id;
        let simple = acme.0.simple().to_string();
        create(&mut world, &admin(), &simple).unwrap();
        assert_ne!(world.state.find_organization(&simple).unwrap().id, acme);
        for text in [acme.to_string(), acme.to_string().to_uppercase()] {
            assert_eq!(world.state.find_organization(&text).unwrap().id, acme);
        }
        for text in [format!("{{{acme}}}"), format!("urn:uuid:{acme}")] {
            assert!(world.state.find_organization(&text).is_none(), "{text}");
        }
        create_project(&mut world, &admin(), "acme", &simple).unwrap();
        assert!(is_taken(&create_project(&mut world, &admin(), "acme", &simple)));
    }
}
