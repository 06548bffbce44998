//! Processes are killed outright while they work, at random moments: what was acknowledged is there afterwards, once,
//! and whoever is left recovers by itself.

use crate::load::{Load, Summary};
use chancery_tests::{Binary, Choices, Database, Entry, Seed, entries, eventually, eventually_async, scale};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::time::Duration;

const CLIENTS: usize = 8;
/// After so many strikes a new authority begins, so that a long run reads no endless log.
const STRIKES: u64 = 25;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strike {
    /// The node; the test starts it again.
    Node,
    /// The node's private Postgres, as a whole.
    Postmaster,
    /// One process of it: the server ends all others and recovers.
    Backend(&'static str),
    /// The node and its Postgres, in this order or the other.
    Both,
}

const STRIKES_AT_ALL: [Strike; 8] = [
    Strike::Node,
    Strike::Postmaster,
    Strike::Both,
    Strike::Backend("walwriter"),
    Strike::Backend("checkpointer"),
    Strike::Backend("background writer"),
    // The ones that serve the node: the writer's, a reader's, the listener's.
    Strike::Backend("chancery"),
    Strike::Backend("chancery"),
];

/// Waits for a random moment under load.
async fn moment(load: &Load, choices: &Choices) {
    load.answers(10 + choices.below(60)).await;
    // Answers come in groups, right after a commit: so that the moment is any, not always that one.
    tokio::time::sleep(Duration::from_micros(choices.below(8_000))).await;
}

/// A node that was left alone is ready by itself, and gets on.
async fn recovers(binary: &Binary, load: &Load) {
    eventually_async("the node to be ready", async || {
        let ready = binary.anon().call("GET", "/readyz").try_send().await.ok()?;
        (ready.status == 204).then_some(())
    })
    .await;
    load.answers(20).await;
}

async fn restart(binary: &mut Binary, load: &Load) {
    binary.start().await;
    load.moves_to(&binary.anon());
}

/// The processes of a server with such a title.
fn processes(postmaster: u32, title: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        // The parent comes second after the name, which stands in brackets and may hold anything.
        let stat = read("stat");
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        if parent == Some(&postmaster.to_string()) && read("cmdline").contains(title) {
            found.push(pid);
        }
    }
    found
}

async fn strike(strike: Strike, binary: &mut Binary, load: &Load, choices: &Choices) {
    let before = binary.postmaster();
    let replaced = |binary: &Binary| binary.postmaster().is_some_and(|pid| Some(pid) != before);
    match strike {
        Strike::Node => {
            binary.kill().await;
            restart(binary, load).await;
        }
        Strike::Postmaster => {
            binary.kill_postgres();
            eventually("another postmaster", || replaced(binary)).await;
        }
        Strike::Backend(title) => {
            let found = processes(before.expect("a server"), title);
            assert!(!found.is_empty(), "no process of the server is a {title}");
            let pid = Pid::from_raw(choices.of(&found).cast_signed()).unwrap();
            // It may have ended by itself since.
            let _ = kill_process(pid, Signal::KILL);
        }
        Strike::Both => {
            if choices.below(2) == 0 {
                binary.kill_postgres();
                binary.kill().await;
            } else {
                binary.signal(Signal::KILL);
                // The server may be gone with its node already.
                let _ =
                    before.and_then(|pid| kill_process(Pid::from_raw(pid.cast_signed())?, Signal::KILL).ok());
                binary.exited().await;
            }
            restart(binary, load).await;
        }
    }
}

/// A session of strikes at one authority with a Postgres of its own.
async fn session(seed: &Seed, strikes: &[Strike], choices: &Choices) -> (u64, Summary) {
    let mut binary = Binary::alone();
    binary.start().await;
    let load = Load::start(&binary.anon(), CLIENTS, choices).await;
    let mut done = 0;
    for one in strikes {
        if done > 0 && !seed.goes_on(done, u64::MAX) {
            break;
        }
        done += 1;
        moment(&load, choices).await;
        strike(*one, &mut binary, &load, choices).await;
        recovers(&binary, &load).await;
    }
    let log = binary.postgres();
    let summary = load.finish(async || entries(&log).await).await;
    assert!(binary.terminate().await.status.success());
    assert!(binary.postmaster().is_none(), "the private Postgres is stopped with its node");
    (done, summary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_of_an_authority_is_killed_loses_nothing_and_does_nothing_twice() {
    let seed = Seed::new();
    let choices = seed.choices();
    let wanted = scale::pick(STRIKES_AT_ALL.len() as u64, 200);
    let (mut done, mut total) = (0, Summary::default());
    let mut kinds: BTreeMap<Strike, u64> = BTreeMap::new();
    while seed.goes_on(done, wanted) {
        let mut strikes: Vec<Strike> = STRIKES_AT_ALL.to_vec();
        while (strikes.len() as u64) < STRIKES.min(wanted - done) {
            strikes.push(*choices.of(&STRIKES_AT_ALL));
        }
        strikes.sort_by_cached_key(|_| choices.below(u64::MAX));
        let (struck, summary) = session(&seed, &strikes, &choices).await;
        for strike in &strikes[..usize::try_from(struck).unwrap()] {
            *kinds.entry(*strike).or_default() += 1;
        }
        (done, total) = (done + struck, summary.and(&total));
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind:?}")).collect();
    let seconds = seed.seconds();
    scale::figures("kill", &format!("{done} kills in {seconds} s ({}): {total}", kinds.join(", ")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_one_is_killed_again_and_again() {
    let seed = Seed::new();
    let choices = seed.choices();
    let database = Database::new().await;
    let mut nodes = [Binary::over(&database.url()), Binary::over(&database.url())];
    for node in &mut nodes {
        node.start().await;
    }
    let load = Load::start(&nodes[0].anon(), CLIENTS, &choices).await;
    let (mut kills, wanted) = (0, scale::pick(6, 150));
    while seed.goes_on(kills, wanted) {
        moment(&load, &choices).await;
        let (killed, left) = if kills % 2 == 0 { (0, 1) } else { (1, 0) };
        kills += 1;
        nodes[killed].kill().await;
        // What was asked of the dead node is asked of the other, which has to know all that was acknowledged.
        load.moves_to(&nodes[left].anon());
        nodes[killed].start().await;
        recovers(&nodes[left], &load).await;
    }
    let summary = load.finish(async || database.entries().await).await;
    for node in &mut nodes {
        assert!(node.terminate().await.status.success());
    }
    let seconds = seed.seconds();
    scale::figures("kill, one of two nodes", &format!("{kills} kills in {seconds} s: {summary}"));
}

/// The clients' own check is tried on a log that lost a line: `load`. Here, that kills leave anything to check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_breaks_calls_that_were_under_way() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    let load = Load::start(&binary.anon(), CLIENTS, &Seed::new().choices()).await;
    load.answers(50).await;
    binary.kill().await;
    restart(&mut binary, &load).await;
    load.answers(50).await;
    let read = async || -> Vec<Entry> { database.entries().await };
    let summary = load.finish(read).await;
    assert!(summary.broken > 0 && summary.tokens > 10, "{summary}");
}
