//! The stored lines of one scripted life, byte for byte.

use crate::{HOUR, damaged};
use chancery_tests::{Minted, World};
use serde_json::json;
use std::fmt::Write as _;
use std::time::Duration;

async fn organizations(world: &World) {
    let admin = world.node.admin();
    admin.post("/v1/organizations", json!({"name": "acme", "display_name": "Acme “Inc.”"})).await.expect(201);
    admin.project("acme", "web").await;
    admin.patch("/v1/organizations/acme", json!({"name": "beta", "display_name": ""})).await.expect(200);
    admin
        .patch("/v1/organizations/beta/projects/web", json!({"name": "site", "display_name": "Site"}))
        .await
        .expect(200);
    let policy =
        json!({"max_inactive_days": 365, "max_live_tokens": 100, "allowed_networks": ["127.0.0.0/8"]});
    admin.patch("/v1/organizations/beta/policy", policy).await.expect(200);
    admin.patch("/v1/organizations/beta/policy", json!({"allowed_networks": []})).await.expect(200);
    admin.patch("/v1/instance", json!({"policy": {"max_staleness_ms": 2_000}})).await.expect(200);
}

async fn tokens(world: &World) -> (Minted, Minted) {
    let admin = world.node.admin();
    let owner = admin.mint("owner", json!({"organization": "beta"}), &["owner"]).await;
    let owner = world.node.token(&owner.secret);
    world.pass(Duration::from_secs(1));
    let body = json!({
        "name": "ci", "description": "builds \"things\"", "scope": {"organization": "beta", "project": "site"},
        "grants": ["project-writer"], "expires_in": "90d", "not_before": world.moment(HOUR),
        "allowed_networks": ["127.0.0.0/8", "2001:db8::/32"], "metadata": {"z": [1, true, null], "a": {"é": "日本"}},
    });
    let ci = Minted::from(&owner.call("POST", "/v1/tokens").key("mint-ci").json(&body).send().await);
    let gateway =
        owner.mint("gateway", json!({"organization": "beta"}), &["verifier", "project-reader@site"]).await;
    let holder = world.node.token(&gateway.secret);
    holder
        .post("/v1/tokens/narrow", json!({"name": "narrow", "grants": ["verifier"], "expires_in": "12h"}))
        .await
        .expect(201);
    let path = format!("/v1/tokens/{}", ci.id);
    let change = json!({"name": "cd", "description": "", "grants": ["project-reader"], "expires_at": null});
    owner.patch(&path, change).await.expect(200);
    owner.post(&format!("{path}/rotate"), json!({"overlap": "7d"})).await.expect(200);
    (ci, gateway)
}

async fn ends(world: &World) {
    let admin = world.node.admin();
    let confirmed = async |path: &str, name: &str| {
        let body = json!({"confirm": name, "note": "merged"});
        admin.call("DELETE", path).json(&body).send().await.expect(200);
    };
    admin.post("/v1/organizations/beta/suspend", json!({"note": "unpaid"})).await.expect(200);
    admin.post("/v1/organizations/beta/restore", json!({})).await.expect(200);
    confirmed("/v1/organizations/beta/projects/site", "site").await;
    confirmed("/v1/organizations/beta", "beta").await;
}

async fn roles(world: &World) {
    let admin = world.node.admin();
    let path = "/v1/organizations/beta/roles";
    let role =
        json!({"name": "deployer", "level": "project", "permissions": ["deployments:read", "builds:*"]});
    admin.post(path, role).await.expect(201);
    let change = json!({"add": ["deployments:create"], "remove": ["deployments:read"]});
    admin.patch(&format!("{path}/deployer"), change).await.expect(200);
    admin.delete(&format!("{path}/deployer?replacement=project-writer")).await.expect(200);
    let shared = json!({"name": "shared", "level": "organization", "permissions": ["*"]});
    admin.post("/v1/roles", shared).await.expect(201);
    admin.delete("/v1/roles/shared").await.expect(200);
}

#[tokio::test]
async fn the_lines_of_a_scripted_life_are_these() {
    let world = World::new().await;
    organizations(&world).await;
    let (ci, gateway) = tokens(&world).await;
    let verifier = world.node.token(&gateway.secret);
    let ask = |token: &str, permission: &str| {
        json!({
            "token": token, "permission": permission, "project": "site", "resource": "build 7",
            "client": {"address": "127.0.0.9", "agent": "curl/8.5"},
        })
    };
    assert_eq!(verifier.verify_with(ask(&ci.secret, "deployments:read")).await.code(), "not_yet_valid");
    world.pass(HOUR);
    assert_eq!(verifier.verify_with(ask(&ci.secret, "deployments:read")).await.code(), "valid");
    let refused = ask(&ci.secret, "deployments:create");
    let batch = json!({"items": [refused, refused, ask(&damaged(&ci.secret), "deployments:read")]});
    verifier.post("/v1/verify/batch", batch).await.expect(200);
    verifier.get("/v1/tokens").await.refused(403, "forbidden");
    world.node.token(&ci.secret).get("/v1/whoami").await.expect(200);
    let end = json!({"reason": "leaked", "note": "seen\tnot", "cascade": true});
    let path = format!("/v1/tokens/{}/revoke", gateway.id);
    world.node.admin().post(&path, end).await.refused(422, "invalid_value");
    let end = json!({"reason": "leaked", "note": "seen on a forum", "cascade": true});
    world.node.admin().post(&path, end).await.expect(200);
    verifier.get("/v1/whoami").await.refused(401, "token_revoked");
    let filter = json!({"scope": {"organization": "beta", "project": "site"}, "role": "project-reader"});
    let end = json!({"filter": filter, "expected_count": 1, "note": "no longer needed"});
    world.node.admin().post("/v1/tokens/revoke", end).await.expect(200);
    roles(&world).await;
    ends(&world).await;
    let mut lines = String::new();
    for entry in world.database.entries().await {
        writeln!(lines, "{}", entry.text).unwrap();
    }
    insta::assert_snapshot!("lines", lines);
}
