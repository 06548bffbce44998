//! Random changes of roles, among mints, narrowings and changes of grants: nobody's reach grows but by somebody who had
//! it, and every token may do what the model says.

use super::{Model, Place, Point};
use crate::authority::{Caller, allows};
use crate::decide::{ChangeRole, Command, DefineRole, Expiry, Mint, Narrow, RetireRole, ScopeText, Update};
use crate::id::TokenId;
use crate::role::Level;
use crate::scope::Scope;
use crate::testing::{World, admin, property, scope_text, texts};
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);
const PLACES: [&str; 6] = ["instance", "acme", "acme/web", "acme/api", "other", "other/web"];
const PERMISSIONS: [&str; 7] = [
    "tokens:mint",
    "tokens:read",
    "roles:update",
    "deployments:create",
    "any:thing",
    "any:more",
    "instance:update",
];
/// What roles are made of.
const PATTERNS: [&str; 9] = [
    "*",
    "tokens:*",
    "tokens:mint",
    "tokens:read",
    "roles:*",
    "deployments:*",
    "deployments:create",
    "any:*",
    "any:thing",
];
const OWNERS: [Option<&str>; 4] = [Some("acme"), Some("acme"), Some("other"), None];
/// Roles of the tests' own, by owner as in [`OWNERS`].
const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "shared", "support"];
const ADDRESSES: [Option<&str>; 3] = [None, Some("10.1.0.1"), Some("192.0.2.1")];

type Dice = [u8; 8];

fn one<T: Copy>(all: &[T], die: u8) -> T {
    all[usize::from(die) % all.len()]
}

struct History {
    world: World,
    model: Model,
    folded: usize,
}

impl History {
    fn new() -> Self {
        let mut world = World::with_tenants();
        for (owner, name, level) in [
            (Some("acme"), "alpha", Level::Organization),
            (Some("acme"), "beta", Level::Project),
            (Some("acme"), "gamma", Level::Organization),
            (Some("other"), "alpha", Level::Project),
            (None, "shared", Level::Organization),
            (None, "support", Level::Instance),
        ] {
            let permissions =
                texts(if name == "gamma" { &["roles:*", "tokens:*"] } else { &["tokens:read"] });
            let organization = owner.map(str::to_owned);
            world.admin(Command::DefineRole(DefineRole {
                organization,
                name: name.to_owned(),
                level,
                permissions,
            }));
        }
        for (scope, grants) in [
            ("acme", &["owner"][..]),
            ("acme", &["admin", "alpha"]),
            ("acme", &["gamma"]),
            ("acme", &["alpha", "beta@web", "shared"]),
            ("acme/web", &["beta"]),
            ("other", &["owner"]),
            ("other", &["shared", "alpha@web"]),
            ("instance", &["instance-admin"]),
            ("instance", &["support"]),
        ] {
            world.mint(scope, grants);
        }
        for grants in [&["owner"][..], &["gamma", "admin"]] {
            let bound = world.mint_by(&admin(), "acme", grants, |p| {
                p.expiry = Expiry::In(HOUR * 10);
                p.allowed_networks = vec!["10.0.0.0/8".to_owned()];
            });
            bound.unwrap();
        }
        let mut history = Self { world, model: Model::default(), folded: 0 };
        history.follow();
        history
    }

    fn follow(&mut self) {
        for line in &self.world.lines[self.folded..] {
            self.model.fold(line);
        }
        self.folded = self.world.lines.len();
    }

    fn ids(&self) -> Vec<TokenId> {
        self.world.state.tokens().iter().map(|token| token.id).collect()
    }

    fn command(&mut self, what: u8, dice: Dice) -> Command {
        let organization = one(&OWNERS, dice[0]).map(str::to_owned);
        let role = one(&NAMES, dice[1]).to_owned();
        let patterns = [one(&PATTERNS, dice[2]), one(&PATTERNS, dice[3])];
        let some = texts(&patterns[..=usize::from(dice[4] % 2)]);
        match what % 12 {
            0..=2 => Command::ChangeRole(ChangeRole {
                organization,
                role,
                permissions: Some(some),
                ..Default::default()
            }),
            3 | 4 => Command::ChangeRole(ChangeRole { organization, role, add: some, ..Default::default() }),
            5 => Command::ChangeRole(ChangeRole { organization, role, remove: some, ..Default::default() }),
            6 | 7 => {
                let others = ["alpha", "gamma", "shared", "member", "owner", "project-writer", "beta"];
                let replacement = (!dice[5].is_multiple_of(4)).then(|| one(&others, dice[6]).to_owned());
                Command::RetireRole(RetireRole { organization, role, replacement })
            }
            8 => {
                let level = one(&[Level::Organization, Level::Organization, Level::Project], dice[5]);
                Command::DefineRole(DefineRole { organization, name: role, level, permissions: some })
            }
            9 => {
                let scope: ScopeText = scope_text(one(&PLACES, dice[2]));
                let grants = vec![role];
                Command::Mint(Mint { scope, grants, particulars: self.particulars(dice) })
            }
            10 => {
                let grants = dice[2].is_multiple_of(2).then(|| vec![role]);
                Command::Narrow(Narrow { grants, particulars: self.particulars(dice) })
            }
            _ => {
                let token = one(&self.ids(), dice[2]);
                let mut grants = vec![role];
                grants.extend(dice[3].is_multiple_of(3).then(|| "member".to_owned()));
                let grants = Some(grants);
                let nothing = (None, None, None);
                let (name, description, metadata) = nothing;
                Command::Update(Update { token, name, description, metadata, grants, expiry: None })
            }
        }
    }

