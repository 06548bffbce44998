//! Whoever keeps the views is killed outright, and its connections end in the middle of its statements: no line is taken
//! in twice, and none is skipped.

use super::views::{folded, settled, stored};
use crate::load::Load;
use chancery_tests::{Binary, Cut, Database, NodeOptions, Proxy, Seed, Way, eventually, scale};
use serde_json::json;
use std::time::Duration;

const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_whose_keeper_is_killed_and_cut_off_are_a_fold_of_the_log() {
    let seed = Seed::new();
    let choices = seed.choices();
    let (database, wanted) = (Database::new().await, scale::pick(6, 300));
    let proxy = Proxy::start(&database).await;
    let mut binary = Binary::over(&proxy.url());
    binary.start().await;
    let load = Load::start(&binary.anon(), CLIENTS, &choices).await;
    let (mut rounds, mut kills) = (0, 0);
    while seed.goes_on(rounds, wanted) {
        rounds += 1;
        load.answers(5 + choices.below(40)).await;
        if choices.once_in(3) {
            // Refused where the node has just lost its database.
            let _ = binary.admin().call("POST", "/v1/audit/rebuild").json(&json!({})).try_send().await;
        }
        if rounds % 2 == 0 {
            // Answers come right after a commit, and the views a moment later.
            tokio::time::sleep(Duration::from_micros(choices.below(60_000))).await;
            binary.kill().await;
            binary.start().await;
            load.moves_to(&binary.anon());
            kills += 1;
        } else {
            // Anywhere in what the node sends, the views' statements among it, or in what it is answered.
            let way = *choices.of(&[Way::Request, Way::Reply]);
            proxy.cut(Cut { way, after: choices.index(20_000), stalls: false });
            eventually("the cut", || proxy.cuts().0 + kills >= rounds).await;
        }
    }
    load.answers(20).await;
    let summary = load.finish(async || database.entries().await).await;
    binary.kill().await;
    let heir = NodeOptions::on(&database).start().await;
    settled(&heir).await;
    assert_eq!(stored(&database).await, folded(&database).await);
    let cuts = proxy.cuts().0;
    let done = format!("{kills} kills and {cuts} cuts in {rounds} rounds, {} s: {summary}", seed.seconds());
    scale::figures("kept views", &done);
    heir.stop().await;
}
