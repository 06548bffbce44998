//! Who may do what, where, until when and from where: a naive model, and random histories that are held against it.
//!
//! The model is written from the design and not from the code: it reads the JSON of the lines, keeps everything as
//! text, compares times as text, and answers by trying everything. It is slow, and has no cleverness to be wrong in.

mod roles;

use crate::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An organization and a project in it; none and none is the instance.
type Place<'a> = (Option<&'a str>, Option<&'a str>);

/// What the lines say about one token.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    name: String,
    org: Option<String>,
    project: Option<String>,
    grants: Vec<String>,
    parent: Option<String>,
    narrowed: bool,
    start: String,
    end: Option<String>,
    networks: Vec<String>,
    secrets: Vec<Text>,
    revoked: bool,
}

/// One of its secrets.
#[derive(Clone, Debug, PartialEq)]
struct Text {
    hash: String,
    since: String,
    /// None is the present one. An empty time is long past.
    end: Option<String>,
}

#[derive(Clone, Default)]
struct Model {
    /// The settings of organizations' policies, by their names.
    policies: BTreeMap<String, BTreeMap<String, Value>>,
    /// By whose own they are (none is the instance's) and by name.
    roles: BTreeMap<(Option<String>, String), Vec<String>>,
    projects: BTreeMap<String, String>,
    tokens: BTreeMap<String, Held>,
    /// Organizations.
    suspended: BTreeSet<String>,
    /// Organizations and projects.
    deleted: BTreeSet<String>,
}

/// One question, all in ids.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    permission: &'a str,
    org: &'a str,
    project: Option<&'a str>,
    at: &'a str,
    address: Option<&'a str>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn maybe(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn contains((org, project): Place<'_>, inner: Place<'_>) -> bool {
    org.is_none() || (org == inner.0 && (project.is_none() || project == inner.1))
}

/// Whether an IPv4 address lies in a network, bit by bit.
fn in_network(address: &str, network: &str) -> bool {
    let bits = |text: &str| {
        text.split('.').fold(String::new(), |all, byte| all + &format!("{:08b}", byte.parse::<u8>().unwrap()))
    };
    let (base, length) = network.split_once('/').unwrap();
    bits(base)[..length.parse().unwrap()] == bits(address)[..length.parse().unwrap()]
}

fn stands_for(pattern: &str, permission: &str) -> bool {
    let noun = permission.split(':').next().unwrap();
    pattern == "*" || pattern == permission || pattern == format!("{noun}:*")
}

impl Model {
    fn fold(&mut self, line: &str) {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = text(&line["token"]);
        match line["type"].as_str().unwrap() {
            "RoleDefined" => drop(self.roles.insert(role_of(&line), texts(&line["permissions"]))),
            "RoleChanged" => drop(self.roles.insert(role_of(&line), texts(&line["after"]))),
            "RoleRetired" => self.retire(&line),
            "ProjectCreated" => drop(self.projects.insert(text(&line["project"]), text(&line["org"]))),
            "OrganizationSuspended" => assert!(self.suspended.insert(text(&line["org"]))),
            "OrganizationRestored" => assert!(self.suspended.remove(&text(&line["org"]))),
            "OrganizationDeleted" => assert!(self.deleted.insert(text(&line["org"]))),
            "ProjectDeleted" => assert!(self.deleted.insert(text(&line["project"]))),
            "TokenMinted" => drop(self.tokens.insert(id, minted(&line))),
            "TokenDescribed" => self.of(&id).name = text(&line["after"]["name"]),
            "TokenGrantsChanged" => self.of(&id).grants = texts(&line["after"]),
            "TokenExpiryChanged" => self.of(&id).end = maybe(&line["after"]),
            "TokenRotated" => {
                let secrets = &mut self.of(&id).secrets;
                for old in secrets.iter_mut() {
                    let overlap =
                        if old.end.is_none() { text(&line["overlap_until"]) } else { String::new() };
                    old.end = Some(overlap);
                }
                secrets.push(made(&line));
            }
            "OrganizationPolicyChanged" => {
                let settings = line["after"].as_object().unwrap().clone();
                self.policies.entry(text(&line["org"])).or_default().extend(settings);
            }
            "TokenRevoked" => self.revoke(&id, line["cascade"] == true),
            _ => {}
        }
    }

