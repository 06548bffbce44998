//! What is known of a token's uses: the last of them, the last refusal, and how many on which day.

use crate::{DAY, HOUR};
use chancery_tests::{Actor, Answer, TestNode, World, eventually};
use serde_json::{Value, json};
use sqlx::Executor as _;
use std::sync::atomic::Ordering::Relaxed;

/// Waits until the view of a node has come to an answer's position.
async fn passes(node: &TestNode, answer: &Answer) {
    let stats = &node.node().live().stats;
    eventually("the view to come so far", || stats.usage_position.load(Relaxed) >= answer.position()).await;
}

async fn ask(verifier: &Actor, secret: &str, permission: &str) -> Answer {
    let client = json!({"address": "203.0.113.7", "agent": "deployer/1"});
    verifier.verify_with(json!({"token": secret, "permission": permission, "client": client})).await
}

async fn shown(actor: &Actor, id: &str) -> Value {
    actor.get(&format!("/v1/tokens/{id}")).await.expect(200).clone()
}

#[tokio::test]
async fn the_last_use_says_for_what_and_from_where_and_the_last_refusal_why() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    world.pass(HOUR);
    assert_eq!(ask(&tenants.verifier, &token.secret, "projects:read").await.code(), "valid");
    world.pass(HOUR);
    ask(&tenants.verifier, &token.secret, "tokens:verify").await;
    let last = ask(&tenants.verifier, &token.secret, "tokens:verify").await;
    assert_eq!(last.code(), "forbidden");
    passes(&world.node, &last).await;
    let found = shown(&tenants.owner, &token.id).await;
    assert_eq!(found["last_used_at"], world.moment(HOUR));
    let client = json!({"address": "203.0.113.7", "agent": "deployer/1"});
    let mut expected = client.clone();
    (expected["at"], expected["permission"]) = (json!(world.moment(HOUR)), json!("projects:read"));
    assert_eq!(found["last_used"], expected);
    let mut expected = client;
    (expected["at"], expected["permission"]) = (json!(world.moment(2 * HOUR)), json!("tokens:verify"));
    expected["code"] = json!("forbidden");
    assert_eq!(found["last_refused"], expected);
    assert_eq!(found["days"], json!([{"day": &world.moment(HOUR)[..10], "used": 1, "refused": 2}]));
    let listed = tenants.owner.get("/v1/tokens?name=t").await.expect(200)["items"][0].clone();
    assert_eq!((&listed["last_used"], listed.get("days")), (&found["last_used"], None));
    // Erased, the values are gone, and the rest stands.
    let mut superuser = world.database.superuser().await;
    superuser.execute("DELETE FROM chancery.personal").await.unwrap();
    let found = shown(&tenants.owner, &token.id).await;
    let expected =
        json!({"at": world.moment(HOUR), "permission": "projects:read", "erased": ["address", "agent"]});
    assert_eq!(found["last_used"], expected);
}

#[tokio::test]
async fn lists_are_filtered_and_sorted_by_last_use() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = json!({"organization": "acme"});
    for name in ["never", "early", "late"] {
        tenants.owner.mint(name, acme.clone(), &["auditor"]).await;
    }
    let again = async |name: &str| {
        let listed = tenants.owner.get(&format!("/v1/tokens?name={name}")).await;
        let id = listed.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
        let rotated = tenants.owner.post(&format!("/v1/tokens/{id}/rotate"), json!({})).await;
        tenants.verifier.verify(&rotated.text_of("secret")).await
    };
    world.pass(HOUR);
    again("early").await;
    world.pass(HOUR);
    let last = again("late").await;
    passes(&world.node, &last).await;
    let names = async |query: &str| {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = tenants.owner.get(&format!("/v1/tokens?role=auditor&limit=1&{query}{cursor}")).await;
            let items = page.expect(200)["items"].as_array().unwrap();
            names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(next) = page.body["next_cursor"].as_str() else { return names };
            cursor = format!("&cursor={next}");
        }
    };
    assert_eq!(names("sort=last_used").await, ["never", "early", "late"]);
    assert_eq!(names("sort=-last_used").await, ["late", "early", "never"]);
    for (hours, expected) in
        [(0, vec![]), (1, vec!["never"]), (2, vec!["early", "never"]), (3, vec!["early", "late", "never"])]
    {
        let query = format!("sort=name&unused_since={}", world.moment(HOUR * hours));
        assert_eq!(names(&query).await, expected, "{hours}");
    }
}

#[tokio::test]
async fn each_line_counts_once_whoever_keeps_the_view() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let another = world.another().await;
    let admin = world.node.admin();
    let own = tenants.verifier.get("/v1/whoami").await.body["token"]["id"].as_str().unwrap().to_owned();
    for n in 0..30 {
        let code = if n % 3 == 0 { "tokens:verify" } else { "projects:read" };
        ask(&tenants.verifier, &token.secret, code).await;
        another.token(&token.secret).get("/v1/whoami").await.expect(200);
    }
    world.pass(DAY);
    let last = ask(&tenants.verifier, &token.secret, "projects:read").await;
    passes(&world.node, &last).await;
    let days = json!([
        {"day": &world.moment(DAY)[..10], "used": 1, "refused": 0},
        {"day": &world.moment(HOUR)[..10], "used": 50, "refused": 10},
    ]);
    assert_eq!(shown(&admin, &token.id).await["days"], days);
    assert_eq!(shown(&admin, &own).await["days"][1]["used"], 31);
    another.stop().await;
    let World { database, clock, node } = world;
    node.stop().await;
    // A keeper that ended in the middle of a write: rows stand for more of the log than the view says.
    let mut superuser = database.superuser().await;
    superuser
        .execute(
            "UPDATE chancery_views.progress SET size = 0, commit = '00000000-0000-0000-0000-000000000000'",
        )
        .await
        .unwrap();
    superuser
        .execute("DELETE FROM chancery_views.usage_days WHERE day = (SELECT max(day) FROM chancery_views.usage_days)")
        .await
        .unwrap();
    let next = chancery_tests::NodeOptions::on(&database).clock(&clock).start().await;
    let last = next.token(&token.secret).get("/v1/whoami").await;
    passes(&next, &last).await;
    let mut days = days;
    days[0]["used"] = json!(2);
    assert_eq!(shown(&next.admin(), &token.id).await["days"], days);
}

#[tokio::test]
async fn from_where_is_told_of_ones_own_token_and_to_who_may_read_the_audit_log() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = json!({"organization": "acme"});
    let token = tenants.owner.mint("t", acme.clone(), &["member"]).await;
    let other = tenants.owner.mint("u", acme.clone(), &["member"]).await;
    let last = ask(&tenants.verifier, &token.secret, "projects:read").await;
    passes(&world.node, &last).await;
    let [own, member] = [&token, &other].map(|one| world.node.token(&one.secret));
    for (actor, is_told) in [(&tenants.owner, true), (&own, true), (&member, false)] {
        let listed = actor.get("/v1/tokens?name=t").await.expect(200)["items"][0].clone();
        for found in [shown(actor, &token.id).await, listed] {
            let used = &found["last_used"];
            assert!(used["at"].is_string(), "{found}");
            assert_eq!((used.get("address").is_some(), used.get("agent").is_some()), (is_told, is_told));
        }
    }
}
