//! Organizations are suspended, restored and deleted; projects are deleted.

use super::mint::DESCRIPTION;
use super::{Decision, check_revision, find_organization, find_project};
use crate::authority::Caller;
use crate::event::{Event, Subject};
use crate::name::Name;
use crate::rejection::Rejection;
use crate::scope::Scope;
use crate::state::{Organization, Standing, State};
use crate::text;

/// Refuse an organization's tokens until it is restored.
#[derive(Clone, Debug)]
pub struct SuspendOrganization {
    /// Which, by name or id.
    pub organization: String,
    /// Why, in somebody's words.
    pub note: Option<String>,
}

/// Accept a suspended organization's tokens again.
#[derive(Clone, Debug)]
pub struct RestoreOrganization {
    /// Which, by name or id.
    pub organization: String,
    /// Why, in somebody's words.
    pub note: Option<String>,
}

/// End an organization with everything in it.
#[derive(Clone, Debug)]
pub struct DeleteOrganization {
    /// Which, by name or id.
    pub organization: String,
    /// Its name, so that nobody deletes another one by mistake.
    pub confirm: String,
    /// Why, in somebody's words.
    pub note: Option<String>,
}

/// End a project with everything in it.
#[derive(Clone, Debug)]
pub struct DeleteProject {
    /// Its organization, by name or id.
    pub organization: String,
    /// Which, by name or id.
    pub project: String,
    /// Its name, so that nobody deletes another one by mistake.
    pub confirm: String,
    /// Why, in somebody's words.
    pub note: Option<String>,
}

pub(super) fn suspend(
    state: &State,
    caller: &Caller,
    suspend: &SuspendOrganization,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let organization = find_organization(state, caller, &suspend.organization)?;
    // None of its own tokens could take a suspension back, so it is the instance's to bring about as well.
    caller.require(state, "organizations:suspend", Scope::Instance)?;
    check_revision(organization.revision, expected)?;
    let note = read_note(suspend.note.as_deref())?;
    let is_active = organization.standing == Standing::Active;
    Ok(about(organization, is_active.then_some(Event::OrganizationSuspended { note })))
}

pub(super) fn restore(
    state: &State,
    caller: &Caller,
    restore: &RestoreOrganization,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let organization = find_organization(state, caller, &restore.organization)?;
    caller.require(state, "organizations:suspend", Scope::Instance)?;
    check_revision(organization.revision, expected)?;
    let note = read_note(restore.note.as_deref())?;
    let is_suspended = organization.standing != Standing::Active;
    Ok(about(organization, is_suspended.then_some(Event::OrganizationRestored { note })))
}

pub(super) fn delete(
    state: &State,
    caller: &Caller,
    delete: &DeleteOrganization,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let organization = find_organization(state, caller, &delete.organization)?;
    caller.require(state, "organizations:delete", Scope::Organization(organization.id))?;
    check_revision(organization.revision, expected)?;
    require_confirmed(&delete.confirm, &organization.naming.name)?;
    let note = read_note(delete.note.as_deref())?;
    Ok(about(organization, Some(Event::OrganizationDeleted { note })))
}

fn about(organization: &Organization, event: Option<Event>) -> Decision {
    let id = organization.id;
    Decision::new(Some(id), event.into_iter().collect(), Subject::Organization(id))
}

pub(super) fn delete_project(
    state: &State,
    caller: &Caller,
    delete: &DeleteProject,
    expected: Option<u64>,
) -> Result<Decision, Rejection> {
    let project = find_project(state, caller, &delete.organization, &delete.project)?;
    caller.require(state, "projects:delete", Scope::Project(project.organization, project.id))?;
    check_revision(project.revision, expected)?;
    require_confirmed(&delete.confirm, &project.naming.name)?;
    let event = Event::ProjectDeleted { project: project.id, note: read_note(delete.note.as_deref())? };
    Ok(Decision::new(Some(project.organization), vec![event], Subject::Project(project.id)))
}

