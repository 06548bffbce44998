//! A million live tokens: memory, the rate of verify, the time to start, and the past.

use crate::measure::{median, memory, quantile, timed};
use crate::stand::{Authority, Shuffle, Stand};
use crate::verify::{QUESTIONS, compare};
use domain::event::Answers;
use domain::history::Moment;
use domain::state::State;
use projections::Options;
use std::time::Duration;

const MANY: usize = 1_000_000;
const FEW: usize = 1_000;
/// Lifecycle events that are called recent.
const RECENT: u64 = 100_000;

/// All four.
pub(crate) async fn run() {
    let stand = Stand::new().await;
    let (many, seeding) = timed(stand.authority("many", Answers::Committed, MANY)).await;
    let few = stand.authority("few", Answers::Committed, FEW).await;
    let scripts = [few.questions(QUESTIONS), many.questions(QUESTIONS)];
    println!("{MANY} live tokens beside {FEW}\n");
    println!("minted in {:.1} s", seeding.as_secs_f64());
    let small = stand.serve(&few);
    stand.forget_snapshots(&many);
    let starts = || -> Vec<f64> { (0..5).map(|_| stand.serve(&many).started_in.as_secs_f64()).collect() };
    let from_log = median(starts());
    past(&stand, &many).await;
    let from_snapshot = median(starts());
    println!("started, from the log, in {from_log:.2} s; from a snapshot, in {from_snapshot:.2} s");
    let large = stand.serve(&many);
    let resident = |pid| memory(pid, "VmRSS") as f64;
    let (base, whole) = (resident(small.pid()), resident(large.pid()));
    let peak = memory(large.pid(), "VmHWM") as f64;
    println!(
        "resident after the start: {:.0} B a token, all included; {:.0} B without what a node with {FEW} takes; at most {:.0} B while starting",
        whole / MANY as f64,
        (whole - base) / MANY as f64,
        peak / MANY as f64
    );
    let share = compare(&stand, (&small, &scripts[0]), (&large, &scripts[1]));
    println!("verify at 64 connections: {:.1} % of the rate with {FEW}", share * 100.0);
    println!("resident after it: {:.0} B a token\n", resident(large.pid()) / MANY as f64);
    drop((small, large));
    stand.stop().await;
}

/// How long it takes to come to the state at moments of the past, once snapshots have been taken.
async fn past(stand: &Stand, authority: &Authority) {
    let node = stand.node(authority, None).await;
    let version = node.live().read(State::version);
    while node.snapshot_version() + (version / 8).max(Options::SNAPSHOT_EVERY) <= version {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut shuffle = Shuffle::new();
    let mut times = async |count: usize, from: u64| {
        let mut times = Vec::new();
        for _ in 0..count {
            let moment = from + shuffle.below((version - from) as usize) as u64;
            let (found, time) = timed(node.as_of(Moment::Version(moment))).await;
            assert_eq!(found.unwrap().unwrap().state.version(), moment);
            times.push(time.as_secs_f64() * 1e3);
        }
        times
    };
    let (recent, any) = (times(100, version - RECENT).await, times(40, 0).await);
    for (what, times) in [("the last 100,000 events", recent), ("all of them", any)] {
        let [middle, most] = [0.5, 0.95].map(|part| quantile(&times, part));
        println!("as of a moment of {what}: {middle:.0} ms, p95 {most:.0} ms");
    }
    node.stop().await.unwrap();
}
