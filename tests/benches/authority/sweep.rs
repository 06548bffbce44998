//! A sweep over a million live tokens, none of which was ever used: how long it takes, and for how long whoever looks at
//! the state waits meanwhile.

use crate::measure::timed;
use crate::stand::{ORGANIZATIONS, Stand, command, organization_name};
use domain::decide::{ChangeOrganizationPolicy, Command, PolicyChange};
use domain::event::Answers;
use domain::scope::Scope;
use eventlog::Clock;
use projections::{Call, Client, Node, Presented};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TOKENS: usize = 1_000_000;
const DAYS: u32 = 30;

/// First only looking, then revoking all of them.
pub(crate) async fn run() {
    let stand = Stand::new().await;
    let authority = stand.authority("sweep", Answers::Committed, TOKENS).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let later = now + Duration::from_hours(24) * (DAYS + 1);
    let node = stand.node(&authority, Some(Clock::manual(later.as_micros() as i64))).await;
    let mut scopes = Vec::new();
    for organization in (0..ORGANIZATIONS).map(organization_name) {
        let change = PolicyChange { max_inactive_days: Some(DAYS), ..PolicyChange::default() };
        scopes.push(node.live().read(|state| state.find_organization(&organization).unwrap().id));
        let change = ChangeOrganizationPolicy { organization, change, dry_run: false };
        command(&node, Command::ChangeOrganizationPolicy(change)).await;
    }
    let scopes: Vec<Scope> = scopes.into_iter().map(Scope::Organization).collect();
    println!("{TOKENS} live tokens that were never used, in {ORGANIZATIONS} organizations\n");
    for revokes in [false, true] {
        let sweeping = async {
            let mut found = 0;
            for scope in &scopes {
                found += if revokes {
                    node.sweep(*scope, &call()).await.unwrap().len()
                } else {
                    node.inactive(*scope, DAYS).await.unwrap().len()
                };
            }
            found
        };
        let (found, took, longest) = probed(&node, sweeping).await;
        println!(
            "{} {found} in {:.1} s; the state was not to be had for {:.1} ms at most",
            if revokes { "revoked" } else { "found" },
            took.as_secs_f64(),
            longest.as_secs_f64() * 1_000.0
        );
    }
    println!();
    node.stop().await.unwrap();
    stand.stop().await;
}

fn call() -> Call {
    Call {
        presented: Presented::Job("inactivity"),
        client: Client::default(),
        request: "benchmark".into(),
        operation: "benchmark",
        object: None,
        personal: Vec::new(),
    }
}

/// Runs something, and looks at the state from a thread of its own all the while: how long the longest look took.
async fn probed<R>(node: &Node, work: impl Future<Output = R>) -> (R, Duration, Duration) {
    let (live, done) = (node.live().clone(), std::sync::Arc::new(AtomicBool::new(false)));
    let ended = done.clone();
    let probe = std::thread::spawn(move || {
        let mut longest = Duration::ZERO;
        while !ended.load(Relaxed) {
            let began = Instant::now();
            live.read(domain::state::State::version);
            longest = longest.max(began.elapsed());
            std::thread::sleep(Duration::from_micros(100));
        }
        longest
    });
    let (result, took) = timed(work).await;
    done.store(true, Relaxed);
    (result, took, probe.join().unwrap())
}
