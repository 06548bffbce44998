//! What happens between two steps of a node: at each such point an error, a pause and a panic are planned, with
//! commands and verifies in flight.

use crate::load::Load;
use chancery_tests::{
    Actor, Choices, Database, Entry, Minted, NodeOptions, Seed, TestNode, eventually, eventually_async,
    scale, within,
};
use eventlog::{Fault, Faults, Point, Settings};
use projections::Fatal;
use serde_json::json;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::task::JoinHandle;

const CLIENTS: usize = 4;

/// The points that a node comes to while it writes and follows; those of uses that were answered already have a test
/// of their own.
const POINTS: [Point; 10] = [
    Point::Sending,
    Point::Answered,
    Point::Resolving,
    Point::Locked,
    Point::Committing,
    Point::Folding,
    Point::Replying,
    Point::Waking,
    Point::CatchingUp,
    Point::Looking,
];

/// A node with faults, one without on the same log, and clients of the first.
struct Stand {
    database: Database,
    faults: Faults,
    node: TestNode,
    other: TestNode,
    names: u64,
}

async fn start(database: &Database) -> (Faults, TestNode) {
    let faults = Faults::default();
    let options = NodeOptions::on(database).impatient().faults(&faults);
    // A start is not what is tried here, and a busy server may take its time.
    let settings = Settings { connect_timeout: Duration::from_secs(20), ..options.settings };
    let node = NodeOptions { settings, ..options }.start().await;
    (faults, node)
}

impl Stand {
    async fn new() -> Stand {
        let database = Database::new().await;
        let (faults, node) = start(&database).await;
        let other = NodeOptions::on(&database).start().await;
        Stand { database, faults, node, other, names: 0 }
    }

    /// The other node writes a lifecycle event.
    async fn intrude(&mut self) {
        self.names += 1;
        self.other.admin().organization(&format!("org-{}", self.names)).await;
    }

    /// The node's next commit waits to be sent.
    fn hold(&self) {
        self.faults.plan(Point::Sending, Fault::Pause, 1);
    }

    /// The commit that waits loses two races to the other node, and takes the lock.
    async fn lose_races(&mut self) {
        for last in [false, true] {
            within("an append", self.faults.met(Point::Sending, 1)).await;
            self.intrude().await;
            if last {
                self.faults.clear(Point::Sending);
            } else {
                // The plan that takes its place lets the first append go, and holds the second.
                self.hold();
            }
        }
    }

    /// Plans a fault, and brings about what the way to its point takes.
    async fn plan(&mut self, point: Point, fault: Fault, times: u64) {
        self.faults.plan(point, fault, times);
        match point {
            Point::Resolving => self.faults.plan(Point::Answered, Fault::Error, times),
            Point::Locked | Point::Committing => {
                self.hold();
                self.lose_races().await;
            }
            Point::CatchingUp => self.intrude().await,
            _ => {}
        }
    }
}

/// Whether a node cannot go on: it does not know what its memory holds, or its task is gone.
fn stops(point: Point, fault: Fault) -> bool {
    match fault {
        Fault::Pause => false,
        Fault::Error => matches!(point, Point::Folding | Point::Replying),
        Fault::Panic => true,
    }
}

async fn meet(stand: &mut Stand, load: &Load, point: Point, fault: Fault, times: u64) {
    stand.plan(point, fault, times).await;
    within(&format!("{fault:?} at {point:?}"), stand.faults.met(point, 1)).await;
    if stops(point, fault) {
        let fatal = within("the node to stop", stand.node.node().failing()).await;
        assert_eq!(matches!(*fatal, Fatal::Panicked("scribe")), fault == Fault::Panic, "{fatal}");
        stand.node.anon().get("/readyz").await.refused(503, "unavailable");
        stand.node.admin().get("/v1/whoami").await.refused(503, "unavailable");
        // Whoever ran it starts it again.
        let (faults, node) = start(&stand.database).await;
        load.moves_to(&node.anon());
        stand.faults = faults;
        // Its tasks and connections end with it, as a process's would.
        std::mem::replace(&mut stand.node, node).stop().await;
    } else if fault == Fault::Pause {
        if !matches!(point, Point::Waking) {
            // Meanwhile the other node is held up for a moment at most.
            within("the other node", stand.other.admin().get("/v1/whoami")).await.expect(200);
        }
        stand.faults.clear(point);
    }
    load.answers(12).await;
    assert!(stand.node.node().failure().is_none(), "{fault:?} at {point:?}");
    for point in POINTS {
        stand.faults.clear(point);
    }
}