    fn of(&mut self, id: &str) -> &mut Held {
        self.tokens.get_mut(id).unwrap()
    }

    fn revoke(&mut self, id: &str, cascade: bool) {
        self.of(id).revoked = true;
        let children = self.tokens.iter().filter(|(_, held)| held.parent.as_deref() == Some(id));
        let children: Vec<String> = children.map(|(id, _)| id.clone()).filter(|_| cascade).collect();
        for child in children {
            self.revoke(&child, true);
        }
    }

    fn retire(&mut self, line: &Value) {
        let (org, role) = role_of(line);
        self.roles.remove(&(org.clone(), role.clone()));
        let Some(replacement) = maybe(&line["replacement"]) else { return };
        let at = text(&line["at"]);
        let live: Vec<String> = self.tokens.keys().filter(|id| self.is_live(id, &at)).cloned().collect();
        for id in live {
            let held = self.of(&id);
            if org.is_some() && held.org != org {
                continue;
            }
            for grant in &mut held.grants {
                let (name, rest) = grant.split_at(grant.find('@').unwrap_or(grant.len()));
                if name == role {
                    *grant = format!("{replacement}{rest}");
                }
            }
        }
    }

    /// What the role of a grant may do in an organization, or on the instance.
    fn permissions(&self, org: Option<&str>, role: &str) -> &[String] {
        let own = self.roles.get(&(org.map(str::to_owned), role.to_owned()));
        own.or_else(|| self.roles.get(&(None, role.to_owned()))).map_or(&[], Vec::as_slice)
    }

    /// The token, and all that it was narrowed from.
    fn chain(&self, id: &str) -> Vec<&Held> {
        let held = &self.tokens[id];
        let mut chain = vec![held];
        if held.narrowed {
            chain.extend(self.chain(held.parent.as_ref().unwrap()));
        }
        chain
    }

    fn is_revoked(&self, id: &str) -> bool {
        let held = &self.tokens[id];
        let mut places = held.org.iter().chain(&held.project);
        places.any(|place| self.deleted.contains(place)) || self.chain(id).iter().any(|link| link.revoked)
    }

    fn is_live(&self, id: &str, at: &str) -> bool {
        !self.is_revoked(id)
            && self.chain(id).iter().all(|link| link.end.as_deref().is_none_or(|end| at < end))
    }

    fn holds(&self, id: &str, permission: &str, place: Place<'_>) -> bool {
        self.chain(id).iter().all(|link| {
            link.grants.iter().any(|grant| {
                let (role, project) = grant.split_once('@').map_or((&**grant, None), |(r, p)| (r, Some(p)));
                contains((link.org.as_deref(), project.or(link.project.as_deref())), place)
                    && project.is_none_or(|project| !self.deleted.contains(project))
                    && self
                        .permissions(link.org.as_deref(), role)
                        .iter()
                        .any(|pattern| stands_for(pattern, permission))
            })
        })
    }

    /// What an organization's policy says of a setting.
    fn setting(&self, held: &Held, name: &str) -> &Value {
        let policy = held.org.as_ref().and_then(|org| self.policies.get(org));
        policy.and_then(|settings| settings.get(name)).unwrap_or(&Value::Null)
    }

    fn is_overdue(&self, held: &Held, since: &str, at: &str) -> bool {
        let days = self.setting(held, "rotation_due_days").as_u64().unwrap_or_default();
        let due = Timestamp::parse(since).unwrap().after(Duration::from_hours(24 * days)).to_string();
        days > 0 && *self.setting(held, "rotation_enforced") == true && at >= &*due
    }

