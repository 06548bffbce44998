use crate::{HOUR, never_issued};
use chancery_tests::{World, eventually, eventually_async};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;

#[tokio::test]
async fn a_token_is_minted_verified_and_revoked_at_each_scope() {
    let world = World::new().await;
    world.tenants().await;
    let admin = world.node.admin();
    for (scope, grant, start) in [
        (json!({"instance": true}), "instance-auditor", "chyi_"),
        (json!({"organization": "acme"}), "member", "chyo_"),
        (json!({"organization": "acme", "project": "web"}), "project-writer", "chyp_"),
    ] {
        let minted = admin.mint("ci", scope.clone(), &[grant]).await;
        assert!(minted.secret.starts_with(start) && minted.secret.len() == 54);
        assert_eq!(minted.body["prefix"], minted.secret[..12]);
        assert_eq!((&minted.body["scope"], &minted.body["grants"]), (&scope, &json!([grant])));
        assert_eq!(
            (&minted.body["status"], &minted.body["created_by"]),
            (&json!("live"), &json!("admin-token"))
        );
        let shown = admin.get(&format!("/v1/tokens/{}", minted.id)).await;
        assert_eq!(shown.expect(200)["secret"], Value::Null, "it is shown once");
        let question = json!({"token": minted.secret, "organization": "acme"});
        let verdict = admin.verify_with(question.clone()).await;
        assert_eq!((verdict.code(), &verdict.body["valid"]), ("valid", &json!(true)));
        assert_eq!(verdict.body["token"]["id"], minted.id);
        admin.revoke(&minted.id).await;
        let verdict = admin.verify_with(question).await;
        assert_eq!((verdict.code(), &verdict.body["valid"]), ("revoked", &json!(false)));
    }
}

#[tokio::test]
async fn everything_that_is_said_of_a_token_is_kept() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let said = json!({
        "name": "deploy bot", "description": "deploys", "scope": {"organization": "acme"},
        "grants": ["project-writer@web", "verifier"], "expires_at": world.moment(2 * HOUR),
        "not_before": world.moment(HOUR), "allowed_networks": ["10.0.0.0/8", "2001:db8::1"],
        "metadata": {"team": "core", "n": 7, "deep": {"list": [1, null, true]}},
    });
    let minted = world.node.admin().mint_with(said.clone()).await;
    let shown = tenants.owner.get(&format!("/v1/tokens/{}", minted.id)).await.expect(200).clone();
    for field in ["name", "description", "scope", "grants", "expires_at", "not_before", "metadata"] {
        assert_eq!(shown[field], said[field], "{field}");
    }
    assert_eq!(shown["allowed_networks"], json!(["10.0.0.0/8", "2001:db8::1/128"]));
    world.pass(HOUR);
    let question = json!({"token": minted.secret, "project": "web", "client": {"address": "10.1.1.1"}});
    let verdict = tenants.verifier.verify_with(question).await;
    assert_eq!(verdict.code(), "valid");
    let token = &verdict.body["token"];
    assert_eq!((&token["metadata"], &token["name"]), (&said["metadata"], &said["name"]));
    assert_eq!(token["permissions"], json!(["deployments:*", "projects:read", "tokens:verify"]));
}

#[tokio::test]
async fn a_token_is_changed_and_what_is_absent_stays() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let minted = tenants.owner.mint("ci", json!({"organization": "acme"}), &["member"]).await;
    let path = format!("/v1/tokens/{}", minted.id);
    let change = |body: Value| tenants.owner.patch(&path, body);
    let changed = change(json!({"description": "builds", "metadata": {"a": 1}})).await;
    assert_eq!(changed.expect(200)["description"], "builds");
    let changed = change(json!({"name": "build"})).await;
    assert_eq!((&changed.body["name"], &changed.body["description"]), (&json!("build"), &json!("builds")));
    let changed = change(json!({"description": "", "metadata": {}})).await;
    assert_eq!((changed.body.get("description"), changed.body.get("metadata")), (None, None));
    let changed = change(json!({"grants": ["auditor", "project-reader@web"]})).await;
    assert_eq!(changed.body["grants"], json!(["auditor", "project-reader@web"]));
    let changed = change(json!({"expires_in": "1h"})).await;
    assert_eq!(changed.body["expires_at"], world.moment(HOUR));
    assert_eq!(change(json!({"expires_at": null})).await.body.get("expires_at"), None);
    let revision = change(json!({})).await.tag();
    assert_eq!(change(json!({"name": "build"})).await.tag(), revision, "nothing changed");
    let permissions = tenants.verifier.verify(&minted.secret).await.body["token"]["permissions"].clone();
    assert!(permissions.as_array().unwrap().contains(&json!("audit:read")), "{permissions}");
}

