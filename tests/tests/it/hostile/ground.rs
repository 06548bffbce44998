//! An authority with two organizations, every kind of caller, and marks by which one's data is known in the other's
//! answers.

use super::document::Operation;
use crate::authority::routes::routes;
use crate::{HOUR, damaged, never_issued};
use chancery_tests::{ADMIN, Actor, NodeOptions, World};
use domain::state::{Standing, State};
use serde_json::{Value, json};

/// What stands in texts of the organization `other`, of `acme`, and of the project `api` of `acme`.
const MARKS: [&str; 3] = ["zzq-other", "zzq-acme", "zzq-api"];

/// Who sends a case.
pub(super) struct Caller {
    pub(super) name: &'static str,
    /// None sends no credential.
    pub(super) credential: Option<String>,
    home: Home,
    /// The permissions that it has for sure at `acme`, `*` for all; none where it is better not to say.
    holds: Option<&'static [&'static str]>,
}

/// What a caller may know of.
#[derive(Clone, Copy, PartialEq)]
enum Home {
    /// Nothing at all: its credential is not in force.
    Nowhere,
    Everywhere,
    Acme,
    Web,
    Other,
}

/// Whether a caller may do an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum May {
    Yes,
    No,
    Perhaps,
}

/// A world and what the cases name in it.
pub(super) struct Ground {
    pub(super) world: World,
    pub(super) callers: Vec<Caller>,
    places: Vec<(&'static str, String)>,
    fresh: u64,
}

impl Ground {
    pub(super) async fn new() -> Ground {
        let world = World::with(NodeOptions::signing).await;
        let admin = world.node.admin();
        // Tiles and proofs of the first line are there from here on.
        admin.get("/log/checkpoint?at_least=1").await.expect(200);
        let mut places = Vec::new();
        for (placeholder, path, body) in [
            ("ACME", "/v1/organizations", json!({"name": "acme", "display_name": MARKS[1]})),
            ("WEB", "/v1/organizations/acme/projects", json!({"name": "web", "display_name": MARKS[1]})),
            ("API", "/v1/organizations/acme/projects", json!({"name": "api", "display_name": MARKS[2]})),
            ("OTHER", "/v1/organizations", json!({"name": "other", "display_name": MARKS[0]})),
            (
                "OTHERWEB",
                "/v1/organizations/other/projects",
                json!({"name": "web", "display_name": MARKS[0]}),
            ),
        ] {
            let made = admin.post(path, body).await;
            made.expect(201);
            places.push((placeholder, made.text_of("id")));
        }
        let hidden = mint(&admin, &json!({"organization": "other"}), "owner", MARKS[0]).await;
        places.push(("HIDDEN", hidden.0));
        let api = json!({"organization": "acme", "project": "api"});
        mint(&admin, &api, "project-reader", MARKS[2]).await;
        let callers = callers(&world, &admin).await;
        let mut ground = Ground { world, callers, places, fresh: 0 };
        ground.repair().await;
        ground
    }

    /// What a template of the cases stands for now: every `<NAME>` in it.
    pub(super) fn fill(&mut self, template: &[u8]) -> Vec<u8> {
        let mut filled = Vec::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.iter().position(|byte| *byte == b'<') {
            filled.extend_from_slice(&rest[..start]);
            rest = &rest[start..];
            if rest.starts_with(b"<FRESH>") {
                self.fresh += 1;
                filled.extend_from_slice(format!("f{}", self.fresh).as_bytes());
                rest = &rest[b"<FRESH>".len()..];
                continue;
            }
            let found = self.places.iter().find(|(name, _)| {
                rest[1..].starts_with(name.as_bytes()) && rest.get(name.len() + 1) == Some(&b'>')
            });
            let (value, length) = found.map_or(("<", 1), |(name, id)| (id.as_str(), name.len() + 2));
            filled.extend_from_slice(value.as_bytes());
            rest = &rest[length..];
        }
        filled.extend_from_slice(rest);
        filled
    }

    /// After a change that was done: a target that can be changed again, and the usual policy.
    pub(super) async fn repair(&mut self) {
        let admin = self.world.node.admin();
        let usual = json!({"policy": {"answers": "committed", "max_staleness_ms": 1000, "record_within_ms": 50, "max_inactive_days": 0}});
        admin.patch("/v1/instance", usual).await.expect(200);
        // By its id: a case may have renamed it.
        let acme = self.places.iter().find(|(name, _)| *name == "ACME").map(|(_, id)| id.clone());
        let (id, _) = mint(&admin, &json!({"organization": acme}), "verifier", MARKS[1]).await;
        self.put("TARGET", id);
        for place in ["ACME", "OTHER"] {
            let id = self.place(place).unwrap_or_default();
            let standing = self.world.node.state(|state| state.find_organization(&id).cloned());
            if standing.is_some_and(|found| found.standing != Standing::Active) {
                admin.post(&format!("/v1/organizations/{id}/restore"), json!({})).await.expect(200);
            }
        }
        self.doom(&admin).await;
        self.roles(&admin).await;
        self.people(&admin).await;
    }