    /// The part of the order of refusals that does not depend on the question; none is in force.
    fn refusal(&self, id: &str, hash: &str, at: &str, address: Option<&str>) -> Option<&'static str> {
        let chain = self.chain(id);
        let shown = chain[0].secrets.iter().find(|secret| secret.hash == hash).unwrap();
        if shown.end.as_ref().is_some_and(|end| at >= &**end) {
            return Some("superseded");
        }
        if self.is_revoked(id) {
            return Some("revoked");
        }
        if chain[0].org.as_ref().is_some_and(|org| self.suspended.contains(org)) {
            return Some("organization_suspended");
        }
        if chain.iter().any(|link| at < &*link.start) {
            return Some("not_yet_valid");
        }
        if !self.is_live(id, at) || self.is_overdue(chain[0], &shown.since, at) {
            return Some("expired");
        }
        let is_near = |networks: &[String]| {
            networks.is_empty()
                || address.is_some_and(|a| networks.iter().any(|network| in_network(a, network)))
        };
        let of_policy = texts(self.setting(chain[0], "allowed_networks"));
        if is_near(&of_policy) && chain.iter().all(|link| is_near(&link.networks)) {
            None
        } else {
            Some("address_denied")
        }
    }

    /// What a caller of `from` (of the instance, without one) is answered.
    fn verify(&self, from: Option<&str>, id: &str, hash: &str, asked: Asked<'_>) -> &'static str {
        let held = &self.tokens[id];
        if from.is_some() && held.org.as_deref() != from {
            return "unknown";
        }
        if let Some(refusal) = self.refusal(id, hash, asked.at, asked.address) {
            return refusal;
        }
        if held.org.as_deref().is_some_and(|org| org != asked.org) || self.deleted.contains(asked.org) {
            return "wrong_organization";
        }
        let is_there = |project: &str| {
            !self.deleted.contains(project) && self.projects.get(project).is_some_and(|org| org == asked.org)
        };
        if asked.project.is_some_and(|project| !is_there(project)) {
            return "wrong_project";
        }
        if asked.project.is_some() && held.project.is_some() && held.project.as_deref() != asked.project {
            return "wrong_project";
        }
        let place = (Some(asked.org), asked.project.or(held.project.as_deref()));
        if self.holds(id, asked.permission, place) { "valid" } else { "forbidden" }
    }

    /// Whether the holder of a token could do a thing then, if nothing changes.
    fn reaches(&self, id: &str, point: &Point<'_>) -> bool {
        let (permission, place, at, address) = *point;
        self.tokens.get(id).is_some_and(|held| {
            let present = held.secrets.iter().find(|secret| secret.end.is_none()).unwrap();
            self.refusal(id, &present.hash, at, address).is_none() && self.holds(id, permission, place)
        })
    }

    /// No two live tokens of a scope have the same name, and no chain is longer than eight.
    fn check(&self, at: &str) {
        let mut names = std::collections::BTreeSet::new();
        for (id, held) in &self.tokens {
            assert!(self.chain(id).len() <= 8);
            if self.is_live(id, at) {
                assert!(
                    names.insert((&held.org, &held.project, &held.name)),
                    "two of the name {}",
                    held.name
                );
            }
        }
    }
}

type Point<'a> = (&'a str, Place<'a>, &'a str, Option<&'a str>);

fn role_of(line: &Value) -> (Option<String>, String) {
    (maybe(&line["org"]), text(&line["role"]))
}

fn minted(line: &Value) -> Held {
    Held {
        name: text(&line["name"]),
        org: maybe(&line["org"]),
        project: maybe(&line["project"]),
        grants: texts(&line["grants"]),
        parent: maybe(&line["parent"]),
        narrowed: line["narrowed"] == true,
        start: text(&line["not_before"]),
        end: maybe(&line["expires_at"]),
        networks: texts(&line["allowed_networks"]),
        secrets: vec![made(line)],
        revoked: false,
    }
}

fn made(line: &Value) -> Text {
    Text { hash: text(&line["hash"]), since: text(&line["at"]), end: None }
}