#[tokio::test]
async fn revoking_is_final_and_may_be_repeated() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mint = |name| tenants.owner.mint(name, json!({"organization": "acme"}), &["member"]);
    let (one, two) = (mint("one").await, mint("two").await);
    let path = format!("/v1/tokens/{}", one.id);
    let told = json!({"reason": "leaked", "note": "on a forum"});
    let revoked = tenants.owner.post(&format!("{path}/revoke"), told).await;
    let end = &revoked.expect(200)["revoked"];
    assert_eq!((&end["reason"], &end["note"]), (&json!("leaked"), &json!("on a forum")));
    let again = tenants.owner.delete(&path).await;
    assert_eq!((again.expect(200), again.tag()), (&revoked.body, revoked.tag()), "nothing changes");
    let deleted = tenants.owner.delete(&format!("/v1/tokens/{}", two.id)).await;
    assert_eq!(deleted.expect(200)["revoked"]["reason"], "requested");
    for token in [&one, &two] {
        assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
        let path = format!("/v1/tokens/{}", token.id);
        tenants.owner.patch(&path, json!({"name": "x"})).await.refused(409, "token_ended");
        tenants.owner.post(&format!("{path}/rotate"), json!({})).await.refused(409, "token_ended");
        world.node.token(&token.secret).get("/v1/whoami").await.refused(401, "token_revoked");
    }
    mint("one").await;
}

#[tokio::test]
async fn a_cascade_takes_the_whole_subtree_and_names_its_cause() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = || json!({"organization": "acme"});
    let root = tenants.owner.mint("root", acme(), &["admin"]).await;
    let child = world.node.token(&root.secret).mint("child", acme(), &["admin"]).await;
    let grandchild = world.node.token(&child.secret).mint("grandchild", acme(), &["verifier"]).await;
    let path = format!("/v1/tokens/{}/revoke", root.id);
    tenants.owner.post(&path, json!({})).await.expect(200);
    assert_eq!(tenants.verifier.code_of(&child.secret).await, "valid", "children live on");
    tenants.owner.post(&path, json!({"cascade": true})).await.expect(200);
    for (token, parent) in [(&child, &root), (&grandchild, &child)] {
        assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
        let shown = tenants.owner.get(&format!("/v1/tokens/{}", token.id)).await;
        assert_eq!(shown.expect(200)["revoked"]["cause"], root.id);
        assert_eq!((&shown.body["status"], &shown.body["parent"]), (&json!("revoked"), &json!(parent.id)));
    }
}

#[tokio::test]
async fn a_narrowed_token_ends_with_its_parent_and_never_does_more() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let parent = tenants.owner.mint("parent", json!({"organization": "acme"}), &["member", "verifier"]).await;
    let holder = world.node.token(&parent.secret);
    let narrowed = holder.post("/v1/tokens/narrow", json!({"name": "n", "grants": ["verifier"]})).await;
    let narrowed_secret = narrowed.text_of("secret");
    assert_eq!(
        (&narrowed.expect(201)["narrowed"], &narrowed.body["parent"]),
        (&json!(true), &json!(parent.id))
    );
    let refused = holder.post("/v1/tokens/narrow", json!({"name": "m", "grants": ["admin"]})).await;
    assert!(!refused.refused(403, "escalation")["missing"].as_array().unwrap().is_empty());
    // What the parent loses, the child loses.
    let parent_path = format!("/v1/tokens/{}", parent.id);
    tenants.owner.patch(&parent_path, json!({"grants": ["member"]})).await.expect(200);
    let question = json!({"token": narrowed_secret, "permission": "tokens:verify"});
    assert_eq!(tenants.verifier.verify_with(question).await.code(), "forbidden");
    tenants.owner.revoke(&parent.id).await;
    assert_eq!(tenants.verifier.code_of(&narrowed_secret).await, "revoked");
    let shown = tenants.owner.get(&format!("/v1/tokens/{}", narrowed.text_of("id"))).await;
    assert_eq!(shown.body["revoked"]["cause"], parent.id);
}

