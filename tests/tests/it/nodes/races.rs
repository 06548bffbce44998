use chancery_tests::{Actor, Database, NodeOptions, TestNode, within};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

async fn three(database: &Database) -> Vec<TestNode> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(NodeOptions::on(database).start().await);
    }
    nodes
}

fn count(nodes: &[TestNode], of: impl Fn(&projections::Stats) -> &AtomicU64) -> u64 {
    nodes.iter().map(|node| of(&node.node().live().stats).load(Relaxed)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_all_nodes_one_makes_a_name() {
    let database = Database::new().await;
    let nodes = three(&database).await;
    for round in 0..10 {
        let body = json!({"name": format!("org-{round}")});
        let calls = (0..9).map(|n| {
            let (actor, body) = (nodes[n % 3].admin(), body.clone());
            async move { actor.post("/v1/organizations", body).await.status }
        });
        let mut statuses = join_all(calls).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409, 409]);
    }
    for node in &nodes {
        node.catches_up_with(&nodes[0]).await;
        assert_eq!(node.difference(&nodes[0]), None);
    }
}

/// Mints until it is told that it is enough; answers the ids.
async fn minting(actor: Actor, writer: usize, enough: &(impl Fn() -> bool + Sync)) -> Vec<String> {
    let mut ids = Vec::new();
    while !enough() {
        let name = format!("{writer}-{}", ids.len());
        ids.push(actor.mint(&name, json!({"organization": "acme"}), &["member"]).await.id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_races_takes_the_lock_and_nothing_is_lost_or_done_twice() {
    let database = Database::new().await;
    let nodes = three(&database).await;
    nodes[0].admin().organization("acme").await;
    let enough = || count(&nodes, |stats| &stats.races) > 20 && count(&nodes, |stats| &stats.locks) > 2;
    let minters = (0..9).map(|writer| minting(nodes[writer % 3].admin(), writer, &enough));
    let minted: Vec<String> = within("races and locks", join_all(minters)).await.concat();
    let entries = database.entries().await;
    let mut on_log: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.kind == "TokenMinted")
        .map(|entry| entry.text_at("/token"))
        .collect();
    let mut acknowledged: Vec<&str> = minted.iter().map(String::as_str).collect();
    on_log.sort_unstable();
    acknowledged.sort_unstable();
    assert_eq!(on_log, acknowledged);
    let uses = entries.iter().filter(|entry| entry.kind == "AdminTokenUsed").count();
    assert_eq!(uses, minted.len() + 1, "each call is one use");
    let metrics = nodes[0].anon().get("/metrics").await.text;
    for name in ["chancery_log_races_total", "chancery_log_locks_total"] {
        assert!(metrics.contains(name), "{name} is counted");
    }
    for node in &nodes {
        node.catches_up_with(&nodes[0]).await;
        assert_eq!(node.difference(&nodes[0]), None);
    }
}