mod histories {
    use super::{Asked, Model, Place};
    use crate::authority::Caller;
    use crate::decide::{
        ChangeOrganizationPolicy, Command, Decision, DeleteOrganization, DeleteProject, Expiry, Mint,
        NamingChange, Narrow, Particulars, PolicyChange, RenameOrganization, RenameProject, Request,
        RestoreOrganization, Revoke, Rotate, ScopeText, SuspendOrganization, Update,
    };
    use crate::event::Subject;
    use crate::id::TokenId;
    use crate::rejection::Rejection;
    use crate::testing::{Ask, World, admin, is_long, property, repeat};
    use crate::time::Timestamp;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    const PERMISSIONS: [&str; 9] = [
        "tokens:mint",
        "tokens:read",
        "tokens:verify",
        "projects:read",
        "deployments:create",
        "deployments:read",
        "organizations:create",
        "instance:update",
        "any:thing",
    ];
    const HOUR: Duration = Duration::from_hours(1);
    const WAITS: [Duration; 6] = [
        Duration::ZERO,
        Duration::from_micros(1),
        HOUR,
        Duration::from_hours(24),
        Duration::from_hours(47),
        Duration::from_hours(300),
    ];
    /// How much later than a command everything is asked again.
    const LATER: [Duration; 4] =
        [Duration::ZERO, HOUR, Duration::from_hours(47), Duration::from_hours(1_000)];
    const ADDRESSES: [Option<&str>; 4] = [None, Some("10.1.0.1"), Some("10.2.0.1"), Some("192.0.2.1")];
    const NETWORKS: [&[&str]; 5] =
        [&[], &["10.0.0.0/8"], &["10.1.0.0/16"], &["10.1.0.0/17", "192.0.2.1"], &["0.0.0.0/0"]];
    const ROLES: [&[&str]; 3] = [
        &["instance-admin", "instance-auditor", "instance-verifier", "provisioner"],
        &[
            "owner",
            "admin",
            "member",
            "auditor",
            "verifier",
            "project-admin@0",
            "project-writer@0",
            "project-reader@1",
            "project-admin@1",
        ],
        &["project-admin", "project-writer", "project-reader"],
    ];

    /// Dice: what they stand for depends on what there is when they are looked at.
    type Dice = [u8; 10];

    #[derive(Clone, Debug)]
    struct Step {
        /// The administrator, or one of the tokens.
        who: u8,
        what: u8,
        wait: u8,
        /// Whether it is taken back before it happens.
        first_tentatively: bool,
        /// Whether it is asked for once more.
        again: bool,
        dice: Dice,
    }

    fn step() -> impl Strategy<Value = Step> {
        (any::<u8>(), any::<u8>(), any::<u8>(), any::<bool>(), any::<bool>(), any::<Dice>()).prop_map(
            |(who, what, wait, first_tentatively, again, dice)| Step {
                who,
                what,
                wait,
                first_tentatively,
                again,
                dice,
            },
        )
    }

    fn one<T: Copy>(all: &[T], die: u8) -> T {
        all[usize::from(die) % all.len()]
    }

    struct History {
        world: World,
        model: Model,
        folded: usize,
        /// Answers that were held against the model's.
        compared: u64,
        orgs: [String; 2],
        /// Two projects of the first organization, one of the second.
        projects: [String; 3],
    }

    impl History {
        fn new() -> Self {
            let mut world = World::with_tenants();
            let id = |scope: &str| world.scope(scope);
            let orgs = ["acme", "other"].map(|name| id(name).organization().unwrap().to_string());
            let projects =
                ["acme/web", "acme/api", "other/web"].map(|name| id(name).project().unwrap().to_string());
            for (scope, grant) in [
                ("acme", "verifier"),
                ("acme", "owner"),
                ("acme", "admin"),
                ("acme", "member"),
                ("acme/web", "project-admin"),
                ("other", "admin"),
                ("instance", "instance-admin"),
            ] {
                world.mint(scope, &[grant]);
            }
            let bounded = world.mint_by(&admin(), "acme", &["admin"], |p| {
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
                p.expiry = Expiry::In(HOUR * 900);
            });
            bounded.unwrap();
            let mut history = Self { world, model: Model::default(), folded: 0, compared: 0, orgs, projects };
            history.follow();
            history
        }

