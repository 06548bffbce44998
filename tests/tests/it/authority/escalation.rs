use chancery_tests::{Actor, Answer, World};
use serde_json::{Value, json};

fn acme() -> Value {
    json!({"organization": "acme"})
}

fn web() -> Value {
    json!({"organization": "acme", "project": "web"})
}

#[track_caller]
fn missing(answer: &Answer) -> Vec<String> {
    let missing = answer.refused(403, "escalation")["missing"].as_array().unwrap();
    missing.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

async fn holder(world: &World, scope: Value, grants: &[&str], more: Value) -> (Actor, String) {
    let mut body = json!({"name": format!("{grants:?} {more}"), "scope": scope, "grants": grants});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let minted = world.node.admin().mint_with(body).await;
    (world.node.token(&minted.secret), minted.id)
}

#[tokio::test]
async fn nobody_mints_more_than_they_hold() {
    let world = World::new().await;
    world.tenants().await;
    let (member, _) = holder(&world, acme(), &["member"], json!({})).await;
    let mint = async |scope: Value, grants: Value, more: Value| {
        let mut body = json!({"name": "x", "scope": scope, "grants": grants});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        member.post("/v1/tokens", body).await
    };
    assert_eq!(missing(&mint(acme(), json!(["owner"]), json!({})).await), ["* at organization acme"]);
    let verifier = mint(acme(), json!(["verifier"]), json!({})).await;
    assert_eq!(missing(&verifier), ["tokens:verify at organization acme"]);
    let writer = mint(web(), json!(["project-writer"]), json!({})).await;
    assert_eq!(missing(&writer), ["deployments:* at project web of acme"]);
    mint(json!({"instance": true}), json!(["instance-auditor"]), json!({})).await.refused(403, "forbidden");
    mint(json!({"organization": "other"}), json!(["member"]), json!({})).await.refused(404, "not_found");
    mint(acme(), json!(["member"]), json!({})).await.expect(201);
}

#[tokio::test]
async fn time_and_networks_are_bounds_that_children_inherit() {
    let world = World::new().await;
    world.tenants().await;
    let bounds = json!({"expires_in": "1h", "allowed_networks": ["127.0.0.0/8"]});
    let (bound, id) = holder(&world, acme(), &["admin"], bounds).await;
    let child = bound.mint("child", acme(), &["member"]).await;
    let parent = bound.get(&format!("/v1/tokens/{id}")).await.body;
    for field in ["expires_at", "allowed_networks"] {
        assert_eq!(child.body[field], parent[field]);
    }
    for (more, lacks) in [
        (json!({"expires_at": null}), "time from"),
        (json!({"expires_in": "2h"}), "time from"),
        (json!({"allowed_networks": ["10.0.0.0/8"]}), "networks outside 127.0.0.0/8"),
        (json!({"allowed_networks": ["127.0.0.1", "::/0"]}), "networks outside 127.0.0.0/8"),
    ] {
        for (path, with) in
            [("/v1/tokens", json!({"scope": acme(), "grants": ["member"]})), ("/v1/tokens/narrow", json!({}))]
        {
            let mut body = json!({"name": "x"});
            for part in [&with, &more] {
                body.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
            }
            if path.ends_with("narrow") && more.get("expires_at").is_some() {
                continue; // A narrowed token cannot ask for no end at all.
            }
            let answer = bound.post(path, body).await;
            assert!(missing(&answer).iter().all(|text| text.starts_with(lacks)), "{path} {more}");
        }
    }
}

#[tokio::test]
async fn changing_another_token_gives_it_no_more_than_its_changer_holds() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let (admin, own) = holder(&world, acme(), &["admin"], json!({})).await;
    let weak = tenants.owner.mint("weak", acme(), &["member"]).await;
    let owners = tenants.owner.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    let change = |id: &str, body: Value| {
        let path = format!("/v1/tokens/{id}");
        let admin = admin.clone();
        async move { admin.patch(&path, body).await }
    };
    for target in [&weak.id, &own] {
        let answer = change(target, json!({"grants": ["member", "owner"]})).await;
        assert_eq!(missing(&answer), ["* at organization acme"]);
    }
    // To rotate hands out the secret, and so everything that the token holds.
    let rotate = admin.post(&format!("/v1/tokens/{owners}/rotate"), json!({})).await;
    assert_eq!(missing(&rotate), ["* at organization acme"]);
    // Taking away and ending need the permission alone.
    change(&owners, json!({"expires_in": "1h"})).await.expect(200);
    assert_eq!(missing(&change(&owners, json!({"expires_in": "2h"})).await), ["* at organization acme"]);
    change(&weak.id, json!({"grants": ["verifier"]})).await.expect(200);
    admin.post(&format!("/v1/tokens/{}/rotate", weak.id), json!({})).await.expect(200);
    change(&owners, json!({"grants": ["member"]})).await.expect(200);
}

