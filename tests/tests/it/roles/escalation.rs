use super::{ROLES, acme, define, role};
use chancery_tests::{Actor, Answer, World};
use serde_json::{Value, json};

#[track_caller]
fn missing(answer: &Answer) -> Vec<String> {
    let missing = answer.refused(403, "escalation")["missing"].as_array().unwrap();
    missing.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn holder(world: &World, grants: &[&str], more: Value) -> Actor {
    let mut body = json!({"name": format!("{grants:?} {more}"), "scope": acme(), "grants": grants});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.node.token(&world.node.admin().mint_with(body).await.secret)
}

#[tokio::test]
async fn nobody_puts_into_a_role_what_they_lack() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    define(&tenants.owner, "helper", "organization", &["tokens:read"]).await.expect(201);
    let boss = holder(&world, &["admin", "helper"], json!({})).await;
    let everything = ["* at organization acme"];
    assert_eq!(missing(&define(&boss, "x", "organization", &["*"]).await), everything);
    assert_eq!(missing(&boss.patch(&role("helper"), json!({"permissions": ["*"]})).await), everything);
    assert_eq!(missing(&boss.delete(&format!("{}?replacement=owner", role("helper"))).await), everything);
    let add = boss.patch(&role("helper"), json!({"add": ["policies:update", "tokens:mint"]})).await;
    assert_eq!(missing(&add), ["policies:update at organization acme"]);
    boss.patch(&role("helper"), json!({"add": ["tokens:mint"]})).await.expect(200);
    boss.get("/v1/instance").await.refused(403, "forbidden");
    // A role of one organization is nothing to another, and the instance's are out of reach.
    boss.post("/v1/roles", json!({"name": "y", "level": "instance", "permissions": ["tokens:read"]}))
        .await
        .refused(403, "forbidden");
    boss.get("/v1/organizations/other/roles").await.refused(404, "not_found");
}

#[tokio::test]
async fn holding_it_in_one_project_does_not_do() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    define(&tenants.owner, "of-roles", "organization", &["roles:*"]).await.expect(201);
    let caller = holder(&world, &["of-roles", "project-admin@web"], json!({})).await;
    let refused = define(&caller, "deployer", "project", &["deployments:create"]).await;
    assert_eq!(missing(&refused), ["deployments:create at organization acme"]);
    let own = caller.patch(&role("of-roles"), json!({"add": ["tokens:mint"]})).await;
    assert_eq!(missing(&own), ["tokens:mint at organization acme"]);
}

#[tokio::test]
async fn a_caller_that_ends_gives_nothing_that_lasts() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    define(&tenants.owner, "helper", "organization", &["tokens:read"]).await.expect(201);
    let brief = holder(&world, &["owner"], json!({"expires_in": "1h"})).await;
    let bound = holder(&world, &["owner"], json!({"allowed_networks": ["127.0.0.0/8"]})).await;
    let token = tenants.owner.mint("lasting", acme(), &["helper"]).await;
    let add = |permission: &str| json!({"add": [permission]});
    assert!(missing(&brief.patch(&role("helper"), add("a:b")).await)[0].starts_with("time from "));
    let outside = missing(&bound.patch(&role("helper"), add("a:b")).await);
    assert_eq!(outside, ["networks outside 127.0.0.0/8"]);
    missing(&brief.delete(&format!("{}?replacement=admin", role("helper"))).await);
    world.node.admin().revoke(&token.id).await;
    brief.patch(&role("helper"), add("a:b")).await.expect(200);
    // Taking away needs no bounds.
    tenants.owner.mint("lasting", acme(), &["helper"]).await;
    bound.patch(&role("helper"), json!({"remove": ["a:b"]})).await.expect(200);
}

#[tokio::test]
async fn a_narrowed_token_gains_no_more_than_its_chain() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    define(&tenants.owner, "helper", "organization", &["tokens:read"]).await.expect(201);
    let parent = holder(&world, &["helper", "verifier"], json!({})).await;
    let narrow = parent.post("/v1/tokens/narrow", json!({"name": "n", "grants": ["verifier"]})).await;
    let narrowed = world.node.token(&narrow.text_of("secret"));
    tenants.owner.patch(&role("helper"), json!({"add": ["roles:read"]})).await.expect(200);
    parent.get(ROLES).await.expect(200);
    narrowed.get(ROLES).await.refused(403, "forbidden");
}