        /// Lets the model read the lines that it has not.
        fn follow(&mut self) {
            for line in &self.world.lines[self.folded..] {
                self.model.fold(line);
            }
            self.folded = self.world.lines.len();
        }

        fn ids(&self) -> Vec<TokenId> {
            self.world.state.tokens().iter().map(|token| token.id).collect()
        }

        fn scope(&self, die: u8) -> (ScopeText, usize) {
            let org = |index: usize| self.orgs[index].clone();
            match die % 8 {
                0 => (ScopeText::Instance, 0),
                1..=3 => (ScopeText::Organization(org(0)), 1),
                4 => (ScopeText::Organization(org(1)), 1),
                5 => (ScopeText::Project(org(0), self.projects[0].clone()), 2),
                6 => (ScopeText::Project(org(0), self.projects[1].clone()), 2),
                _ => (ScopeText::Project(org(1), self.projects[2].clone()), 2),
            }
        }

        fn grants(&self, level: usize, dice: [u8; 2]) -> Vec<String> {
            let pick = |die| {
                let role = one(ROLES[level], die);
                let (role, project) = role.split_once('@').map_or((role, None), |(r, p)| (r, Some(p)));
                match project {
                    Some(index) => format!("{role}@{}", self.projects[usize::from(index == "1")]),
                    None => role.to_owned(),
                }
            };
            dice[..=usize::from(dice[0] % 2)].iter().map(|die| pick(*die)).collect()
        }

        fn expiry(&self, die: u8) -> Expiry {
            match die % 6 {
                0 | 1 => Expiry::Inherited,
                2 => Expiry::Never,
                3 => Expiry::In(one(&WAITS, die / 6)),
                4 => Expiry::At(self.world.at.after(HOUR * 30)),
                _ => Expiry::In(Duration::from_hours(1_000)),
            }
        }

        fn particulars(&mut self, dice: Dice) -> Particulars {
            let mut particulars = self.world.particulars(&format!("n{}", dice[9] % 6));
            particulars.expiry = self.expiry(dice[3]);
            particulars.not_before =
                dice[4].is_multiple_of(5).then(|| self.world.at.after(one(&WAITS, dice[4])));
            particulars.allowed_networks =
                crate::testing::texts(if dice[5] < 128 { &[] } else { one(&NETWORKS, dice[5]) });
            particulars
        }

        /// Mostly a token of the actor's own organization.
        fn target(&self, actor: Option<TokenId>, dice: Dice) -> TokenId {
            let own = actor.and_then(|id| self.world.token(id).scope.organization());
            let near =
                own.filter(|_| !dice[8].is_multiple_of(4)).map(|org| self.world.state.tokens().of(Some(org)));
            match near {
                Some(slots) => self.world.state.tokens().at(one(slots, dice[0])).unwrap().id,
                None => one(&self.ids(), dice[0]),
            }
        }

        fn command(&mut self, actor: Option<TokenId>, what: u8, dice: Dice) -> Command {
            let token = self.target(actor, dice);
            let level = self.world.token(token).scope.level() as usize;
            let own = actor.map_or(0, |id| self.world.token(id).scope.level() as usize);
            let name = format!("n{}", dice[9] % 6);
            match what % 21 {
                0..=3 => {
                    let (scope, level) = self.scope(dice[6]);
                    let grants = self.grants(level, [dice[1], dice[2]]);
                    Command::Mint(Mint { scope, grants, particulars: self.particulars(dice) })
                }
                4..=6 => {
                    let some = dice[6].is_multiple_of(2);
                    let grants = some.then(|| self.grants(own, [dice[1], dice[2]]));
                    Command::Narrow(Narrow { grants, particulars: self.particulars(dice) })
                }
                7..=10 => Command::Update(Update {
                    token,
                    name: (dice[6].is_multiple_of(2)).then_some(name),
                    description: None,
                    metadata: None,
                    grants: (dice[7].is_multiple_of(2)).then(|| self.grants(level, [dice[1], dice[2]])),
                    expiry: (dice[8].is_multiple_of(2)).then(|| self.expiry(dice[3])),
                }),
                11 | 12 => {
                    let overlap = one(&WAITS[..5], dice[3]);
                    Command::Rotate(Rotate { token, entropy: self.world.entropy(), overlap })
                }
                13 => {
                    let cascade = dice[6].is_multiple_of(2);
                    Command::Revoke(Revoke { token, reason: None, note: None, cascade })
                }
                14 => {
                    let change = NamingChange { name: Some(name), display_name: None };
                    let organization = one(&self.orgs.each_ref(), dice[0]).clone();
                    Command::RenameOrganization(RenameOrganization { organization, change })
                }
                15 => {
                    let change = NamingChange { name: Some(name), display_name: None };
                    let (organization, project) = (self.orgs[0].clone(), self.projects[0].clone());
                    Command::RenameProject(RenameProject { organization, project, change })
                }
                20 => self.policy(dice),
                what => self.end(what, dice),
            }
        }

