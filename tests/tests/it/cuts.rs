//! The connection to the database ends after any byte, or falls silent, in either direction: nothing is lost, nothing
//! is done twice, and nobody is told of a failure that was none.

use crate::load::Load;
use chancery_tests::{Cut, Database, NodeOptions, Proxy, Seed, Way, eventually, scale};
use eventlog::Settings;
use std::time::Duration;

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_anywhere_loses_nothing_and_does_nothing_twice() {
    let seed = Seed::new();
    let choices = seed.choices();
    let (database, wanted) = (Database::new().await, scale::pick(40, 1_500));
    let proxy = Proxy::start(&database).await;
    let options = NodeOptions { database: proxy.options(), ..NodeOptions::on(&database) }.impatient();
    // A connection that fell silent is given up a second after this.
    let settings = Settings {
        append_timeout: Duration::from_millis(300),
        lock_timeout: Duration::from_millis(200),
        read_timeout: Duration::from_millis(300),
        ..options.settings
    };
    let node = NodeOptions { settings, ..options }.start().await;
    let load = Load::start(&node.anon(), CLIENTS, &choices).await;
    let (mut cuts, mut stalls) = (0, 0);
    while seed.goes_on(cuts, wanted) {
        cuts += 1;
        load.answers(2 + choices.below(12)).await;
        let way = *choices.of(&[Way::Request, Way::Reply]);
        // An append is some hundred bytes to some thousands, its answer about a hundred.
        let most = if way == Way::Request { 6_000 } else { 400 };
        let is_stall = cuts % 10 == 0;
        stalls += u64::from(is_stall);
        proxy.cut(Cut { way, after: usize::try_from(choices.below(most)).unwrap(), stalls: is_stall });
        eventually("the cut", || proxy.cuts().0 >= cuts).await;
    }
    load.answers(20).await;
    let summary = load.finish(async || database.entries().await).await;
    let (happened, in_commits) = proxy.cuts();
    assert_eq!(happened, cuts);
    assert!(in_commits * 5 > cuts, "many of them in the middle of a commit: {in_commits}");
    let fresh = NodeOptions::on(&database).start().await;
    node.catches_up_with(&fresh).await;
    assert_eq!(node.difference(&fresh), None);
    let done = format!(
        "{cuts} cuts in {} s, {in_commits} of them in a commit, {stalls} silent: {summary}",
        seed.seconds()
    );
    scale::figures("cuts", &done);
}
