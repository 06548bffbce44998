//! Answers from memory: what they promise, and how the authority changes to them and back.

use crate::never_issued;
use chancery_tests::{
    Actor, Database, Entry, NodeOptions, TestNode, World, clock, eventually, eventually_async,
};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;

/// Waits until all that a node has answered is on the log.
async fn recorded(node: &TestNode) {
    eventually("the uses to be on the log", || node.node().live().stats.unrecorded.load(Relaxed) == 0).await;
}

fn uses_of<'e>(entries: &'e [Entry], token: &str) -> Vec<&'e Entry> {
    entries.iter().filter(|entry| entry.is_use() && entry.text_at("/token") == token).collect()
}

#[tokio::test]
async fn uses_are_recorded_with_the_version_that_they_were_decided_on() {
    let world = World::with(NodeOptions::bounded).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let version = || world.node.state(domain::state::State::version);
    let minted_at = version();
    for _ in 0..5 {
        let verdict = tenants.verifier.verify(&token.secret).await;
        assert_eq!((verdict.code(), verdict.body.get("position")), ("valid", None), "not on the log yet");
    }
    let refused = json!({"token": token.secret, "permission": "tokens:verify"});
    for _ in 0..3 {
        assert_eq!(tenants.verifier.verify_with(refused.clone()).await.code(), "forbidden");
    }
    recorded(&world.node).await;
    tenants.owner.revoke(&token.id).await;
    assert_eq!(
        tenants.verifier.code_of(&token.secret).await,
        "revoked",
        "the node knows what it wrote itself"
    );
    recorded(&world.node).await;
    let entries = world.database.entries().await;
    let uses = uses_of(&entries, &token.id);
    let seen: Vec<u64> = uses.iter().map(|entry| entry.at("/seen").as_u64().unwrap()).collect();
    assert!(seen[..seen.len() - 1].iter().all(|seen| *seen == minted_at));
    assert_eq!(seen.last(), Some(&(minted_at + 1)));
    let valid = uses.iter().filter(|entry| entry.kind == "TokenUsed").count();
    let forbidden: u64 = uses
        .iter()
        .filter(|entry| entry.text_at("/code") == "forbidden")
        .map(|entry| entry.at("/count").as_u64().unwrap_or(1))
        .sum();
    assert_eq!((valid, forbidden), (5, 3));
    // Everything that is no verify is committed as ever.
    let (_, lines) = world.lines_of(tenants.owner.get("/v1/whoami")).await;
    assert_eq!((lines.len(), lines[0].at("/seen")), (1, &Value::Null));
}

#[tokio::test]
async fn an_unknown_token_and_the_admin_token_are_recorded_as_in_the_other_mode() {
    let world = World::with(NodeOptions::bounded).await;
    let tenants = world.tenants().await;
    let before = world.database.size().await;
    assert_eq!(tenants.verifier.code_of(&never_issued(1)).await, "unknown");
    recorded(&world.node).await;
    let question = json!({"token": never_issued(1), "organization": "acme"});
    assert_eq!(world.node.admin().verify_with(question).await.code(), "unknown");
    recorded(&world.node).await;
    world
        .node
        .token(&never_issued(2))
        .post("/v1/verify", json!({"token": "x"}))
        .await
        .refused(401, "token_unknown");
    let entries = world.database.entries_from(before).await;
    let kinds: Vec<(&str, &str)> =
        entries.iter().map(|entry| (entry.kind.as_str(), entry.text_at("/asked/operation"))).collect();
    assert_eq!(kinds, [("TokenUsed", "verify"), ("AdminTokenUsed", "verify")]);
}

async fn switch(actor: &Actor, answers: &str) {
    let change = json!({"policy": {"answers": answers}});
    assert_eq!(actor.patch("/v1/instance", change).await.expect(200)["policy"]["answers"], answers);
}

#[tokio::test]
async fn all_nodes_follow_when_an_administrator_changes_how_is_answered() {
    let (database, clock) = (Database::new().await, clock());
    let start = || NodeOptions::on(&database).clock(&clock).start();
    let nodes = [start().await, start().await];
    let admin = nodes[0].admin();
    admin.organization("acme").await;
    let acme = || json!({"organization": "acme"});
    let verifier = admin.mint("v", acme(), &["verifier"]).await;
    let token = admin.mint("t", acme(), &["member"]).await;
    let has_position = async |node: &TestNode| {
        let verdict = node.token(&verifier.secret).verify(&token.secret).await;
        assert_eq!(verdict.code(), "valid");
        verdict.body.get("position").is_some()
    };
    for (answers, committed) in [("bounded", false), ("committed", true), ("bounded", false)] {
        switch(&admin, answers).await;
        assert_eq!(has_position(&nodes[0]).await, committed, "where it was changed, at once");
        eventually_async("the other node to follow", async || {
            (has_position(&nodes[1]).await == committed).then_some(())
        })
        .await;
    }
    // A new node takes it from the log, whatever it would begin with itself.
    let late = start().await;
    assert!(!has_position(&late).await);
    for node in nodes.iter().chain([&late]) {
        recorded(node).await;
    }
}

#[tokio::test]
async fn the_policy_has_its_limits() {
    let world = World::new().await;
    let admin = world.node.admin();
    for (field, value) in [
        ("max_staleness_ms", json!(499)),
        ("max_staleness_ms", json!(60_001)),
        ("record_within_ms", json!(0)),
        ("record_within_ms", json!(10_001)),
    ] {
        let refused = admin.patch("/v1/instance", json!({"policy": {field: value}})).await;
        assert_eq!(refused.refused(422, "invalid_value")["errors"][0]["field"], field);
    }
    for bad in
        [json!({"answers": "sometimes"}), json!({"max_staleness_ms": -1}), json!({"max_staleness_ms": "1s"})]
    {
        admin.patch("/v1/instance", json!({"policy": bad})).await.refused(422, "invalid_value");
    }
    admin.patch("/v1/instance", json!({"policy": {"colour": "red"}})).await.refused(422, "unknown_field");
    for edge in [500, 60_000] {
        admin.patch("/v1/instance", json!({"policy": {"max_staleness_ms": edge}})).await.expect(200);
    }
}

#[tokio::test]
async fn a_revocation_reaches_every_node_within_the_time_that_is_promised() {
    let database = Database::new().await;
    let first = NodeOptions::on(&database).bounded().start().await;
    let second = NodeOptions::on(&database).start().await;
    let admin = first.admin();
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let clock = second.node().live().clock().clone();
    for n in 0..20 {
        let token = admin.mint(&format!("t{n}"), json!({"organization": "acme"}), &["member"]).await;
        second.catches_up_with(&first).await;
        let elsewhere = second.token(&verifier.secret);
        admin.revoke(&token.id).await;
        let acknowledged = clock.monotonic();
        eventually_async("the revocation to be known elsewhere", async || {
            let asked = clock.monotonic();
            let answer = elsewhere.post("/v1/verify", json!({"token": token.secret})).await;
            // A node that cannot promise it says so instead.
            assert!(matches!(answer.code(), "valid" | "revoked" | "stale"), "{}", answer.text);
            let late = asked.saturating_sub(acknowledged) > std::time::Duration::from_secs(1);
            assert!(answer.code() != "valid" || !late, "max_staleness is a second");
            (answer.code() == "revoked").then_some(())
        })
        .await;
    }
    recorded(&second).await;
}