        /// Each setting by which what is in force comes to an end, or begins anew.
        fn policy(&self, dice: Dice) -> Command {
            let change = PolicyChange {
                allowed_networks: (!dice[1].is_multiple_of(3))
                    .then(|| crate::testing::texts(one(&NETWORKS, dice[2]))),
                rotation_due_days: (!dice[3].is_multiple_of(3)).then(|| one(&[0, 1, 13, 40], dice[4])),
                rotation_enforced: (!dice[5].is_multiple_of(3)).then(|| !dice[6].is_multiple_of(3)),
                ..PolicyChange::default()
            };
            let organization = one(&self.orgs.each_ref(), dice[0]).clone();
            let dry_run = dice[7].is_multiple_of(8);
            Command::ChangeOrganizationPolicy(ChangeOrganizationPolicy { organization, change, dry_run })
        }

        /// Suspensions are mostly taken back, and little is deleted, or nothing else would happen.
        fn end(&self, what: u8, dice: Dice) -> Command {
            let (index, project) = one(&[(0, 0), (0, 1), (1, 2)], dice[0]);
            let organization = self.orgs[index].clone();
            let name_of = |id: &str| {
                let of_organization = self.world.state.find_organization(id);
                of_organization.map(|found| found.naming.name.to_string()).unwrap_or_default()
            };
            match what {
                16 => Command::SuspendOrganization(SuspendOrganization { organization, note: None }),
                17 if dice[1].is_multiple_of(4) => {
                    let confirm = name_of(&organization);
                    Command::DeleteOrganization(DeleteOrganization { organization, confirm, note: None })
                }
                18 if dice[1].is_multiple_of(2) => {
                    let project = self.projects[project].clone();
                    let id = project.parse().ok().and_then(|id| self.world.state.project(id));
                    let confirm = id.map(|found| found.naming.name.to_string()).unwrap_or_default();
                    Command::DeleteProject(DeleteProject { organization, project, confirm, note: None })
                }
                _ => Command::RestoreOrganization(RestoreOrganization { organization, note: None }),
            }
        }

        /// Who calls, if its credential is in force; the model has to agree about that.
        fn caller(&self, step: &Step) -> Option<(Caller, Option<TokenId>)> {
            if step.who.is_multiple_of(5) {
                return Some((admin(), None));
            }
            let id = one(&self.ids(), step.who / 5);
            let ordinal = usize::from(step.dice[8]) % self.world.secrets(id);
            // Mostly the present secret from an allowed address, or little would ever happen.
            let ordinal = if step.dice[9].is_multiple_of(4) { ordinal } else { self.world.secrets(id) - 1 };
            let address =
                if step.dice[7].is_multiple_of(4) { one(&ADDRESSES, step.dice[7] / 4) } else { ADDRESSES[1] };
            let found = self.world.log_in(id, ordinal, address);
            let hash = blake3::hash(self.world.secret(id, ordinal).as_bytes()).to_hex();
            let refusal = self.model.refusal(&id.to_string(), &hash, &self.world.at.to_string(), address);
            assert_eq!(found.as_ref().err().map(|code| code.as_str()), refusal);
            found.ok().map(|caller| (caller, Some(id)))
        }

