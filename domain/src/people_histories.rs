//! Random histories of people: whoever tries whatever, nobody comes to do more than whoever gave it could, and no
//! organization loses its last owner.

use crate::authority::Caller;
use crate::decide::{Expiry, TokensFate};
use crate::id::{OrganizationId, TokenId, UserId};
use crate::people::Fate;
use crate::rejection::Rejection;
use crate::role::{MEMBER, OWNER};
use crate::secret::SecretHash;
use crate::state::{Invitation, Status};
use crate::testing::{World, admin, property};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const PLACES: [&str; 6] = ["acme", "acme/web", "acme/api", "other", "other/web", "instance"];
const PERMISSIONS: [&str; 8] = [
    "tokens:mint",
    "tokens:read",
    "members:invite",
    "members:remove",
    "audit:read",
    "deployments:create",
    "organizations:read",
    "any:thing",
];
const ROLES: [&[&str]; 3] = [
    &["owner", "owner", "admin", "member", "auditor", "verifier"],
    &["project-admin", "project-writer", "project-reader"],
    &["instance-admin", "instance-auditor", "provisioner", "instance-verifier"],
];

/// What they stand for depends on what there is when they are looked at.
type Dice = [u8; 6];

/// Somebody can do something somewhere.
type Ability = (String, usize, usize);

struct History {
    world: World,
    texts: Vec<String>,
    /// The organizations that a member owned at some time.
    owned: BTreeSet<OrganizationId>,
}

fn one<T: Clone>(all: &[T], die: u8) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(die) % all.len()].clone())
}

fn role(place: &str, die: u8) -> &'static str {
    let level = if place == "instance" { 2 } else { usize::from(place.contains('/')) };
    one(ROLES[level], die).unwrap()
}

impl History {
    fn new() -> Self {
        let mut world = World::with_tenants();
        for (place, grant) in [
            ("instance", "provisioner"),
            ("instance", "instance-admin"),
            ("acme", "admin"),
            ("acme/web", "project-admin"),
        ] {
            world.mint(place, &[grant]);
        }
        world.join("acme", "admin");
        world.join("other", "owner");
        Self { world, texts: Vec::new(), owned: BTreeSet::new() }
    }

    fn in_force(&self) -> Vec<TokenId> {
        let state = &self.world.state;
        state
            .tokens()
            .iter()
            .filter(|t| state.status(t, self.world.at) == Status::Live)
            .map(|t| t.id)
            .collect()
    }

    fn users(&self) -> Vec<UserId> {
        self.world.state.people().users_after(None).map(|user| user.id).collect()
    }

    fn organizations(&self) -> [OrganizationId; 2] {
        ["acme", "other"].map(|name| self.world.scope(name).organization().unwrap())
    }

    /// Everything that any person and any token can do.
    fn abilities(&self) -> BTreeSet<Ability> {
        let state = &self.world.state;
        // A session does what its person can do, so persons stand for their sessions.
        let minted = self.in_force().into_iter().filter(|id| !self.world.token(*id).session);
        let mut holders: Vec<(String, Caller)> =
            minted.map(|id| (id.to_string(), self.world.caller(id))).collect();
        for organization in self.organizations() {
            let of = |user: UserId| (format!("{user} {organization}"), state.person(organization, user));
            holders.extend(self.users().into_iter().map(of));
        }
        let mut found = BTreeSet::new();
        for (name, holder) in holders {
            for (place, text) in PLACES.iter().enumerate() {
                let scope = self.world.scope(text);
                let held = PERMISSIONS.iter().enumerate().filter(|(_, p)| holder.may(state, p, scope));
                found.extend(held.map(|(permission, _)| (name.clone(), permission, place)));
            }
        }
        found
    }

    fn may(&self, caller: &Caller, (_, permission, place): &Ability) -> bool {
        caller.may(&self.world.state, PERMISSIONS[*permission], self.world.scope(PLACES[*place]))
    }

    /// Whether what an invitation gives is covered by who gave it out, as things stand.
    fn is_given(&self, invitation: &Invitation, ability: &Ability) -> bool {
        let state = &self.world.state;
        let Some(token) = invitation.inviter.token.and_then(|id| state.tokens().get(id)) else { return true };
        let is_provisioned = token.scope == crate::scope::Scope::Instance
            && match invitation.role.as_str() {
                OWNER => invitation.place.organization().is_some_and(|id| !state.people().was_owned(id)),
                role => role == MEMBER || role == "project-reader",
            };
        is_provisioned || self.may(&Caller::of_token(token), ability)
    }