fn shuffled<T: Clone>(all: &[T], choices: &Choices) -> Vec<T> {
    let mut all = all.to_vec();
    all.sort_by_cached_key(|_| choices.below(u64::MAX));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_every_point_a_node_recovers_by_itself_or_stops_and_nothing_is_lost_or_done_twice() {
    let seed = Seed::new();
    let choices = seed.choices();
    let mut stand = Stand::new().await;
    let load = Load::start(&stand.node.anon(), CLIENTS, &choices).await;
    let (mut round, mut met, mut stopped) = (0, 0, 0);
    while seed.goes_on(round, scale::pick(1, 30)) {
        for point in shuffled(&POINTS, &choices) {
            for fault in shuffled(&[Fault::Error, Fault::Pause, Fault::Panic], &choices) {
                if (point, fault) == (Point::Waking, Fault::Panic) {
                    // The task that sends notifications has nothing to panic over, and nobody relies on it.
                    continue;
                }
                let times = if fault == Fault::Error && round > 0 { 1 + choices.below(4) } else { 1 };
                meet(&mut stand, &load, point, fault, times).await;
                met += 1;
                stopped += u64::from(stops(point, fault));
            }
        }
        round += 1;
    }
    let summary = load.finish(async || stand.database.entries().await).await;
    stand.node.catches_up_with(&stand.other).await;
    assert_eq!(stand.node.difference(&stand.other), None);
    let done = format!("{met} faults in {} s, {stopped} of them stops: {summary}", seed.seconds());
    scale::figures("faults", &done);
}

/// A mint and a verify that are under way.
struct Flight {
    mint: JoinHandle<Minted>,
    verify: JoinHandle<String>,
}

fn take_off(admin: &Actor, verifier: &Actor, secret: &str, name: &str) -> Flight {
    let body = json!({"name": name, "scope": {"organization": "acme"}, "grants": ["member"]});
    let call = admin.call("POST", "/v1/tokens").key(name).json(&body);
    let mint = tokio::spawn(async move { Minted::from(&call.send().await) });
    let (verifier, secret) = (verifier.clone(), secret.to_owned());
    let verify = tokio::spawn(async move { verifier.code_of(&secret).await });
    Flight { mint, verify }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_out_before_its_record_and_its_fold() {
    let stand = Stand::new().await;
    let (admin, log) = (stand.node.admin(), &stand.database);
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let verifier = stand.node.token(&verifier.secret);
    for (point, on_log) in
        [(Point::Sending, false), (Point::Answered, true), (Point::Folding, true), (Point::Replying, true)]
    {
        let name = format!("{point:?}");
        let before = log.size().await;
        stand.faults.plan(point, Fault::Pause, 1);
        let flight = take_off(&admin, &verifier, &token.secret, &name);
        within("the point", stand.faults.met(point, 1)).await;
        assert_eq!(log.size().await > before, on_log, "{name}");
        assert!(!flight.mint.is_finished() && !flight.verify.is_finished(), "{name}: nothing is answered");
        let folded = stand.node.node().live().position() > before;
        assert_eq!(folded, point == Point::Replying, "{name}");
        stand.faults.clear(point);
        let minted = within("the mint", flight.mint).await.unwrap();
        assert_eq!(within("the verify", flight.verify).await.unwrap(), "valid");
        let entries = log.entries_from(before).await;
        let count = |kind: &str, token: &str| {
            entries.iter().filter(|entry| entry.kind == kind && entry.text_at("/token") == token).count()
        };
        assert_eq!((count("TokenMinted", &minted.id), count("TokenUsed", &token.id)), (1, 1), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_the_lock_and_falls_asleep_delays_the_others_and_stops_nobody() {
    let mut stand = Stand::new().await;
    let admin = stand.node.admin();
    for point in [Point::Locked, Point::Committing] {
        stand.hold();
        let made = tokio::spawn({
            let (admin, name) = (admin.clone(), format!("{point:?}").to_lowercase());
            async move {
                admin.call("POST", "/v1/organizations").key(&name).json(&json!({"name": name})).send().await
            }
        });
        stand.faults.plan(point, Fault::Pause, 1);
        stand.lose_races().await;
        within("the lock", stand.faults.met(point, 1)).await;
        // The server takes the lock back after a second.
        stand.intrude().await;
        assert!(!made.is_finished());
        stand.faults.clear(point);
        let answer = within("the answer", made).await.unwrap();
        assert!(matches!(answer.status, 201 | 503), "{}", answer.text);
        let name = format!("{point:?}").to_lowercase();
        let repeat =
            || admin.call("POST", "/v1/organizations").key(&name).json(&json!({"name": name})).send();
        eventually_async("the repeat", async || (repeat().await.status == 201).then_some(())).await;
        let entries = stand.database.entries().await;
        let made = |entry: &&Entry| entry.kind == "OrganizationCreated" && entry.text_at("/name") == name;
        assert_eq!(entries.iter().filter(made).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_that_were_answered_already_are_recorded_once_whatever_happens_on_the_way() {
    let database = Database::new().await;
    let faults = Faults::default();
    let node = NodeOptions::on(&database).impatient().bounded().faults(&faults).start().await;
    let admin = node.admin();
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let verifier = node.token(&verifier.secret);
    let unrecorded = || node.node().live().stats.unrecorded.load(SeqCst);
    let mut answered = 0;
    let verify = async || {
        let verdict = verifier.post("/v1/verify", json!({"token": token.secret})).await;
        assert!(matches!(verdict.code(), "valid" | "stale"), "{}", verdict.text);
        usize::from(verdict.status == 200)
    };
    for (point, fault) in [
        (Point::Recording, Fault::Error),
        (Point::Recording, Fault::Pause),
        (Point::Sending, Fault::Error),
        (Point::Answered, Fault::Error),
        (Point::Answered, Fault::Pause),
    ] {
        faults.plan(point, fault, 1);
        eventually_async("an answer", async || {
            let came = verify().await;
            answered += came;
            (came > 0).then_some(())
        })
        .await;
        within("the point", faults.met(point, 1)).await;
        faults.clear(point);
        eventually("the use to be recorded", || unrecorded() == 0).await;
    }
    let uses = database.entries().await;
    let uses = uses.iter().filter(|entry| entry.kind == "TokenUsed" && entry.text_at("/token") == token.id);
    assert_eq!(uses.count(), answered);
    faults.plan(Point::Recording, Fault::Panic, 1);
    verify().await;
    let fatal = within("the node to stop", node.node().failing()).await;
    assert!(matches!(*fatal, Fatal::Panicked("recorder")), "{fatal}");
    node.anon().get("/readyz").await.refused(503, "unavailable");
}