        fn take(&mut self, index: usize, step: &Step) {
            if step.wait.is_multiple_of(3) {
                self.world.pass(one(&WAITS, step.wait / 3));
            }
            let Some((caller, actor)) = self.caller(step) else { return };
            let command = self.command(actor, step.what, step.dice);
            let request = Request {
                command,
                expected_revision: None,
                repeat: Some(repeat("r", &index.to_string(), "b")),
            };
            if step.first_tentatively {
                self.world.tentatively(|world| drop(world.request(&caller, &request)));
                assert_eq!(self.world.state.difference(&self.world.folded()), None);
            }
            let before = self.model.clone();
            match self.world.request(&caller, &request) {
                Ok(decision) => {
                    self.follow();
                    if let Some(actor) = actor {
                        self.nothing_escalated(&before, actor, &decision);
                    }
                    let is_done = step.again && !decision.events.is_empty();
                    if is_done && self.world.log_in_again(actor) {
                        self.nothing_happens_twice(actor, &request, decision.subject);
                    }
                }
                Err(Rejection::Unauthenticated(_)) => panic!("the caller is in force"),
                Err(_) => self.follow(),
            }
            let at = self.world.at.to_string();
            self.model.check(&at);
            assert_eq!(self.world.state.difference(&self.world.folded()), None);
        }

        /// A repeated request changes nothing, if the caller may still make it.
        fn nothing_happens_twice(&mut self, actor: Option<TokenId>, request: &Request, subject: Subject) {
            let caller = actor.map_or_else(admin, |id| self.world.caller(id));
            let lines = self.world.lines.len();
            if let Ok(again) = self.world.request(&caller, request) {
                assert!(again.repeated && again.subject == subject && again.secret.is_none());
            }
            assert_eq!(self.world.lines.len(), lines);
        }

        /// No token reaches further than it did, or than the actor did; and what the actor has a secret of now, it
        /// reached before. What the policy of its organization keeps it from, it may come to reach: to change the policy,
        /// and to give a token another secret, is for who holds all that the token does.
        fn nothing_escalated(&self, before: &Model, actor: TokenId, decision: &Decision) {
            let actor = actor.to_string();
            let received = match decision.subject {
                Subject::Token(id) if decision.secret.is_some() => Some(id.to_string()),
                _ => None,
            };
            let orgs = self.orgs.each_ref().map(|id| Some(id.as_str()));
            let projects = self.projects.each_ref().map(|id| Some(id.as_str()));
            let places: [Place<'_>; 6] = [
                (None, None),
                (orgs[0], None),
                (orgs[0], projects[0]),
                (orgs[0], projects[1]),
                (orgs[1], None),
                (orgs[1], projects[2]),
            ];
            let after = [0, 1, 29, 31, 200, 999, 1_001].map(|hours| self.world.at.after(HOUR * hours));
            let times = after.into_iter().chain([Timestamp::MAX]).map(|at| at.to_string());
            let times: Vec<String> = times.collect();
            let unbound = Model { policies: BTreeMap::new(), ..before.clone() };
            for id in self.model.tokens.keys().filter(|id| self.has_changed(before, id)) {
                for permission in PERMISSIONS {
                    for place in places {
                        for at in &times {
                            for address in ADDRESSES {
                                let point = (permission, place, at.as_str(), address);
                                if !self.model.reaches(id, &point) || unbound.reaches(&actor, &point) {
                                    continue;
                                }
                                let is_handed_out = received.as_ref() == Some(id) && *id != actor;
                                assert!(
                                    before.reaches(id, &point) && !is_handed_out,
                                    "{actor} let {id} reach {point:?} by {decision:?}"
                                );
                            }
                        }
                    }
                }
            }
        }

        /// Whether the lines since `before` were about this token, one that it was narrowed from, or its organization.
        fn has_changed(&self, before: &Model, id: &str) -> bool {
            let policy = |model: &Model| model.policies.get(self.model.tokens[id].org.as_ref()?).cloned();
            !before.tokens.contains_key(id)
                || self.model.chain(id) != before.chain(id)
                || policy(&self.model) != policy(before)
        }

