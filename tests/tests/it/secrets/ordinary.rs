//! Tokens are made and used in every ordinary way.

use super::Script;
use chancery_tests::{ADMIN, Actor, Minted};
use serde_json::{Value, json};

/// Answers the organization's owner, and a verifier that was rotated and can still be used.
pub(super) async fn work(script: &mut Script, anon: &Actor) -> (Minted, Minted) {
    let admin = anon.with(ADMIN);
    script.send(&admin, "POST", "/v1/organizations", json!({"name": "acme"})).await;
    script.send(&admin, "POST", "/v1/organizations/acme/projects", json!({"name": "web"})).await;
    let owner = script.mint(&admin, "owner", &["owner"]).await;
    let owner_actor = anon.with(&owner.secret);
    let gateway = script.mint(&owner_actor, "gateway", &["verifier"]).await;
    let verifier = anon.with(&gateway.secret);
    script.send(&verifier, "POST", "/v1/tokens/narrow", json!({"name": "narrow"})).await;
    let path = format!("/v1/tokens/{}/rotate", gateway.id);
    script.send(&owner_actor, "POST", &path, json!({"overlap": "1h"})).await;
    // The same twice under one key: the secret is kept sealed, and handed out again.
    for _ in 0..2 {
        let body = json!({"name": "twice", "scope": {"organization": "acme"}, "grants": ["member"]});
        let again = owner_actor.call("POST", "/v1/tokens").key("twice").json(&body).send().await;
        again.expect(201);
        script.heard(&again);
    }
    for secret in script.secrets.clone() {
        let question = json!({"token": secret, "client": {"address": "192.0.2.1", "agent": "curl/8"}});
        script.send(&verifier, "POST", "/v1/verify", question.clone()).await;
        script.send(&verifier, "POST", "/v1/verify/batch", json!({"items": [question, question]})).await;
        script.send(&anon.with(&secret), "GET", "/v1/whoami", Value::Null).await;
        script.send(&owner_actor, "POST", "/v1/tokens/identify", json!({"token": secret})).await;
        let proxied = anon.with(&secret).call("GET", "/v1/authorize?permission=tokens:mint");
        script.heard(&proxied.header("chancery-caller", format!("Bearer {}", gateway.secret)).send().await);
    }
    (owner, gateway)
}