fn require_confirmed(confirm: &str, name: &Name) -> Result<(), Rejection> {
    if confirm == name.as_str() {
        return Ok(());
    }
    Err(Rejection::invalid("confirm", confirm, format!("`{name}`, the name of what is to be deleted")))
}

fn read_note(note: Option<&str>) -> Result<Option<Box<str>>, Rejection> {
    note.filter(|text| !text.is_empty()).map(|text| text::clean("note", text, DESCRIPTION)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::permissions_at;
    use crate::decide::{Command, CreateOrganization, CreateProject, Request};
    use crate::event::Reason;
    use crate::id::{OrganizationId, ProjectId, TokenId};
    use crate::query::{self, Read};
    use crate::state::Status;
    use crate::testing::{Ask, World, absent, admin, forbidden, invalid, only, repeat, scope_text, types};
    use crate::verify::Code;
    use std::sync::Arc;
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);
    const ACME: Ask<'static> =
        Ask { permission: None, organization: Some("acme"), project: None, address: None };

    fn suspension(organization: &str) -> Command {
        let note = Some("unpaid".to_owned());
        Command::SuspendOrganization(SuspendOrganization { organization: organization.to_owned(), note })
    }

    fn restoration(organization: &str) -> Command {
        let organization = organization.to_owned();
        Command::RestoreOrganization(RestoreOrganization { organization, note: None })
    }

    fn deletion(organization: &str, confirm: &str) -> Command {
        Command::DeleteOrganization(DeleteOrganization {
            organization: organization.to_owned(),
            confirm: confirm.to_owned(),
            note: Some("closed".to_owned()),
        })
    }

    fn project_deletion(organization: &str, project: &str, confirm: &str) -> Command {
        Command::DeleteProject(DeleteProject {
            organization: organization.to_owned(),
            project: project.to_owned(),
            confirm: confirm.to_owned(),
            note: None,
        })
    }

    fn status(world: &World, id: TokenId) -> Status {
        world.state.status(world.token(id), world.at)
    }

    fn reason(world: &World, id: TokenId) -> Reason {
        world.state.revocation(world.token(id)).unwrap().0.reason
    }

    #[test]
    fn a_suspended_organization_s_tokens_are_refused_until_it_is_restored() {
        let mut world = World::with_tenants();
        let of_all = world.mint("instance", &["instance-verifier"]);
        let of_all = world.caller(of_all);
        let ids = ["acme", "acme/web"]
            .map(|scope| world.mint(scope, &[if scope == "acme" { "owner" } else { "project-admin" }]));
        let beside = world.mint("other", &["owner"]);
        assert_eq!(types(&world.admin(suspension("acme"))), ["OrganizationSuspended"]);
        for id in ids {
            assert_eq!(world.verify(&of_all, id, ACME).unwrap().code, Code::OrganizationSuspended);
            assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::OrganizationSuspended);
            assert_eq!(status(&world, id), Status::Live);
        }
        assert!(world.log_in(beside, 0, None).is_ok());
        assert!(world.admin(suspension("acme")).events.is_empty());
        assert_eq!(types(&world.admin(restoration("acme"))), ["OrganizationRestored"]);
        assert!(world.admin(restoration("acme")).events.is_empty());
        assert!(ids.iter().all(|id| world.log_in(*id, 0, None).is_ok()));
    }

    #[test]
    fn only_the_instance_s_administrators_suspend_and_restore() {
        let mut world = World::with_tenants();
        let [owner, stranger, boss] = [("acme", "owner"), ("other", "owner"), ("instance", "instance-admin")]
            .map(|(scope, grant)| {
                let id = world.mint(scope, &[grant]);
                world.caller(id)
            });
        for command in [suspension, restoration] {
            let refused = world.run(&owner, command("acme"));
            assert_eq!(forbidden(refused), "organizations:suspend at the instance");
            assert!(absent(world.run(&stranger, command("acme"))));
            assert!(absent(world.run(&boss, command("never-was"))));
            world.run(&boss, command("acme")).unwrap();
        }
    }

    #[test]
    fn a_deleted_organization_takes_everything_with_it_by_one_line() {
        let mut world = World::with_tenants();
        let owner = world.mint("acme", &["owner"]);
        let caller = world.caller(owner);
        let of_web = world.mint_by(&caller, "acme/web", &["project-reader"], |_| ()).unwrap();
        let narrowed = world.narrow(&caller, None, |_| ()).unwrap();
        let revoked = world.mint("acme", &["member"]);
        world.revoke(&admin(), revoked, false).unwrap();
        world.admin(suspension("acme"));
        world.pass(DAY);
        let deleted = world.admin(deletion("acme", "acme"));
        assert_eq!(types(&deleted), ["OrganizationDeleted"]);
        for id in [owner, of_web, narrowed] {
            assert_eq!(world.log_in(id, 0, None).unwrap_err(), Code::Revoked);
            assert_eq!(
                (status(&world, id), reason(&world, id)),
                (Status::Revoked, Reason::OrganizationDeleted)
            );
            let (revocation, cause) = world.state.revocation(world.token(id)).unwrap();
            assert_eq!((revocation.at, revocation.note.as_deref(), cause), (world.at, Some("closed"), None));
            assert!(world.revoke(&admin(), id, true).unwrap().events.is_empty());
        }
        assert_eq!(reason(&world, revoked), Reason::Requested, "what ended before keeps its reason");
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn an_end_touches_no_token_however_many_end_by_it() {
        let mut world = World::with_tenants();
        let ids: Vec<TokenId> = (0..100).map(|_| world.mint("acme/web", &["project-reader"])).collect();
        let before: Vec<_> = ids.iter().map(|id| Arc::clone(world.token(*id))).collect();
        world.admin(suspension("acme"));
        world.admin(project_deletion("acme", "web", "web"));
        world.admin(deletion("acme", "acme"));
        for (id, before) in ids.iter().zip(&before) {
            assert!(Arc::ptr_eq(world.token(*id), before));
            assert_eq!(status(&world, *id), Status::Revoked);
        }
    }

    #[test]
    fn a_deleted_organization_is_gone_for_every_command_and_read_by_its_id() {
        let mut world = World::with_tenants();
        let token = world.mint("acme", &["member"]);
        let auditor = world.mint("instance", &["instance-auditor"]);
        let auditor = world.caller(auditor);
        let id = world.state.find_organization("acme").unwrap().id.to_string();
        world.admin(deletion(&id, "acme"));
        for text in ["acme", &id] {
            for command in [suspension(text), restoration(text), deletion(text, "acme")] {
                assert!(absent(world.run(&admin(), command)));
            }
            let project = CreateProject {
                id: ProjectId(world.id()),
                organization: text.to_owned(),
                name: "new".to_owned(),
                display_name: None,
            };
            assert!(absent(world.run(&admin(), Command::CreateProject(project))));
            assert!(absent(world.mint_by(&admin(), text, &["member"], |_| ())));
        }
        for read in [Read::Organization, Read::Projects] {
            assert!(absent(query::authorize(&world.state, &auditor, &read("acme".to_owned()))));
            query::authorize(&world.state, &auditor, &read(id.clone())).unwrap();
        }
        query::authorize(&world.state, &auditor, &Read::Tokens(Some(scope_text(&id)))).unwrap();
        query::authorize(&world.state, &auditor, &Read::Token(token)).unwrap();
        assert!(
            query::organizations(&world.state, &auditor, None, 10).iter().all(|o| o.id.to_string() != id)
        );
    }

    #[test]
    fn a_deleted_organization_s_name_stays_reserved_for_90_days() {
        let mut world = World::with_tenants();
        world.admin(deletion("acme", "acme"));
        let take = |world: &mut World| {
            let id = OrganizationId(world.id());
            let create = CreateOrganization { id, name: "acme".to_owned(), display_name: None };
            world.run(&admin(), Command::CreateOrganization(create))
        };
        world.pass_almost(90 * DAY);
        assert!(matches!(take(&mut world), Err(Rejection::NameTaken { .. })));
        world.pass(Duration::from_micros(1));
        take(&mut world).unwrap();
    }

    #[test]
    fn a_deletion_is_confirmed_by_the_name_and_made_by_who_may() {
        let mut world = World::with_tenants();
        let [boss, owner, of_web, stranger] =
            [("acme", "admin"), ("acme", "owner"), ("acme/web", "project-admin"), ("other", "owner")].map(
                |(scope, grant)| {
                    let id = world.mint(scope, &[grant]);
                    world.caller(id)
                },
            );
        let refused = world.run(&boss, deletion("acme", "acme"));
        assert_eq!(forbidden(refused), "organizations:delete at organization acme");
        assert!(absent(world.run(&stranger, deletion("acme", "acme"))));
        assert!(absent(world.run(&stranger, project_deletion("acme", "web", "web"))));
        assert!(absent(world.run(&of_web, project_deletion("acme", "api", "api"))));
        let id = world.state.find_organization("acme").unwrap().id.to_string();
        for wrong in ["", "Acme", "other", &id] {
            assert_eq!(invalid(world.run(&owner, deletion(&id, wrong))), "confirm");
            assert_eq!(invalid(world.run(&owner, project_deletion("acme", "web", wrong))), "confirm");
        }
        world.run(&of_web, project_deletion("acme", "web", "web")).unwrap();
        world.run(&boss, project_deletion("acme", "api", "api")).unwrap();
        world.run(&owner, deletion("acme", "acme")).unwrap();
    }

    #[test]
    fn a_deleted_project_takes_its_tokens_and_the_grants_at_it() {
        let mut world = World::with_tenants();
        let of_web = world.mint("acme/web", &["project-admin"]);
        let wide = world.mint("acme", &["project-admin@web", "project-reader@api", "verifier"]);
        let web = world.scope("acme/web");
        world.admin(project_deletion("acme", "web", "web"));
        assert_eq!(world.log_in(of_web, 0, None).unwrap_err(), Code::Revoked);
        assert_eq!(
            (status(&world, of_web), reason(&world, of_web)),
            (Status::Revoked, Reason::ProjectDeleted)
        );
        let caller = world.log_in(wide, 0, None).unwrap();
        assert!(permissions_at(&world.state, world.token(wide), web).patterns().len() == 1, "the verifier's");
        assert!(!caller.may_somewhere(&world.state, "tokens:read", world.scope("acme")));
        assert!(caller.may(&world.state, "projects:read", world.scope("acme/api")));
        // What it no longer holds it cannot hand on, and nobody is given a grant at what is gone.
        for grant in ["project-reader@web", &format!("project-reader@{}", web.project().unwrap())] {
            assert_eq!(invalid(world.mint_by(&admin(), "acme", &[grant], |_| ())), "grants");
        }
        assert!(absent(world.mint_by(&admin(), "acme/web", &["project-reader"], |_| ())));
        // The name is free at once, and what has it next has nothing of the one before.
        world.project("acme", "web");
        assert!(
            !world
                .token(wide)
                .grants
                .iter()
                .any(|grant| grant.place(world.scope("acme")) == world.scope("acme/web"))
        );
        assert_eq!(world.log_in(of_web, 0, None).unwrap_err(), Code::Revoked);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn a_deleted_project_is_read_by_its_id() {
        let mut world = World::with_tenants();
        let auditor = world.mint("acme", &["auditor"]);
        let auditor = world.caller(auditor);
        let id = world.scope("acme/web").project().unwrap().to_string();
        world.admin(project_deletion("acme", &id, "web"));
        for text in ["web", &id] {
            assert!(absent(world.run(&admin(), project_deletion("acme", text, "web"))));
        }
        let read = |text: &str| Read::Project("acme".to_owned(), text.to_owned());
        assert!(absent(query::authorize(&world.state, &auditor, &read("web"))));
        query::authorize(&world.state, &auditor, &read(&id)).unwrap();
        let of_project = scope_text(&format!("acme/{id}"));
        query::authorize(&world.state, &auditor, &Read::Tokens(Some(of_project))).unwrap();
    }

    #[test]
    fn of_two_ends_the_first_is_the_cause() {
        let mut world = World::with_tenants();
        let holder = world.mint("instance", &["instance-admin"]);
        let caller = world.caller(holder);
        let narrowed = world.narrow(&caller, None, |_| ()).unwrap();
        let caller = world.caller(narrowed);
        let child = world.mint_by(&caller, "acme/web", &["project-reader"], |_| ()).unwrap();
        world.admin(project_deletion("acme", "web", "web"));
        world.pass(DAY);
        world.admin(deletion("acme", "acme"));
        world.pass(DAY);
        world.revoke(&admin(), holder, false).unwrap();
        assert_eq!(reason(&world, child), Reason::ProjectDeleted);
        assert_eq!(reason(&world, narrowed), Reason::Requested);
    }

    #[test]
    fn an_end_is_done_once_and_taken_back_whole() {
        let mut world = World::with_tenants();
        let id = world.mint("acme/web", &["project-reader"]);
        let commands: [fn() -> Command; 4] = [
            || suspension("acme"),
            || restoration("acme"),
            || project_deletion("acme", "web", "web"),
            || deletion("acme", "acme"),
        ];
        for command in commands {
            let request = || Request {
                command: command(),
                expected_revision: None,
                repeat: Some(repeat("route", &format!("{:?}", command()), "")),
            };
            world.tentatively(|world| world.request(&admin(), &request()).map(drop)).unwrap();
            assert_eq!(world.state.difference(&world.folded()), None);
            let first = world.request(&admin(), &request()).unwrap();
            only(&first);
            let again = world.request(&admin(), &request()).unwrap();
            assert!(again.repeated && again.events.is_empty() && again.subject == first.subject);
        }
        assert_eq!(reason(&world, id), Reason::ProjectDeleted);
    }

    #[test]
    fn a_project_s_deletion_is_answered_again_to_who_held_nothing_else() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["project-admin@web"]);
        let request = || Request {
            command: project_deletion("acme", "web", "web"),
            expected_revision: None,
            repeat: Some(repeat("route", "k", "")),
        };
        let caller = world.caller(id);
        world.request(&caller, &request()).unwrap();
        assert!(world.request(&caller, &request()).unwrap().repeated);
    }

    #[test]
    fn an_end_is_made_only_to_what_its_maker_has_seen() {
        let mut world = World::with_tenants();
        let seen = world.state.find_organization("acme").unwrap().revision;
        world.admin(suspension("acme"));
        for command in [suspension("acme"), restoration("acme"), deletion("acme", "acme")] {
            let request = Request { command, expected_revision: Some(seen), repeat: None };
            let refused = world.request(&admin(), &request).unwrap_err();
            assert!(matches!(refused, Rejection::PreconditionFailed { .. }), "{refused}");
        }
    }

    #[test]
    fn a_log_on_which_an_end_cannot_follow_stops() {
        let mut world = World::with_tenants();
        world.admin(suspension("acme"));
        let last = world.lines.last().unwrap().clone();
        let n = world.state.next_ordinal(world.scope("acme").organization());
        let next = last.replace(&format!(r#""n":{}"#, n - 1), &format!(r#""n":{n}"#));
        let refused = world.folded().apply(&crate::line::Line::read(&next).unwrap()).unwrap_err();
        assert!(refused.to_string().contains("twice"), "{refused}");
        let restored = next.replace("OrganizationSuspended", "OrganizationRestored");
        world.folded().apply(&crate::line::Line::read(&restored).unwrap()).unwrap();
    }
}
