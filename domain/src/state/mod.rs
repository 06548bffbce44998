//! The lifecycle state: organizations, projects, roles and tokens, as a fold of the log.
//!
//! [`State::apply`] is the only way in. Between [`State::begin`] and [`State::roll_back`] it keeps a journal of what
//! it replaced, so that several commands can be decided one upon the other and then be taken back before anyone
//! reads them: the state that others see changes only when the commit has happened.

mod apply;
mod ending;
mod ends;
mod import;
mod leak;
mod lineage;
mod live_tokens;
mod people;
mod role;
mod snapshot;
mod token;
mod tokens;

pub use apply::Corrupt;
pub use ends::{Standing, Suspension};
pub use import::{Imported, Imports};
pub use leak::{Leak, Leaks};
pub use live_tokens::Full;
pub use people::{Invitation, InvitationEnd, InvitationStatus, Inviter, Member, People, User};
pub use role::Role;
#[cfg(test)]
pub(crate) use snapshot::tests::restored;
pub use snapshot::{Comparison, FOLD, TokenFrame, TokenReader, Unpacking};
pub use token::{OldSecret, Revocation, Shown, Status, Token};
pub use tokens::Tokens;

use crate::event::{InstancePolicy, LogPlace, Naming, Subject};
use crate::id::{OrganizationId, ProjectId, TokenId};
use crate::name::Name;
use crate::policy::OrganizationPolicy;
use crate::scope::Scope;
use crate::time::Timestamp;
use live_tokens::{Counts, End, Room};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long a repeated request is recognised.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_hours(24);
/// How long a freed organization name stays reserved.
pub const NAME_RESERVATION: Duration = Duration::from_hours(2160);

/// The instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The log's name.
    pub origin: Box<str>,
    /// The public key that signs checkpoints.
    pub log_key: Box<str>,
    /// The one that signs beside it, and until just before when.
    pub log_key_before: Option<(Box<str>, Timestamp)>,
    /// Its policy.
    pub policy: InstancePolicy,
    /// When it began.
    pub started_at: Timestamp,
    /// The version after the event that last changed it.
    pub revision: u64,
    /// What was given up when an operator last accepted another database.
    pub resumed: Option<LogPlace>,
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name and display name.
    pub naming: Naming,
    /// When it began.
    pub created_at: Timestamp,
    /// Whether its tokens are in force.
    pub standing: Standing,
    /// When it was last restored: nobody could use its tokens until then.
    pub restored_at: Option<Timestamp>,
    /// What its tokens may be at most.
    pub policy: OrganizationPolicy,
    /// The version after the event that last changed it.
    pub revision: u64,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its name and display name.
    pub naming: Naming,
    /// When it began.
    pub created_at: Timestamp,
    /// Its end, and that of all its tokens.
    pub deletion: Option<Arc<Revocation>>,
    /// The version after the event that last changed it.
    pub revision: u64,
}

/// Who has an organization's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameHolder {
    /// The organization.
    pub organization: OrganizationId,
    /// When it gave the name up, if it did.
    pub freed_at: Option<Timestamp>,
}

/// What a request that may be repeated did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Fingerprint of its body.
    pub body: Box<str>,
    /// When it was decided.
    pub at: Timestamp,
    /// What it made or changed.
    pub subject: Subject,
}

/// The fold of the log's lifecycle lines.
#[derive(Default)]
pub struct State {
    counters: Counters,
    instance: Option<Arc<Instance>>,
    ordinals: HashMap<Option<OrganizationId>, u64>,
    roles: role::Roles,
    organizations: HashMap<OrganizationId, Arc<Organization>>,
    organization_names: BTreeMap<Name, NameHolder>,
    projects: HashMap<ProjectId, Arc<Project>>,
    project_names: BTreeMap<(OrganizationId, Name), ProjectId>,
    tokens: Tokens,
    /// Of the organizations whose policy limits them, or once did, and of no others.
    live_tokens: HashMap<OrganizationId, Counts>,
    imports: Imports,
    leaks: Leaks,
    people: People,
    /// Revocations that are not marked on all of their tokens yet, in their order.
    endings: Vec<ending::Ending>,
    replies: HashMap<Box<str>, Reply>,
    journal: Option<Journal>,
}

