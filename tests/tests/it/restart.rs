//! A node that lived through everything, one that only followed it, and one that just started hold the same state.

use crate::{DAY, HOUR};
use chancery_tests::{Actor, NodeOptions, TestNode, World};
use serde_json::{Value, json};

/// Everything that can happen to an authority, once or more.
async fn live_through(world: &World, tenants: &chancery_tests::Tenants, admin: &Actor, round: u32) {
    let acme = json!({"organization": "acme"});
    let web = json!({"organization": "acme", "project": "web"});
    let name = |text: &str| format!("{text}-{round}");
    admin.organization(&name("org")).await;
    let path = format!("/v1/organizations/{}", name("org"));
    admin.patch(&path, json!({"name": name("renamed"), "display_name": "R"})).await.expect(200);
    tenants.owner.project("acme", &name("p")).await;
    let path = format!("/v1/organizations/acme/projects/{}", name("p"));
    tenants.owner.patch(&path, json!({"name": name("q")})).await.expect(200);
    let policy = json!({"policy": {"max_staleness_ms": 1_000 + round}});
    admin.patch("/v1/instance", policy).await.expect(200);
    let body = |name: String, more: Value| {
        let mut body = json!({"name": name, "scope": acme, "grants": ["admin", "project-reader@api"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let full = json!({"description": "d", "metadata": {"a": 1}, "allowed_networks": ["127.0.0.0/8"], "expires_in": "2h"});
    let keyed = tenants.owner.call("POST", "/v1/tokens").key(&name("key")).json(&body(name("full"), full));
    let parent = keyed.send().await;
    let (id, secret) = (parent.text_of("id"), parent.text_of("secret"));
    let holder = world.node.token(&secret);
    let child = holder.mint(&name("child"), web, &["project-admin"]).await;
    holder
        .post("/v1/tokens/narrow", json!({"name": name("n"), "grants": ["project-reader@api"]}))
        .await
        .expect(201);
    let path = format!("/v1/tokens/{id}");
    let change = json!({"name": name("changed"), "grants": ["admin"], "expires_in": "3h", "metadata": {}});
    tenants.owner.patch(&path, change).await.expect(200);
    for overlap in ["1h", "5m"] {
        let rotate = tenants.owner.call("POST", &format!("{path}/rotate")).key(&format!("{overlap}{round}"));
        rotate.json(&json!({"overlap": overlap})).send().await.expect(200);
    }
    let cascade = json!({"cascade": true, "reason": "leaked", "note": "seen"});
    tenants.owner.post(&format!("{path}/revoke"), cascade).await.expect(200);
    assert_eq!(tenants.verifier.code_of(&child.secret).await, "revoked");
    tenants.verifier.code_of(&secret).await;
    tenants.owner.get("/v1/instance").await.refused(403, "forbidden");
    let short = body(name("short"), json!({"expires_in": "1h", "not_before": null}));
    tenants.owner.mint_with(short).await;
}

fn same(one: &TestNode, other: &TestNode) {
    assert_eq!(one.difference(other), None);
    assert_eq!(other.difference(one), None);
}

#[tokio::test]
async fn whoever_folds_the_log_comes_to_the_same_state() {
    let world = World::new().await;
    let follower = world.another().await;
    let tenants = world.tenants().await;
    for round in 0..3 {
        live_through(&world, &tenants, &world.node.admin(), round).await;
        world.pass(if round == 0 { HOUR } else { DAY });
        let fresh = world.another().await;
        follower.catches_up_with(&world.node).await;
        same(&world.node, &fresh);
        same(&world.node, &follower);
        fresh.stop().await;
    }
    let before = world.database.size().await;
    let World { database, clock, node } = world;
    node.stop().await;
    let restarted = NodeOptions::on(&database).clock(&clock).start().await;
    same(&restarted, &follower);
    assert_eq!(database.size().await, before, "to start over an authority leaves no line");
    // The follower takes over as if it had been the writer all along.
    follower.admin().organization("after").await;
    restarted.catches_up_with(&follower).await;
    same(&restarted, &follower);
}

#[tokio::test]
async fn what_a_batch_tried_and_dropped_leaves_no_trace() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mint = |n: usize| {
        let name = format!("t{}", n % 8);
        let body = json!({"name": name, "scope": {"organization": "acme"}, "grants": ["member"]});
        tenants.owner.post("/v1/tokens", body)
    };
    let answers = futures_util::future::join_all((0..64).map(mint)).await;
    let minted = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(minted, 8, "each name once");
    let fresh = world.another().await;
    same(&world.node, &fresh);
}
