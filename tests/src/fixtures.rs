//! The authority that most tests begin with, and the few calls that all of them make.

use crate::actor::{Actor, Answer};
use crate::database::{Database, Entry};
use crate::node::{NodeOptions, START, TestNode, clock};
use eventlog::{Clock, Random};
use serde_json::{Value, json};
use std::time::Duration;

/// One database, one node, one clock that only the test moves.
pub struct World {
    /// The database.
    pub database: Database,
    /// The clock.
    pub clock: Clock,
    /// The node.
    pub node: TestNode,
}

/// Two organizations with projects of their own, and a verifier for each.
pub struct Tenants {
    /// Verifies for `acme`.
    pub verifier: Actor,
    /// Verifies for `other`.
    pub other_verifier: Actor,
    /// Owns `acme`.
    pub owner: Actor,
}

/// A token that was just minted.
#[derive(Debug, Clone)]
pub struct Minted {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The whole answer's body.
    pub body: Value,
}

impl World {
    /// A new authority without organizations, the same in every run.
    pub async fn new() -> World {
        World::with(|options| options).await
    }

    /// The same with other options.
    pub async fn with(change: impl FnOnce(NodeOptions) -> NodeOptions) -> World {
        let (database, clock) = (Database::new().await, clock());
        let options = NodeOptions { random: Random::seeded(1), ..NodeOptions::on(&database).clock(&clock) };
        let node = change(options).start().await;
        World { database, clock, node }
    }

    /// A second node on the same database and clock.
    pub async fn another(&self) -> TestNode {
        NodeOptions::on(&self.database).clock(&self.clock).start().await
    }

    /// `acme` with `web` and `api`, `other` with `web`.
    pub async fn tenants(&self) -> Tenants {
        let admin = self.node.admin();
        admin.organization("acme").await;
        admin.project("acme", "web").await;
        admin.project("acme", "api").await;
        admin.organization("other").await;
        admin.project("other", "web").await;
        let acme = json!({"organization": "acme"});
        let verifier = admin.mint("gateway", acme.clone(), &["verifier"]).await;
        let owner = admin.mint("owner", acme, &["owner"]).await;
        let other = admin.mint("gateway", json!({"organization": "other"}), &["verifier"]).await;
        Tenants {
            verifier: self.node.token(&verifier.secret),
            other_verifier: self.node.token(&other.secret),
            owner: self.node.token(&owner.secret),
        }
    }

    /// Moves the clock.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// A moment so long after the beginning, as lines and answers write it.
    pub fn moment(&self, after: Duration) -> String {
        let micros = START + i64::try_from(after.as_micros()).unwrap();
        domain::time::Timestamp::from_micros(micros).to_string()
    }

    /// The lines that something makes.
    pub async fn lines_of<T>(&self, call: impl Future<Output = T>) -> (T, Vec<Entry>) {
        let before = self.database.size().await;
        let result = call.await;
        (result, self.database.entries_from(before).await)
    }
}

impl Actor {
    /// Makes an organization.
    pub async fn organization(&self, name: &str) -> Value {
        self.post("/v1/organizations", json!({"name": name})).await.expect(201).clone()
    }

    /// Makes a project.
    pub async fn project(&self, organization: &str, name: &str) -> Value {
        let path = format!("/v1/organizations/{organization}/projects");
        self.post(&path, json!({"name": name})).await.expect(201).clone()
    }

    /// Mints a token.
    pub async fn mint(&self, name: &str, scope: Value, grants: &[&str]) -> Minted {
        self.mint_with(json!({"name": name, "scope": scope, "grants": grants})).await
    }

    /// Mints a token of which everything is said.
    pub async fn mint_with(&self, body: Value) -> Minted {
        Minted::from(&self.post("/v1/tokens", body).await)
    }

    /// Verifies a token at the caller's own scope.
    pub async fn verify(&self, secret: &str) -> Answer {
        self.verify_with(json!({"token": secret})).await
    }

    /// Verifies with everything said; the answer has to be one.
    pub async fn verify_with(&self, question: Value) -> Answer {
        let answer = self.post("/v1/verify", question).await;
        answer.expect(200);
        answer
    }

    /// The code of a verdict.
    pub async fn code_of(&self, secret: &str) -> String {
        self.verify(secret).await.code().to_owned()
    }

    /// Revokes a token.
    pub async fn revoke(&self, id: &str) -> Answer {
        let answer = self.post(&format!("/v1/tokens/{id}/revoke"), json!({})).await;
        answer.expect(200);
        answer
    }
}

impl Minted {
    /// From the answer that hands out its secret.
    #[track_caller]
    pub fn from(answer: &Answer) -> Minted {
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        Minted { id: answer.text_of("id"), secret: answer.text_of("secret"), body: answer.body.clone() }
    }
}