/// A copy shares what its tokens are with the original, until either changes one. What may still be taken back from the
/// original is part of the copy.
impl Clone for State {
    fn clone(&self) -> Self {
        Self {
            counters: self.counters,
            instance: self.instance.clone(),
            ordinals: self.ordinals.clone(),
            roles: self.roles.clone(),
            organizations: self.organizations.clone(),
            organization_names: self.organization_names.clone(),
            projects: self.projects.clone(),
            project_names: self.project_names.clone(),
            tokens: self.tokens.clone(),
            live_tokens: self.live_tokens.clone(),
            imports: self.imports.clone(),
            leaks: self.leaks.clone(),
            people: self.people.clone(),
            endings: self.endings.clone(),
            replies: self.replies.clone(),
            journal: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    version: u64,
    last_at: Timestamp,
}

struct Journal {
    counters: Counters,
    undo: Vec<Undo>,
}

/// What stood in a table before: none where nothing did.
enum Undo {
    Instance(Option<Arc<Instance>>),
    Ordinal(Option<OrganizationId>, Option<u64>),
    Role(role::RoleUndo),
    Organization(OrganizationId, Option<Arc<Organization>>),
    OrganizationName(Name, Option<NameHolder>),
    Project(ProjectId, Option<Arc<Project>>),
    ProjectName((OrganizationId, Name), Option<ProjectId>),
    Token(tokens::TokenUndo),
    LiveTokens(OrganizationId, Option<Counts>),
    /// A token was counted as living, or no longer.
    Counted {
        life: (Room, End),
        lives: bool,
    },
    Import(TokenId),
    Leak(u64),
    People(people::PeopleUndo),
    /// An ending began; it is the last.
    Ending,
    Reply(Box<str>, Option<Reply>),
}

impl State {
    /// The number of lifecycle events folded.
    pub fn version(&self) -> u64 {
        self.counters.version
    }

    /// The time of the last lifecycle event.
    pub fn last_at(&self) -> Timestamp {
        self.counters.last_at
    }

    /// The instance, once the authority has started.
    pub fn instance(&self) -> Option<&Arc<Instance>> {
        self.instance.as_ref()
    }

    /// The ordinal that the next lifecycle event of an organization, or of the instance, will carry.
    pub fn next_ordinal(&self, organization: Option<OrganizationId>) -> u64 {
        self.ordinals.get(&organization).copied().unwrap_or(0) + 1
    }

    /// An organization by id.
    pub fn organization(&self, id: OrganizationId) -> Option<&Arc<Organization>> {
        self.organizations.get(&id)
    }

    /// An organization by name or id. What is deleted is only found by [`State::find_organization_ever`].
    pub fn find_organization(&self, text: &str) -> Option<&Arc<Organization>> {
        self.find_organization_ever(text).filter(|found| found.deletion().is_none())
    }

    /// An organization by name or id, a deleted one by its id.
    pub fn find_organization_ever(&self, text: &str) -> Option<&Arc<Organization>> {
        let by_name = || {
            let holder = self.organization_names.get(text)?;
            holder.freed_at.is_none().then_some(holder.organization)
        };
        self.organizations.get(&text.parse().ok().or_else(by_name)?)
    }

    /// Who has, or had, an organization's name.
    pub fn organization_name(&self, name: &Name) -> Option<NameHolder> {
        self.organization_names.get(name).copied()
    }

    /// Organizations in the order of their names, after `after`.
    pub fn organizations_after<'a>(
        &'a self,
        after: Option<&Name>,
    ) -> impl Iterator<Item = &'a Arc<Organization>> + use<'a> {
        let from = after.map_or(std::ops::Bound::Unbounded, |name| std::ops::Bound::Excluded(name.clone()));
        self.organization_names
            .range((from, std::ops::Bound::Unbounded))
            .filter(|(_, holder)| holder.freed_at.is_none())
            .filter_map(|(_, holder)| self.organizations.get(&holder.organization))
    }

    /// A project by id.
    pub fn project(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(&id)
    }

    /// A project of an organization by name or id. What is deleted is only found by [`State::find_project_ever`].
    pub fn find_project(&self, organization: OrganizationId, text: &str) -> Option<&Arc<Project>> {
        self.find_project_ever(organization, text).filter(|found| found.deletion.is_none())
    }

    /// A project of an organization by name or id, a deleted one by its id.
    pub fn find_project_ever(&self, organization: OrganizationId, text: &str) -> Option<&Arc<Project>> {
        let id = match text.parse() {
            Ok(id) => id,
            Err(_) => *self.project_names.get(&(organization, Name::label(text)?))?,
        };
        self.projects.get(&id).filter(|project| project.organization == organization)
    }

    /// Projects of an organization in the order of their names, after `after`.
    pub fn projects_after<'a>(
        &'a self,
        organization: OrganizationId,
        after: Option<&Name>,
    ) -> impl Iterator<Item = &'a Arc<Project>> + use<'a> {
        let from = after.map_or_else(
            || std::ops::Bound::Included((organization, Name::before_all())),
            |name| std::ops::Bound::Excluded((organization, name.clone())),
        );
        self.project_names
            .range((from, std::ops::Bound::Unbounded))
            .take_while(move |((of, _), _)| *of == organization)
            .filter_map(|(_, id)| self.projects.get(id))
    }