    fn fate(&self, dice: Dice) -> TokensFate {
        match dice[4] % 4 {
            0 | 1 => TokensFate::default(),
            2 => TokensFate { fate: Fate::Revoke, to: None },
            _ => TokensFate { fate: Fate::HandOver, to: one(&self.users(), dice[5]) },
        }
    }

    fn act(&mut self, caller: &Caller, dice: Dice) -> Result<(), Rejection> {
        let place = one(&PLACES, dice[2]).unwrap();
        let (user, role) = (one(&self.users(), dice[3]).unwrap(), role(place, dice[4]));
        let fate = self.fate(dice);
        match dice[1] % 10 {
            0..=2 => {
                let (_, text) = self.world.invite(caller, place, role)?;
                self.texts.extend(text);
            }
            3 | 4 => drop(self.world.set_role(caller, place, user, role)?),
            5 | 6 => drop(self.world.remove(caller, place, user, fate)?),
            7 => drop(self.world.offboard(caller, user, fate)?),
            _ => {
                let expiry = if dice[5].is_multiple_of(2) { Expiry::Never } else { Expiry::Inherited };
                self.world.mint_by(caller, place, &[role], |p| p.expiry = expiry)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, dice: Dice, wait: u8) {
        self.world.pass(Duration::from_mins(u64::from(wait) * 2));
        let before = self.abilities();
        let caller = match one(&self.in_force(), dice[0]) {
            Some(id) if !dice[0].is_multiple_of(16) => self.world.caller(id),
            _ => admin(),
        };
        let accepted: Option<(Arc<Invitation>, String)> =
            one(&self.texts, dice[2]).filter(|_| dice[1] >= 128).and_then(|text| {
                let found = self.world.state.people().invitation_by_text(&SecretHash::of(&text));
                found.map(|found| (Arc::clone(found), text))
            });
        // What may be given is looked up before anything changes.
        let all = every_ability();
        let allowed: Vec<bool>;
        if let Some((invitation, text)) = &accepted {
            allowed = all.iter().map(|ability| self.is_given(invitation, ability)).collect();
            let joining = one(&self.in_force(), dice[3]).map(|id| self.world.caller(id));
            let _ = match joining.filter(|_| dice[4].is_multiple_of(2)) {
                Some(session) => self.world.accept_as(&session, text).map(drop),
                None => self.world.accept(text).map(drop),
            };
        } else {
            allowed = all.iter().map(|ability| self.may(&caller, ability)).collect();
            let _ = self.act(&caller, dice);
        }
        let count = PLACES.len();
        for (holder, permission, place) in self.abilities().difference(&before) {
            let at = permission * count + place;
            let what = (PERMISSIONS[*permission], PLACES[*place]);
            assert!(allowed[at], "{holder} came to {what:?} through {dice:?}");
        }
        self.check();
    }

    fn check(&mut self) {
        for organization in self.organizations() {
            let people = self.world.state.people();
            let mut members = people.members_after(organization, None);
            let is_owned = members.any(|m| m.role.as_str() == OWNER && m.place.project().is_none());
            assert!(is_owned || !self.owned.contains(&organization), "an owner is never lost");
            assert!(!is_owned || people.was_owned(organization), "a provisioner would be let in");
            if is_owned {
                self.owned.insert(organization);
            }
        }
    }
}

/// Each permission at each place, in the order of `permission * places + place`, of nobody in particular.
fn every_ability() -> Vec<Ability> {
    let places = 0..PLACES.len();
    let all = (0..PERMISSIONS.len()).flat_map(|p| places.clone().map(move |place| (p, place)));
    all.map(|(permission, place)| (String::new(), permission, place)).collect()
}

#[test]
fn nothing_escalates_and_no_owner_is_lost() {
    let step = (any::<Dice>(), any::<u8>());
    let steps = proptest::collection::vec(step, 1..40);
    property("histories of people", 24, 1_000, steps, |steps| {
        let mut history = History::new();
        for (number, (dice, wait)) in steps.into_iter().enumerate() {
            if number % 7 == 0 {
                let (texts, owned) = (history.texts.clone(), history.owned.clone());
                history.world.state.begin();
                let (kept, at) = (history.world.lines.len(), history.world.at);
                history.step(dice, wait);
                history.world.state.roll_back();
                history.world.lines.truncate(kept);
                (history.texts, history.owned, history.world.at) = (texts, owned, at);
            }
            history.step(dice, wait);
        }
        assert_eq!(history.world.state.difference(&history.world.folded()), None);
    });
}