    fn particulars(&mut self, dice: Dice) -> crate::decide::Particulars {
        let mut particulars = self.world.particulars("");
        particulars.name = particulars.id.to_string();
        particulars.expiry = one(&[Expiry::Inherited, Expiry::In(HOUR * 5), Expiry::Never], dice[7]);
        particulars
    }

    fn take(&mut self, step: &Step) {
        self.world.pass(one(&[Duration::ZERO, HOUR, HOUR * 2], step.wait));
        let actor = (!step.who.is_multiple_of(9)).then(|| one(&self.ids(), step.who / 9));
        let caller = match actor {
            None => admin(),
            Some(id) => {
                let Ok(caller) = self.world.log_in(id, 0, Some("10.1.0.1")) else { return };
                caller
            }
        };
        let command = self.command(step.what, step.dice);
        let shown = format!("{command:?}");
        let before = self.model.clone();
        let result = self.world.run(&caller, command);
        self.follow();
        if result.is_ok()
            && let Some(actor) = actor
        {
            self.nothing_escalated(&before, actor, &shown);
        }
        self.same_answers();
        assert_eq!(self.world.state.difference(&self.world.folded()), None);
    }

    fn nothing_escalated(&self, before: &Model, actor: TokenId, command: &str) {
        let actor = actor.to_string();
        let places = PLACES.map(|place| ids(self.world.scope(place)));
        let times = [0, 4, 6, 9, 11, 1_000].map(|hours| self.world.at.after(HOUR * hours).to_string());
        for id in self.model.tokens.keys() {
            for permission in PERMISSIONS {
                for (org, project) in &places {
                    let place: Place<'_> = (org.as_deref(), project.as_deref());
                    for (at, address) in times.iter().flat_map(|at| ADDRESSES.map(|address| (at, address))) {
                        let point: Point<'_> = (permission, place, at.as_str(), address);
                        assert!(
                            !self.model.reaches(id, &point)
                                || before.reaches(id, &point)
                                || before.reaches(&actor, &point),
                            "{actor} let {id} reach {point:?} by {command}"
                        );
                    }
                }
            }
        }
    }

    /// Every token may do what the model says, everywhere.
    fn same_answers(&self) {
        for token in self.world.state.tokens().iter() {
            for (permission, place) in PERMISSIONS.iter().flat_map(|p| PLACES.map(|place| (*p, place))) {
                let scope = self.world.scope(place);
                let (org, project) = ids(scope);
                let expected =
                    self.model.holds(&token.id.to_string(), permission, (org.as_deref(), project.as_deref()));
                let found = allows(&self.world.state, token, permission, scope);
                assert_eq!(found, expected, "{} {permission} at {place}", token.id);
                assert_eq!(Caller::of_token(token).may(&self.world.state, permission, scope), expected);
            }
        }
    }
}

fn ids(scope: Scope) -> (Option<String>, Option<String>) {
    (scope.organization().map(|id| id.to_string()), scope.project().map(|id| id.to_string()))
}

#[derive(Clone, Debug)]
struct Step {
    who: u8,
    what: u8,
    wait: u8,
    dice: Dice,
}

fn step() -> impl Strategy<Value = Step> {
    (any::<u8>(), any::<u8>(), any::<u8>(), any::<Dice>()).prop_map(|(who, what, wait, dice)| Step {
        who,
        what,
        wait,
        dice,
    })
}

#[test]
fn after_any_changes_of_roles_nobody_reaches_what_nobody_who_changed_them_had() {
    let (done, changed) = (AtomicU64::new(0), AtomicU64::new(0));
    property("roles", 48, 4_000, proptest::collection::vec(step(), 1..40), |steps| {
        let mut history = History::new();
        for step in &steps {
            history.take(step);
        }
        done.fetch_add(steps.len() as u64, Ordering::Relaxed);
        let of_roles = history.world.lines.iter().filter(|line| line.contains("\"type\":\"Role"));
        changed.fetch_add(of_roles.count() as u64, Ordering::Relaxed);
    });
    println!("roles: {} steps, {} lines about roles", done.into_inner(), changed.into_inner());
}
