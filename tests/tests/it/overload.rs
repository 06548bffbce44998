//! More than may wait is turned away at once, and what waits is served.

use chancery_tests::{NodeOptions, World, eventually};
use futures_util::future::join_all;
use serde_json::json;
use sqlx::{Connection, Executor};
use std::sync::atomic::Ordering::Relaxed;

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_told_to_come_again() {
    let world = World::with(|options| NodeOptions { capacity: 6, ..options }).await;
    let tenants = world.tenants().await;
    let mut holder = world.database.superuser().await;
    holder.execute("BEGIN").await.unwrap();
    holder.execute("SELECT size FROM chancery.log_head FOR UPDATE").await.unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let verifier = tenants.verifier.clone();
            tokio::spawn(async move { verifier.post("/v1/verify", json!({"token": "a key"})).await })
        })
        .collect();
    let stats = &world.node.node().live().stats;
    eventually("too much to wait", || stats.overloads.load(Relaxed) >= 14).await;
    let batch = json!({"items": [{"token": "a"}, {"token": "b"}]});
    let refused = tenants.verifier.post("/v1/verify/batch", batch).await;
    refused.refused(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    let before = world.node.state(domain::state::State::version);
    world.node.admin().post("/v1/organizations", json!({"name": "no"})).await.refused(503, "overloaded");
    holder.execute("COMMIT").await.unwrap();
    holder.close().await.unwrap();
    let answers = join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.as_ref().unwrap().status == 200).count();
    assert_eq!(served, 6, "what waited is served");
    assert_eq!(
        world.node.state(domain::state::State::version),
        before,
        "what was turned away did not happen"
    );
    assert_eq!(tenants.verifier.code_of("a key").await, "unknown", "there is room again");
}

#[tokio::test]
async fn in_bounded_mode_what_cannot_be_recorded_is_not_answered() {
    let small = |options: NodeOptions| NodeOptions { capacity: 6, ..options.bounded() };
    let world = World::with(small).await;
    let tenants = world.tenants().await;
    let mut holder = world.database.superuser().await;
    holder.execute("BEGIN").await.unwrap();
    holder.execute("SELECT size FROM chancery.log_head FOR UPDATE").await.unwrap();
    let mut answered = 0;
    for _ in 0..20 {
        let answer = tenants.verifier.post("/v1/verify", json!({"token": "a key"})).await;
        if answer.status == 200 {
            answered += 1;
        } else {
            answer.refused(503, "overloaded");
        }
    }
    assert_eq!(answered, 6, "each answer has its place in the queue");
    holder.execute("COMMIT").await.unwrap();
    holder.close().await.unwrap();
    let stats = &world.node.node().live().stats;
    eventually("the uses to be recorded", || stats.unrecorded.load(Relaxed) == 0).await;
    tenants.verifier.post("/v1/verify", json!({"token": "a key"})).await.expect(200);
}
