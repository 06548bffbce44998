//! A million live tokens: memory, the rate of verify, and the time to start.

use crate::measure::{memory, timed};
use crate::stand::Stand;
use crate::verify::{QUESTIONS, compare};
use domain::event::Answers;

const MANY: usize = 1_000_000;
const FEW: usize = 1_000;

/// All three.
pub(crate) async fn run() {
    let stand = Stand::new().await;
    let (many, seeding) = timed(stand.authority("many", Answers::Committed, MANY)).await;
    let few = stand.authority("few", Answers::Committed, FEW).await;
    let scripts = [few.questions(QUESTIONS), many.questions(QUESTIONS)];
    println!("{MANY} live tokens beside {FEW}\n");
    println!("minted in {:.1} s", seeding.as_secs_f64());
    let small = stand.serve(&few);
    let starts: Vec<f64> = (0..5).map(|_| stand.serve(&many).started_in.as_secs_f64()).collect();
    println!("started, from the log, in {:.2} s", crate::measure::median(starts));
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