    /// Every token ever minted, and the ways to find one.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Where imported tokens come from.
    pub fn imports(&self) -> &Imports {
        &self.imports
    }

    /// Every report of a leaked secret.
    pub fn leaks(&self) -> &Leaks {
        &self.leaks
    }

    /// Users, members and invitations.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// What a request with this idempotency key did, if that was within 24 hours before `at`.
    pub fn reply(&self, key: &str, at: Timestamp) -> Option<&Reply> {
        self.replies.get(key).filter(|reply| at.since(reply.at) < IDEMPOTENCY_WINDOW)
    }

    /// Drops the memory of requests that are too old to be recognised at `at`, and of when tokens ended until then.
    pub fn forget(&mut self, at: Timestamp) {
        debug_assert!(self.journal.is_none(), "forgetting is never taken back");
        self.replies.retain(|_, reply| at.since(reply.at) < IDEMPOTENCY_WINDOW);
        self.live_tokens.values_mut().for_each(|live| live.forget(at));
    }

    /// How people call a scope: `instance`, `organization acme`, `project web of acme`.
    pub fn describe(&self, scope: Scope) -> String {
        let organization_name = |id: OrganizationId| {
            self.organization(id).map_or_else(|| id.to_string(), |o| o.naming.name.to_string())
        };
        match scope {
            Scope::Instance => "the instance".to_owned(),
            Scope::Organization(id) => format!("organization {}", organization_name(id)),
            Scope::Project(organization, id) => {
                let name = self.project(id).map_or_else(|| id.to_string(), |p| p.naming.name.to_string());
                format!("project {name} of {}", organization_name(organization))
            }
        }
    }

    /// Starts the journal: what is applied from here on can be taken back. What was applied before stays.
    pub fn begin(&mut self) {
        self.journal = Some(Journal { counters: self.counters, undo: Vec::new() });
    }