#[tokio::test]
async fn a_text_is_identified_without_being_used() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let minted = tenants.owner.mint("ci", json!({"organization": "acme"}), &["member"]).await;
    let rotated = tenants.owner.post(&format!("/v1/tokens/{}/rotate", minted.id), json!({})).await;
    let find = async |actor: &chancery_tests::Actor, body: Value| {
        let found = actor.post("/v1/tokens/identify", body).await;
        let items = found.expect(200)["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let whole = [json!({"token": minted.secret}), json!({"token": rotated.text_of("secret")})];
    for body in whole.into_iter().chain([json!({"prefix": &rotated.text_of("secret")[..9]})]) {
        assert_eq!(find(&tenants.owner, body.clone()).await, [&*minted.id]);
        let stranger = world.node.admin().mint("s", json!({"organization": "other"}), &["owner"]).await;
        assert!(find(&world.node.token(&stranger.secret), body).await.is_empty());
        world.node.admin().revoke(&stranger.id).await;
    }
    assert!(find(&tenants.owner, json!({"token": never_issued(1)})).await.is_empty());
    let uses = world.database.entries().await.into_iter().filter(|entry| entry.at("/token") == &minted.id);
    assert!(uses.filter(chancery_tests::Entry::is_use).count() == 0, "no use of what was found");
    for body in [json!({}), json!({"token": "a", "prefix": "chyo_1"}), json!({"prefix": "chyo"})] {
        tenants.owner.post("/v1/tokens/identify", body).await.refused(422, "invalid_value");
    }
}

#[tokio::test]
async fn everyone_may_ask_who_it_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let admin = world.node.admin().get("/v1/whoami").await;
    assert_eq!(admin.expect(200), &json!({"actor": "admin-token", "permissions": ["*"]}));
    let minted = tenants
        .owner
        .mint_with(json!({
            "name": "ci", "scope": {"organization": "acme", "project": "web"}, "grants": ["project-reader"],
            "expires_in": "1h",
        }))
        .await;
    let own = world.node.token(&minted.secret).get("/v1/whoami").await;
    assert_eq!(own.expect(200)["actor"], format!("project-token:{}", &minted.secret[..12]));
    assert_eq!(own.body["permissions"], json!(["deployments:read", "projects:read"]));
    assert_eq!(own.body["token"]["expires_at"], world.moment(HOUR));
    assert_eq!(own.body["token"]["secret"], Value::Null);
}

#[tokio::test]
async fn a_token_shows_when_it_was_last_used_and_being_refused_is_no_use() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let path = format!("/v1/tokens/{}", token.id);
    assert_eq!(tenants.owner.get(&path).await.expect(200).get("last_used_at"), None);
    world.pass(HOUR);
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "valid");
    let used = json!(world.moment(HOUR));
    let shown = async |expected: &Value| {
        let shown = tenants.owner.get(&path).await;
        (&shown.body["last_used_at"] == expected).then_some(())
    };
    eventually_async("the use to be shown", async || shown(&used).await).await;
    world.pass(HOUR);
    let refused = json!({"token": token.secret, "permission": "tokens:verify"});
    let refused = tenants.verifier.verify_with(refused).await;
    let stats = &world.node.node().live().stats;
    eventually("the view to pass the refusal", || stats.usage_position.load(Relaxed) >= refused.position())
        .await;
    assert_eq!(shown(&used).await, Some(()));
    let listed = tenants.owner.get("/v1/tokens?name=t").await;
    assert_eq!(listed.expect(200)["items"][0]["last_used_at"], used);
    // What acts is used as well, also when it only asks about others.
    let gateway = tenants.verifier.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    let shown = tenants.owner.get(&format!("/v1/tokens/{gateway}")).await;
    assert_eq!(shown.body["last_used_at"], world.moment(2 * HOUR));
}