    /// An organization, and a project of `acme` with the same name, to be deleted: another pair once one of them is.
    async fn doom(&mut self, admin: &Actor) {
        let (acme, doomed, web) = (self.place("ACME"), self.place("DOOMED"), self.place("DOOMEDWEB"));
        let acme = acme.expect("it is made first");
        let are_there = self.world.node.state(|state| {
            let organization = state.find_organization(&acme).expect("it is never deleted").id;
            doomed.is_some_and(|id| state.find_organization(&id).is_some())
                && web.is_some_and(|id| state.find_project(organization, &id).is_some())
        });
        if are_there {
            return;
        }
        self.fresh += 1;
        let name = format!("doomed-{}", self.fresh);
        let organization = admin.organization(&name).await;
        let project = admin.project(&acme, &name).await;
        self.put("DOOM", name);
        self.put("DOOMED", organization["id"].as_str().unwrap().to_owned());
        self.put("DOOMEDWEB", project["id"].as_str().unwrap().to_owned());
    }

    fn place(&self, name: &str) -> Option<String> {
        self.places.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone())
    }

    fn put(&mut self, name: &'static str, value: String) {
        self.places.retain(|(other, _)| *other != name);
        self.places.push((name, value));
    }

    /// Whoever retired them: roles that can be changed again, held by nobody.
    async fn roles(&mut self, admin: &Actor) {
        let own = format!("/v1/organizations/{}/roles", self.place("ACME").expect("it is made first"));
        for (placeholder, path, name) in [("ROLE", own.as_str(), "helper"), ("SHARED", "/v1/roles", "shared")]
        {
            let role = json!({"name": name, "level": "organization", "permissions": ["tokens:read"]});
            let made = admin.post(path, role).await;
            assert!(matches!(made.status, 201 | 409), "{}", made.text);
            self.put(placeholder, name.to_owned());
        }
    }

    /// A member that can be removed, and an invitation that can be accepted.
    async fn people(&mut self, admin: &Actor) {
        let acme = self.place("ACME").expect("it is made first");
        let (members, invitations) =
            (format!("/v1/organizations/{acme}/members"), format!("/v1/organizations/{acme}/invitations"));
        let invite = || admin.post(&invitations, json!({"email": "ada@example.org", "role": "member"}));
        let is_there = match self.place("MEMBER") {
            Some(user) => {
                admin.get(&format!("{members}/{user}")).await.body["members"][0]["role"] == "member"
            }
            None => false,
        };
        if !is_there {
            let body = json!({"invitation": invite().await.text_of("secret")});
            let accepted = self.world.node.anon().post("/v1/invitations/accept", body).await;
            let user = accepted.text_of("created_by").replace("session:", "");
            self.put("MEMBER", user);
        }
        let invited = invite().await;
        self.put("INVITED", invited.text_of("id"));
        self.put("INVITATION", invited.text_of("secret"));
    }

    /// The number of lifecycle lines that the state was folded from.
    pub(super) fn version(&self) -> u64 {
        self.world.node.state(State::version)
    }

    /// What must not stand in an answer to this caller: another's data, unless the request named it.
    pub(super) fn foreign(&self, caller: &Caller, request: &[u8]) -> Vec<&str> {
        let place = |name: &str| &*self.places.iter().find(|(found, _)| *found == name).unwrap().1;
        let other = [place("OTHER"), place("OTHERWEB"), place("HIDDEN"), MARKS[0]];
        let acme = [place("ACME"), place("TARGET"), MARKS[1], place("WEB")];
        let api = [place("API"), MARKS[2]];
        let all = match caller.home {
            Home::Everywhere => Vec::new(),
            Home::Acme => other.to_vec(),
            Home::Web => [&other[..], &api[..]].concat(),
            Home::Other => [&acme[..], &api[..]].concat(),
            Home::Nowhere => [&other[..], &acme[..], &api[..]].concat(),
        };
        let named = |text: &&str| request.windows(text.len()).any(|part| part == text.as_bytes());
        all.into_iter().filter(|text| !named(text)).collect()
    }