    /// Takes back everything that was applied since [`State::begin`].
    pub fn roll_back(&mut self) {
        let Some(journal) = self.journal.take() else { return };
        for undo in journal.undo.into_iter().rev() {
            match undo {
                Undo::Instance(before) => self.instance = before,
                Undo::Ordinal(key, before) => restore(&mut self.ordinals, key, before),
                Undo::Role(undo) => self.roles.undo(undo),
                Undo::Organization(key, before) => restore(&mut self.organizations, key, before),
                Undo::OrganizationName(key, before) => {
                    restore_ordered(&mut self.organization_names, key, before);
                }
                Undo::Project(key, before) => restore(&mut self.projects, key, before),
                Undo::ProjectName(key, before) => restore_ordered(&mut self.project_names, key, before),
                Undo::Token(undo) => self.tokens.undo(undo),
                Undo::LiveTokens(key, before) => restore(&mut self.live_tokens, key, before),
                Undo::Counted { life, lives } => self.count(life, !lives),
                Undo::Import(token) => self.imports.remove(token),
                Undo::Leak(number) => self.leaks.remove(number),
                Undo::People(undo) => self.people.undo(undo),
                Undo::Ending => drop(self.endings.pop()),
                Undo::Reply(key, before) => restore(&mut self.replies, key, before),
            }
        }
        self.counters = journal.counters;
    }

    /// Where two states differ, none when they are the same in everything that can be asked of them.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let settled: [tokens::Settle<'_>; 2] = [&|token| self.settled(token), &|token| other.settled(token)];
        let is_settled = !self.is_marking() && !other.is_marking();
        let counts = || (!self.counts_like(other)).then(|| "live tokens".to_owned());
        self.tables_difference(other)
            .or_else(counts)
            .or_else(|| self.tokens.difference(&other.tokens, settled, is_settled))
    }

    /// Where two states differ in something other than their tokens.
    fn tables_difference(&self, other: &Self) -> Option<String> {
        let mut checks: Vec<(&str, bool)> = vec![
            ("counters", self.counters == other.counters),
            ("instance", self.instance == other.instance),
            ("ordinals", self.ordinals == other.ordinals),
            ("roles", self.roles == other.roles),
            ("organizations", self.organizations == other.organizations),
            ("organization names", self.organization_names == other.organization_names),
            ("projects", self.projects == other.projects),
            ("project names", self.project_names == other.project_names),
            ("imports", self.imports == other.imports),
            ("leaks", self.leaks == other.leaks),
            ("people", self.people == other.people),
        ];
        let remembered = |state: &Self, than: &Self| {
            state.replies.iter().all(|(key, reply)| {
                than.counters.last_at.since(reply.at) >= IDEMPOTENCY_WINDOW
                    || than.replies.get(key) == Some(reply)
            })
        };
        checks.push(("replies", remembered(self, other) && remembered(other, self)));
        checks.into_iter().find(|(_, same)| !same).map(|(what, _)| what.to_owned())
    }

    /// The chain of tokens whose every link bounds what `token` may do: itself, then what it was narrowed from, and
    /// so on up to the first that was minted.
    pub fn chain<'a>(&'a self, token: &'a Arc<Token>) -> impl Iterator<Item = &'a Arc<Token>> {
        std::iter::successors(Some(token), |link| {
            link.parent.filter(|_| link.narrowed).and_then(|parent: TokenId| self.tokens.get(parent))
        })
    }
}

