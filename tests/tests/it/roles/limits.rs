use super::{acme, define, role};
use chancery_tests::World;
use serde_json::json;

fn permissions(noun: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{noun}:v{n}")).collect()
}

#[tokio::test]
async fn roles_and_what_a_token_holds_of_them_are_bounded() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let owner = &tenants.owner;
    let fill = async |name: &str, count: usize| {
        let all = permissions(name, count);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        define(owner, name, "organization", &all).await
    };
    fill("long", 201).await.refused(422, "invalid_value");
    for n in 0..10 {
        fill(&format!("r{n}"), 200).await.expect(201);
    }
    let full = fill("more", 1).await;
    let detail = full.refused(409, "limit_reached")["detail"].as_str().unwrap();
    assert_eq!(detail, "Organization acme has no room for more permissions in its roles: 2000 is the most.");
    let grown = owner.patch(&role("r0"), json!({"add": ["a:b"], "remove": ["r0:v0"]})).await;
    grown.expect(200);
    let body = |grants: &[&str]| json!({"name": "wide", "scope": acme(), "grants": grants});
    owner.post("/v1/tokens", body(&["r1", "r2", "r3"])).await.refused(422, "invalid_value");
    let wide = owner.post("/v1/tokens", body(&["r1", "r2"])).await;
    let text = wide.expect(201)["secret"].as_str().unwrap();
    let items: Vec<_> = (0..100).map(|_| json!({"token": text, "permission": "r2:v7"})).collect();
    let answered = tenants.verifier.post("/v1/verify/batch", json!({"items": items})).await;
    let items = answered.expect(200)["items"].as_array().unwrap();
    assert_eq!(items.len(), 100);
    for item in items {
        assert_eq!(
            (&item["code"], item["token"]["permissions"].as_array().unwrap().len()),
            (&json!("valid"), 400)
        );
    }
}

#[tokio::test]
async fn a_policy_that_names_roles_is_not_got_round_by_retiring_one() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let owner = &tenants.owner;
    define(owner, "helper", "organization", &["tokens:read"]).await.expect(201);
    define(owner, "named", "organization", &["tokens:read"]).await.expect(201);
    owner.mint("h", acme(), &["helper"]).await;
    let policy = "/v1/organizations/acme/policy";
    owner.patch(policy, json!({"allowed_roles": ["member", "named"]})).await.expect(200);
    let path = |name: &str, replacement: &str| format!("{}?replacement={replacement}", role(name));
    let refused = owner.delete(&path("helper", "verifier")).await;
    assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "replacement");
    let named = owner.delete(&role("named")).await;
    assert!(named.refused(409, "role_named")["detail"].as_str().unwrap().contains("acme"));
    owner.delete(&path("named", "member")).await.refused(409, "role_named");
    owner.delete(&path("helper", "member")).await.expect(200);
    owner.patch(policy, json!({"allowed_roles": ["member"]})).await.expect(200);
    owner.delete(&role("named")).await.expect(200);
}

#[tokio::test]
async fn a_refusal_names_some_of_what_is_missing() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let all = permissions("any", 200);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    define(&tenants.owner, "wide", "organization", &all).await.expect(201);
    let admin = tenants.owner.mint("admin", acme(), &["admin"]).await;
    let admin = world.node.token(&admin.secret);
    let minted = admin.post("/v1/tokens", json!({"name": "x", "scope": acme(), "grants": ["wide"]})).await;
    let missing = minted.refused(403, "escalation")["missing"].as_array().unwrap();
    assert_eq!((missing.len(), &missing[20]), (21, &json!("180 more")));
    assert!(minted.body["detail"].as_str().unwrap().len() < 1_000);
}