#[tokio::test]
async fn a_narrowed_token_cannot_widen_itself_through_what_it_mints() {
    let world = World::new().await;
    world.tenants().await;
    let (parent, _) = holder(&world, acme(), &["admin"], json!({})).await;
    let narrowed =
        parent.post("/v1/tokens/narrow", json!({"name": "n", "grants": ["admin"], "expires_in": "1h"}));
    let narrowed = world.node.token(&narrowed.await.text_of("secret"));
    let longer = json!({"name": "x", "scope": acme(), "grants": ["member"], "expires_in": "2h"});
    assert!(missing(&narrowed.post("/v1/tokens", longer).await)[0].starts_with("time from"));
    let own = narrowed.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    let widened = narrowed.patch(&format!("/v1/tokens/{own}"), json!({"expires_in": "2h"})).await;
    assert!(missing(&widened)[0].starts_with("time from"));
    // Not even somebody who holds everything makes it more than its parent is.
    let by_admin = world.node.admin().patch(&format!("/v1/tokens/{own}"), json!({"grants": ["owner"]})).await;
    assert_eq!(missing(&by_admin), ["* at organization acme"]);
    let deep = narrowed.post("/v1/tokens/narrow", json!({"name": "m", "grants": ["owner"]})).await;
    assert_eq!(missing(&deep), ["* at organization acme"]);
    world.node.admin().post("/v1/tokens/narrow", json!({"name": "x"})).await.refused(422, "invalid_value");
}

#[tokio::test]
async fn grants_are_roles_of_their_level() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let many: Vec<String> = vec!["member".to_owned(); 65];
    for (scope, grants) in [
        (acme(), json!([])),
        (acme(), json!(many)),
        (acme(), json!(["never-defined"])),
        (acme(), json!(["instance-admin"])),
        (acme(), json!(["project-writer"])),
        (acme(), json!(["member@web"])),
        (acme(), json!(["project-writer@never"])),
        (acme(), json!(["project-writer@"])),
        (web(), json!(["member"])),
        (web(), json!(["project-writer@web"])),
        (json!({"instance": true}), json!(["owner"])),
    ] {
        let body = json!({"name": "x", "scope": scope, "grants": grants});
        let refused = world.node.admin().post("/v1/tokens", body).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "grants", "{scope} {grants}");
    }
    for scope in [
        json!({}),
        json!({"instance": false}),
        json!({"instance": true, "organization": "acme"}),
        json!({"project": "web"}),
    ] {
        let body = json!({"name": "x", "scope": scope, "grants": ["member"]});
        let refused = tenants.owner.post("/v1/tokens", body).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], "scope", "{scope}");
    }
    let absent = tenants.owner.post("/v1/tokens", json!({"name": "x", "grants": ["member"]})).await;
    assert_eq!(absent.refused(422, "invalid_value")["errors"][0]["field"], "scope");
    let repeated = tenants.owner.mint("once", acme(), &["verifier", "member", "verifier"]).await;
    assert_eq!(repeated.body["grants"], json!(["member", "verifier"]));
}