fn restore<K: std::hash::Hash + Eq, V>(table: &mut HashMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

fn restore_ordered<K: Ord, V>(table: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => table.insert(key, value),
        None => table.remove(&key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Caller;
    use crate::decide::{
        ChangeOrganizationPolicy, Command, Expiry, NamingChange, PolicyChange, RenameOrganization,
        RenameProject, Update,
    };
    use crate::testing::{World, admin, texts};

    const DAY: Duration = Duration::from_hours(24);

    fn rename(name: &str, to: &str) -> Command {
        let change = NamingChange { name: Some(to.to_owned()), display_name: None };
        Command::RenameOrganization(RenameOrganization { organization: name.to_owned(), change })
    }

    /// Runs `change` in a journal and takes it back: the state has to be the one that its lines fold to.
    fn tentatively(world: &mut World, change: impl FnOnce(&mut World)) {
        let kept = world.lines.len();
        world.state.begin();
        change(world);
        assert!(world.lines.len() > kept, "something has to be taken back");
        world.state.roll_back();
        world.lines.truncate(kept);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    fn named(world: &mut World, name: &str, expiry: Expiry) -> TokenId {
        let name = name.to_owned();
        world
            .mint_by(&admin(), "acme", &["admin"], |p| {
                p.name = name;
                p.expiry = expiry;
            })
            .unwrap()
    }

    fn call(name: &str) -> impl FnOnce(&mut Update) + use<> {
        let name = name.to_owned();
        |update| update.name = Some(name)
    }

    #[test]
    fn a_roll_back_gives_names_back_to_who_held_them() {
        let mut world = World::with_tenants();
        let short = named(&mut world, "a", Expiry::In(DAY));
        let long = named(&mut world, "b", Expiry::Never);
        world.pass(DAY);
        let holder = |world: &World, name| {
            world.state.tokens().by_name(world.scope("acme"), name).map(|token| token.id)
        };
        tentatively(&mut world, |world| {
            // The expired holder is replaced, the new one goes on to another name, which is then freed and retaken.
            let new = named(world, "a", Expiry::Never);
            world.update(&admin(), new, call("c")).unwrap();
            world.update(&admin(), long, call("a")).unwrap();
            named(world, "b", Expiry::Never);
            world.revoke(&admin(), new, false).unwrap();
            assert!(world.state.tokens().by_name(world.scope("acme"), "c").is_none());
            named(world, "c", Expiry::Never);
            world.revoke(&admin(), long, false).unwrap();
            world.revoke(&admin(), short, false).unwrap();
        });
        assert_eq!((holder(&world, "a"), holder(&world, "b")), (Some(short), Some(long)));
        assert_eq!(holder(&world, "c"), None);
    }

    #[test]
    fn a_roll_back_takes_back_every_kind_of_event() {
        let mut world = World::with_tenants();
        let root = world.mint("acme", &["admin"]);
        let caller = world.caller(root);
        let child = world.narrow(&caller, None, |_| ()).unwrap();
        tentatively(&mut world, |world| {
            world.organization("third");
            world.project("third", "web");
            world.admin(rename("acme", "beta"));
            world.admin(rename("beta", "acme"));
            world.admin(rename("other", "gamma"));
            for max_live_tokens in [1_000, 0, 2_000] {
                let change =
                    PolicyChange { max_live_tokens: Some(max_live_tokens), ..PolicyChange::default() };
                let organization = "acme".to_owned();
                let change = ChangeOrganizationPolicy { organization, change, dry_run: false };
                world.admin(Command::ChangeOrganizationPolicy(change));
            }
            let change = NamingChange { name: Some("site".to_owned()), display_name: Some("S".to_owned()) };
            let (organization, project) = ("acme".to_owned(), "web".to_owned());
            world.admin(Command::RenameProject(RenameProject { organization, project, change }));
            world.admin(Command::ChangePolicy(crate::decide::ChangePolicy {
                record_within_ms: Some(9),
                ..Default::default()
            }));
            let caller = world.caller(root);
            world.mint_by(&caller, "acme/api", &["project-reader"], |_| ()).unwrap();
            for id in [root, child, child] {
                world.rotate(&admin(), id, DAY).unwrap();
            }
            world.update(&admin(), child, |u| u.grants = Some(texts(&["member"]))).unwrap();
            world.update(&admin(), child, |u| u.expiry = Some(Expiry::In(DAY))).unwrap();
            world.revoke(&admin(), root, true).unwrap();
        });
        assert_eq!(world.secrets(child), 3);
        assert!(
            world.state.tokens().by_secret(&crate::secret::SecretHash::of(world.secret(child, 2))).is_none()
        );
        assert!(world.log_in(child, 0, None).is_ok());
    }

    #[test]
    fn a_roll_back_forgets_requests() {
        let mut world = World::with_tenants();
        let request = |name: &str| crate::decide::Request {
            command: rename("acme", name),
            expected_revision: None,
            repeat: Some(crate::testing::repeat("PATCH /v1/organizations/acme", "k", "")),
        };
        tentatively(&mut world, |world| {
            assert!(!world.request(&admin(), &request("beta")).unwrap().repeated);
            assert!(world.request(&admin(), &request("beta")).unwrap().repeated);
        });
        assert!(!world.request(&admin(), &request("beta")).unwrap().repeated);
        assert!(world.request(&admin(), &request("beta")).unwrap().repeated);
        assert_eq!(world.state.difference(&world.folded()), None);
    }

    #[test]
    fn a_second_journal_takes_back_only_its_own() {
        let mut world = World::with_tenants();
        world.state.begin();
        world.mint("acme", &["member"]);
        tentatively(&mut world, |world| {
            world.mint("acme", &["member"]);
        });
    }

    #[test]
    fn a_state_differs_from_one_with_another_past() {
        let (one, mut other) = (World::with_tenants(), World::with_tenants());
        assert_eq!(one.state.difference(&other.state), None);
        let id = other.mint("acme", &["member"]);
        assert!(one.state.difference(&other.state).is_some());
        let before = other.folded();
        other.update(&admin(), id, call("x")).unwrap();
        assert!(other.state.difference(&before).is_some());
    }

    #[test]
    fn a_log_that_does_not_fold_stops() {
        let mut world = World::with_tenants();
        let id = world.mint("acme", &["member"]);
        let last = world.lines.last().unwrap().clone();
        let owner = world.token(id).scope.organization().unwrap().to_string();
        let stranger = "019ab7a4-0000-7000-8000-ffffffffffff";
        let next = last.replace(r#""n":4"#, r#""n":5"#).replace(&id.to_string(), stranger);
        let with_parent = |parent: &str| format!(r#"{},"parent":"{parent}"}}"#, &next[..next.len() - 1]);
        let secret = world.token(id).hash;
        let fresh = next.replace(&format!("{secret:?}"), &"a".repeat(64));
        for (bad, why) in [
            (last.clone(), "ordinal"),
            (next.replace(r#""n":5"#, r#""n":6"#), "ordinal"),
            (next.replace("2026-11-22", "2026-11-21"), "follows one of"),
            (next.clone(), "minted twice"),
            (with_parent(stranger), "which no event before it made"),
            (fresh.replace(&owner, stranger).replace(r#""n":5"#, r#""n":1"#), "the organization"),
            (fresh.replace(r#""name""#, &format!(r#""project":"{stranger}","name""#)), "the project"),
        ] {
            let mut state = world.folded();
            let refused = state.apply(&crate::line::Line::read(&bad).unwrap()).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        world.folded().apply(&crate::line::Line::read(&fresh).unwrap()).unwrap();
        let mut started_twice = world.folded();
        let again = world.lines[0].replace(r#""n":1"#, &format!(r#""n":{}"#, world.state.next_ordinal(None)));
        assert!(started_twice.apply(&crate::line::Line::read(&again).unwrap()).is_err());
    }

    #[test]
    fn who_calls_is_described_by_names() {
        let mut world = World::with_tenants();
        let places = ["instance", "acme", "acme/web"].map(|text| world.state.describe(world.scope(text)));
        assert_eq!(places, ["the instance", "organization acme", "project web of acme"]);
        world.admin(rename("acme", "beta"));
        assert_eq!(world.state.describe(world.scope("beta/web")), "project web of beta");
        assert!(Caller::system("x").may_know(Scope::Instance));
    }
}
