use super::{POLICY, SWEEP};
use crate::{DAY, HOUR, TICK, just_before};
use chancery_tests::{Tenants, World};
use serde_json::json;

/// `acme` with a limit of 30 days, and a token of its own that nobody uses.
async fn forgotten(world: &World) -> (Tenants, chancery_tests::Minted) {
    let tenants = world.tenants().await;
    tenants.owner.patch(POLICY, json!({"max_inactive_days": 30})).await.expect(200);
    let token = tenants.owner.mint("forgotten", json!({"organization": "acme"}), &["member"]).await;
    (tenants, token)
}

#[tokio::test]
async fn a_sweep_revokes_what_is_unused_for_longer_than_allowed_and_says_so() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let used = tenants.owner.mint("used", json!({"organization": "acme"}), &["member"]).await;
    world.pass(TICK);
    assert_eq!(tenants.verifier.code_of(&used.secret).await, "valid");
    tenants.owner.get("/v1/whoami").await.expect(200);
    world.pass(just_before(30 * DAY));
    let dry = || tenants.owner.post(SWEEP, json!({"dry_run": true}));
    // On the second: 30 days are not more than 30 days.
    assert_eq!(dry().await.expect(200)["count"], 0);
    world.pass(TICK);
    // The verifier and the owner have just been used: the owner by asking, the verifier by its last question.
    tenants.verifier.get("/v1/whoami").await.expect(200);
    let found = dry().await;
    assert_eq!((&found.expect(200)["count"], &found.body["dry_run"]), (&json!(1), &json!(true)));
    assert_eq!(found.body["tokens"][0]["id"], token.id);
    assert_eq!(found.body["tokens"][0]["unused_since"], world.moment(std::time::Duration::ZERO));
    assert_eq!(tenants.owner.get(POLICY).await.expect(200)["hits"]["inactive"], 1);
    let (swept, lines) = world.lines_of(tenants.owner.post(SWEEP, json!({}))).await;
    assert_eq!((&swept.expect(200)["count"], &swept.body["dry_run"]), (&json!(1), &json!(false)));
    let revoked: Vec<_> = lines.iter().filter(|line| line.kind == "TokenRevoked").collect();
    assert_eq!((revoked.len(), revoked[0].text_at("/reason")), (1, "inactive"));
    assert!(revoked[0].text_at("/actor/by").starts_with("org-token:"), "who asked for it did it");
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
    assert_eq!(tenants.verifier.code_of(&used.secret).await, "valid");
    let shown = tenants.owner.get(&format!("/v1/tokens/{}", token.id)).await;
    assert_eq!(shown.expect(200)["revoked"]["reason"], "inactive");
    assert_eq!(tenants.owner.post(SWEEP, json!({})).await.expect(200)["count"], 0);
}

#[tokio::test]
async fn every_hour_one_node_sweeps() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let other = world.another().await;
    let nodes = [world.node.node(), other.node()];
    let due = async || {
        let mut revoked = 0;
        for node in nodes {
            revoked += node.sweep_due().await.unwrap();
        }
        revoked
    };
    let keep_in_use = async || {
        tenants.verifier.get("/v1/whoami").await.expect(200);
        tenants.owner.get("/v1/whoami").await.expect(200);
    };
    tenants.owner.patch(POLICY, json!({"max_inactive_days": 1})).await.expect(200);
    // The first look only gives the organization its time within the hour.
    assert_eq!(due().await, 0);
    for _ in 0..24 {
        world.pass(HOUR);
        keep_in_use().await;
        assert_eq!(due().await, 0);
    }
    for _ in 0..2 {
        world.pass(HOUR);
        keep_in_use().await;
        due().await;
    }
    other.catches_up_with(&world.node).await;
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
    let revoked = world.database.entries().await.into_iter().filter(|line| line.kind == "TokenRevoked");
    let by: Vec<String> = revoked.map(|line| line.text_at("/actor/by").to_owned()).collect();
    assert_eq!(by, ["system:inactivity"]);
    assert_eq!(world.node.difference(&other), None);
}