    /// Whether a request of the stranger is about what is its own after all.
    pub(super) fn is_at_home(&self, caller: &Caller, request: &[u8]) -> bool {
        let own = self.places.iter().filter(|(name, _)| ["OTHER", "OTHERWEB", "HIDDEN"].contains(name));
        let mut own = own.map(|(_, id)| id.as_str()).chain(["/other", "\"other\"", "=other"]);
        let named = |text: &str| request.windows(text.len()).any(|part| part == text.as_bytes());
        // A question that names no organization is about the asker's own.
        let names_none = request.starts_with(b"POST /v1/verify") && !named("\"organization\"");
        caller.home == Home::Other && (names_none || own.any(named))
    }

    /// The secret parts of every credential.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let whole = self.callers.iter().filter_map(|caller| caller.credential.as_deref());
        whole.filter(|text| text.len() > 20).map(|text| &text[12..])
    }
}

impl Caller {
    pub(super) fn may(&self, operation: &Operation) -> May {
        if operation.is_open {
            return May::Yes;
        }
        let Some(route) = routes()
            .into_iter()
            .find(|route| route.method == operation.method && route.template == operation.template)
        else {
            return May::Perhaps;
        };
        match (self.home, self.holds, route.permission) {
            (Home::Other, ..) if route.stranger < 300 => May::Perhaps,
            (Home::Nowhere | Home::Other, ..) => May::No,
            (_, None, _) => May::Perhaps,
            // The break-glass token is none that could be narrowed.
            (_, Some(_), None) if operation.template.ends_with("/narrow") && self.name == "break-glass" => {
                May::No
            }
            (_, Some(_), None) => May::Yes,
            (Home::Acme, _, Some(needed))
                if operation.template.starts_with("/v1/instance")
                    || ["/v1/audit/views", "/v1/audit/rebuild", "/v1/audit/state"]
                        .contains(&&*operation.template)
                    || operation.template.starts_with("/v1/audit/export")
                    || ["organizations:create", "organizations:suspend", "organizations:delete"]
                        .contains(&needed)
                    || operation.template.starts_with("/v1/roles")
                    || operation.template.starts_with("/v1/users")
                    || operation.template.starts_with("/log/tile/entries/") =>
            {
                May::No
            }
            (_, Some(held), Some(needed)) if held.contains(&"*") || held.contains(&needed) => May::Yes,
            _ => May::No,
        }
    }
}

async fn mint(admin: &Actor, scope: &Value, grant: &str, mark: &str) -> (String, String) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("{mark} {}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let body = json!({
        "name": name, "scope": scope, "grants": [grant], "description": mark, "metadata": {"mark": mark},
    });
    let minted = admin.mint_with(body).await;
    (minted.id, minted.secret)
}

async fn callers(world: &World, admin: &Actor) -> Vec<Caller> {
    let acme = json!({"organization": "acme"});
    let web = json!({"organization": "acme", "project": "web"});
    let instance = json!({"instance": true});
    let secret = async |scope: &Value, grant: &str| mint(admin, scope, grant, "caller").await;
    let (_, owner) = secret(&acme, "owner").await;
    let expired =
        json!({"name": "expired", "scope": instance, "grants": ["instance-admin"], "expires_in": "1h"});
    let expired = admin.mint_with(expired).await.secret;
    world.pass(HOUR);
    let (id, revoked) = secret(&instance, "instance-admin").await;
    admin.revoke(&id).await;
    let (id, superseded) = secret(&instance, "instance-admin").await;
    admin.post(&format!("/v1/tokens/{id}/rotate"), json!({})).await.expect(200);
    let narrow = json!({"name": "narrowed", "grants": ["member"], "expires_in": "100d"});
    let narrowed = world.node.token(&owner).post("/v1/tokens/narrow", narrow).await.text_of("secret");
    let nowhere = |name, credential| Caller { name, credential, home: Home::Nowhere, holds: Some(&[]) };
    let caller = |name, credential, home, holds| Caller { name, credential: Some(credential), home, holds };
    vec![
        caller("owner", owner.clone(), Home::Acme, Some(&["*"])),
        caller("break-glass", ADMIN.to_owned(), Home::Everywhere, Some(&["*"])),
        caller("instance", secret(&instance, "instance-admin").await.1, Home::Everywhere, Some(&["*"])),
        caller(
            "without permissions",
            secret(&acme, "verifier").await.1,
            Home::Acme,
            Some(&["tokens:verify"]),
        ),
        caller("stranger", secret(&json!({"organization": "other"}), "owner").await.1, Home::Other, None),
        caller("of a project", secret(&web, "project-admin").await.1, Home::Web, None),
        caller("narrowed", narrowed, Home::Acme, None),
        nowhere("nobody", None),
        nowhere("malformed", Some(damaged(&owner))),
        nowhere("unknown", Some(never_issued(9))),
        nowhere("expired", Some(expired)),
        nowhere("revoked", Some(revoked)),
        nowhere("superseded", Some(superseded)),
    ]
}