        /// Every secret is answered as the model says, now and later, to the instance and to both organizations.
        fn same_answers(&mut self, permissions: &[&str], addresses: &[Option<&str>], later: &[Duration]) {
            let now = self.world.at;
            for wait in later {
                self.world.at = now.after(*wait);
                self.compared += self.same_answers_now(permissions, addresses);
            }
            self.world.at = now;
        }

        fn same_answers_now(&self, permissions: &[&str], addresses: &[Option<&str>]) -> u64 {
            let mut compared = 0;
            let at = self.world.at.to_string();
            let of_acme = self.world.caller(self.ids()[0]);
            let of_other = self.world.caller(self.ids()[5]);
            let callers = [
                (&admin(), None),
                (&of_acme, Some(self.orgs[0].as_str())),
                (&of_other, Some(self.orgs[1].as_str())),
            ];
            let questions = [(0, None), (0, Some(0)), (0, Some(2)), (1, None), (1, Some(2))];
            for id in self.ids() {
                for ordinal in 0..self.world.secrets(id) {
                    let text = self.world.secret(id, ordinal);
                    let hash = blake3::hash(text.as_bytes()).to_hex();
                    for (org, project) in questions {
                        let org = self.orgs[org].as_str();
                        let project = project.map(|index: usize| self.projects[index].as_str());
                        for (permission, address) in
                            permissions.iter().flat_map(|p| addresses.iter().map(move |a| (*p, *a)))
                        {
                            let asked = Asked { permission, org, project, at: &at, address };
                            let ask = Ask {
                                permission: Some(permission),
                                organization: Some(org),
                                project,
                                address,
                            };
                            for (caller, from) in callers {
                                // Who may not ask is refused before any answer.
                                let Ok(verdict) = self.world.verify_text(caller, text, ask) else {
                                    assert!(from.is_some());
                                    continue;
                                };
                                let expected = self.model.verify(from, &id.to_string(), &hash, asked);
                                assert_eq!(verdict.code.as_str(), expected, "{id} #{ordinal}: {asked:?}");
                                compared += 1;
                            }
                        }
                    }
                }
            }
            compared
        }
    }

    impl World {
        /// Whether the actor's present secret is still good.
        fn log_in_again(&self, actor: Option<TokenId>) -> bool {
            actor.is_none_or(|id| self.log_in(id, self.secrets(id) - 1, Some("10.1.0.1")).is_ok())
        }
    }

    #[test]
    fn histories_keep_every_promise() {
        let compared = AtomicU64::new(0);
        property("model", 64, 2_000, proptest::collection::vec(step(), 1..40), |steps| {
            let mut history = History::new();
            for (index, step) in steps.iter().enumerate() {
                history.take(index, step);
                // One permission, address and moment a step, another each time; more of them at the end.
                let (permission, later) = (one(&PERMISSIONS, step.dice[9]), one(&LATER, step.dice[2]));
                history.same_answers(&[permission], &ADDRESSES[index % 4..=index % 4], &[later]);
            }
            let (addresses, later) = if is_long() { (4, 4) } else { (2, 1) };
            history.same_answers(&PERMISSIONS, &ADDRESSES[..addresses], &LATER[..later]);
            compared.fetch_add(history.compared, Ordering::Relaxed);
        });
        println!("model: {} verify answers compared", compared.into_inner());
    }

    /// The same with everything asked after every command.
    #[test]
    fn every_answer_is_the_models_after_every_command() {
        let compared = AtomicU64::new(0);
        property("full model", 1, 120, proptest::collection::vec(step(), 1..30), |steps| {
            let mut history = History::new();
            for (index, step) in steps.iter().enumerate() {
                history.take(index, step);
                history.same_answers(&PERMISSIONS, &ADDRESSES, &LATER);
            }
            compared.fetch_add(history.compared, Ordering::Relaxed);
        });
        println!("full model: {} verify answers compared", compared.into_inner());
    }
}