#[tokio::test]
async fn after_the_clock_has_jumped_there_is_time_to_use_what_is_needed() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let due = async || world.node.node().sweep_due().await.unwrap();
    due().await;
    world.pass(HOUR);
    due().await;
    world.pass(400 * DAY);
    assert_eq!(due().await, 0, "nobody could use anything meanwhile, as far as anybody knows");
    tenants.owner.get("/v1/whoami").await.expect(200);
    tenants.verifier.get("/v1/whoami").await.expect(200);
    world.pass(DAY);
    assert_eq!(due().await, 1);
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_stop_sweeps_once_it_is_set_back() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let due = async || world.node.node().sweep_due().await.unwrap();
    due().await;
    // What a node left behind whose clock was ahead by a year.
    let ahead = "UPDATE chancery_views.sweeps SET next_at = next_at + 365::bigint * 86400000000";
    world.database.execute(ahead).await;
    world.pass(31 * DAY);
    tenants.owner.get("/v1/whoami").await.expect(200);
    tenants.verifier.get("/v1/whoami").await.expect(200);
    assert_eq!(due().await, 0, "it is given another time within the hour");
    world.pass(HOUR);
    assert_eq!(due().await, 1);
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
}

#[tokio::test]
async fn a_sweep_that_fails_is_done_as_soon_as_it_can_be() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let other = "/v1/organizations/other/policy";
    world.node.admin().patch(other, json!({"max_inactive_days": 30})).await.expect(200);
    let also = world.node.admin().mint("also", json!({"organization": "other"}), &["member"]).await;
    world.pass(31 * DAY);
    for caller in [&tenants.owner, &tenants.verifier, &tenants.other_verifier] {
        caller.get("/v1/whoami").await.expect(200);
    }
    assert_eq!(world.node.node().sweep_due().await.unwrap(), 0);
    world.pass(HOUR);
    world.database.execute("ALTER TABLE chancery_views.usage RENAME TO away").await;
    world.node.node().sweep_due().await.unwrap_err();
    world.database.execute("ALTER TABLE chancery_views.away RENAME TO usage").await;
    assert_eq!(world.node.node().sweep_due().await.unwrap(), 2);
    assert_eq!(tenants.verifier.code_of(&token.secret).await, "revoked");
    assert_eq!(tenants.other_verifier.code_of(&also.secret).await, "revoked");
}

#[tokio::test]
async fn what_is_narrowed_keeps_what_it_came_from() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let holder = world.node.token(&token.secret);
    let child = holder.post("/v1/tokens/narrow", json!({"name": "child"})).await.text_of("secret");
    world.pass(31 * DAY);
    tenants.verifier.get("/v1/whoami").await.expect(200);
    assert_eq!(tenants.verifier.code_of(&child).await, "valid");
    assert_eq!(tenants.owner.post(SWEEP, json!({})).await.expect(200)["count"], 0);
    assert_eq!(tenants.verifier.code_of(&child).await, "valid");
}

#[tokio::test]
async fn tokens_of_the_instance_are_swept_by_its_own_policy() {
    let world = World::new().await;
    let (tenants, token) = forgotten(&world).await;
    let admin = world.node.admin();
    let auditor = admin.mint("auditor", json!({"instance": true}), &["instance-auditor"]).await;
    world.pass(20 * DAY);
    assert_eq!(admin.post("/v1/instance/sweep", json!({})).await.expect(200)["count"], 0);
    let policy = json!({"policy": {"max_inactive_days": 19}});
    let changed = admin.patch("/v1/instance", policy).await;
    assert_eq!(changed.expect(200)["policy"]["max_inactive_days"], 19);
    let swept = admin.post("/v1/instance/sweep", json!({})).await;
    assert_eq!(swept.expect(200)["tokens"][0]["id"], auditor.id);
    world.node.token(&auditor.secret).get("/v1/whoami").await.refused(401, "token_revoked");
    tenants.owner.post("/v1/instance/sweep", json!({})).await.refused(403, "forbidden");
    world.node.token(&token.secret).get("/v1/whoami").await.expect(200);
}
