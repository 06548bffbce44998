//! Hostile input: every operation of `openapi.json`, with everything that can be wrong about a request of it, sent by
//! every kind of caller. Whatever comes, the answer is a clear refusal or a right one, a refusal changes nothing, and
//! nobody is shown what is another's.
//!
//! The cases come from the document itself; what a field's text means stands in `values`. A field without a meaning, an
//! operation without an accepted case and a route that the document lacks fail the suite.

mod cases;
mod document;
mod framing;
mod ground;
mod oracle;
mod surface;
mod values;

use cases::{Case, Expect, cases, plain, scrambled};
use chancery_tests::{Choices, Seed, Wire, scale};
use document::{Operation, operations};
use ground::{Ground, May};
use oracle::{Sent, fault};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many faults a lane collects before it gives up.
const ENOUGH: usize = 40;
/// Requests after which a lane begins with a fresh authority, so that lists stay short.
const CROP: usize = 20_000;

/// What one lane has seen.
#[derive(Default)]
struct Seen {
    sent: usize,
    refused: usize,
    by_operation: BTreeMap<String, usize>,
    accepted: BTreeSet<String>,
    faults: Vec<String>,
}

/// One lane: requests one after the other against an authority of its own, so that each one's effect is known.
struct Lane {
    ground: Ground,
    wire: Wire,
    choices: Choices,
    seen: Seen,
    since: usize,
}

impl Lane {
    async fn new(choices: Choices) -> Lane {
        let ground = Ground::new().await;
        let wire = Wire::to(ground.world.node.url());
        Lane { ground, wire, choices, seen: Seen::default(), since: 0 }
    }

    /// Sends a case as one caller and judges what comes of it.
    async fn send(&mut self, operation: &Operation, case: &Case, caller: usize) {
        let request = self.request(operation, case, caller);
        let before = self.ground.version();
        let reply = self.wire.send(&request, case.method == "HEAD").await;
        let has_changed = self.ground.version() != before;
        self.seen.sent += 1;
        self.since += 1;
        let name = format!("{} {}", operation.method, operation.template);
        *self.seen.by_operation.entry(name.clone()).or_default() += 1;
        let Some(reply) = reply else {
            if has_changed || case.sort != "size" {
                let request = String::from_utf8_lossy(&request[..request.len().min(700)]).into_owned();
                self.seen
                    .faults
                    .push(format!("no answer to {name} ({}: {})\n{request}", case.sort, case.about));
            }
            return;
        };
        let caller = &self.ground.callers[caller];
        let sent = Sent { operation, case, caller, request: &request, reply: &reply, has_changed };
        self.seen.faults.extend(fault(&self.ground, &sent));
        if reply.status < 400 {
            if case.sort == "plain" {
                self.seen.accepted.insert(name);
            }
        } else {
            self.seen.refused += 1;
        }
        if has_changed {
            self.ground.repair().await;
        }
    }

    fn request(&mut self, operation: &Operation, case: &Case, caller: usize) -> Vec<u8> {
        let target = self.ground.fill(&case.target);
        let body = case.body.as_ref().map(|body| self.ground.fill(body));
        let mut request = [case.method.as_bytes(), b" ", &target, b" HTTP/1.1\r\nhost: x\r\n"].concat();
        let mut credentials = vec![("authorization", self.ground.callers[caller].credential.clone())];
        if operation.template == "/v1/authorize" {
            // Once as the proxy's client, once as the proxy.
            let verifier = self.ground.callers[3].credential.clone();
            credentials.push(("chancery-caller", verifier));
            if self.choices.once_in(2) {
                let other = credentials[0].1.take();
                credentials[0].1 = credentials[1].1.take();
                credentials[1].1 = other;
            }
        }
        for (name, credential) in credentials {
            if let Some(credential) = credential {
                request.extend_from_slice(format!("{name}: Bearer {credential}\r\n").as_bytes());
            }
        }
        for (name, value) in &case.headers {
            request.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if let Some(body) = &body {
            request.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend(body.unwrap_or_default());
        request
    }

    /// The state is what a node folds that begins now, and every line that changed it is on the log.
    async fn settle(&mut self) {
        let fresh = self.ground.world.another().await;
        if let Some(difference) = fresh.difference(&self.ground.world.node) {
            self.seen.faults.push(format!("the state is not the log's: {difference}"));
        }
        fresh.stop().await;
        let lines = self.ground.world.database.entries().await;
        assert_eq!(lines.iter().filter(|line| !line.is_use()).count() as u64, self.ground.version());
        for secret in self.ground.secrets() {
            if let Some(line) = lines.iter().find(|line| line.text.contains(secret)) {
                self.seen.faults.push(format!("a secret on the log: {}", line.text));
            }
        }
        let metrics = self.ground.world.node.anon().get("/metrics").await.text;
        let routes: Vec<String> = surface::routes_in(&metrics);
        let unknown = routes.into_iter().find(|route| !surface::is_known(route));
        self.seen.faults.extend(unknown.map(|route| format!("{route} is served and not in the document")));
    }

    /// A fresh authority after many requests.
    async fn turn(&mut self) {
        if self.since >= CROP {
            self.settle().await;
            self.ground = Ground::new().await;
            self.wire = Wire::to(self.ground.world.node.url());
            self.since = 0;
        }
    }

    /// Somebody who may, mostly; else anybody.
    fn caller_for(&mut self, operation: &Operation) -> usize {
        let able: Vec<usize> = (0..self.ground.callers.len())
            .filter(|index| self.ground.callers[*index].may(operation) == May::Yes)
            .collect();
        if able.is_empty() || self.choices.once_in(3) {
            self.choices.index(self.ground.callers.len())
        } else {
            *self.choices.of(&able)
        }
    }
}

/// Every operation with its cases; methods that a path takes after all are left out.
fn all_cases(operations: &[Operation]) -> Vec<(usize, Case)> {
    let served: BTreeSet<(&str, &str)> =
        operations.iter().map(|operation| (&*operation.method, &*operation.template)).collect();
    let mut all = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let kept = cases(operation)
            .into_iter()
            .filter(|case| case.sort != "method" || !served.contains(&(&*case.method, &*operation.template)));
        all.extend(kept.map(|case| (index, case)));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_is_sent_the_answer_is_right_or_a_clear_refusal() {
    let seed = Seed::usual();
    let operations = Arc::new(operations(&api::document()));
    let all = Arc::new(all_cases(&operations));
    let lanes = scale::pick(2, 4);
    let mut running = Vec::new();
    for number in 0..lanes {
        let (operations, all, choices) = (Arc::clone(&operations), Arc::clone(&all), seed.choices());
        running.push(tokio::spawn(lane(number, lanes, choices, operations, all)));
    }
    let mut seen = Seen::default();
    for lane in running {
        let one = lane.await.unwrap();
        seen.sent += one.sent;
        seen.refused += one.refused;
        seen.faults.extend(one.faults);
        seen.accepted.extend(one.accepted);
        for (name, count) in one.by_operation {
            *seen.by_operation.entry(name).or_default() += count;
        }
    }
    let done = format!(
        "{} requests ({} distinct cases of {} operations, 13 callers), {} refused, {} violations, seed {}",
        seen.sent,
        all.len(),
        operations.len(),
        seen.refused,
        seen.faults.len(),
        seed.number(),
    );
    scale::figures("hostile", &done);
    assert!(seen.faults.is_empty(), "{}", seen.faults.join("\n"));
    for operation in operations.iter() {
        let name = format!("{} {}", operation.method, operation.template);
        assert!(seen.by_operation.get(&name).is_some_and(|count| *count > 20), "{name} has no cases");
        assert!(seen.accepted.contains(&name), "{name} has no case that is right");
    }
}

/// One lane's share: every case by one caller, or in the long form by all of them, then random ones.
async fn lane(
    number: usize,
    lanes: usize,
    choices: Choices,
    operations: Arc<Vec<Operation>>,
    all: Arc<Vec<(usize, Case)>>,
) -> Seen {
    let mut lane = Lane::new(choices).await;
    let plain: Vec<Case> = operations.iter().map(plain).collect();
    for (operation, case) in operations.iter().zip(&plain) {
        for caller in 0..lane.ground.callers.len() {
            lane.send(operation, case, caller).await;
        }
    }
    let every_caller = scale::pick(false, true);
    for (place, (operation, case)) in all.iter().enumerate().filter(|(place, _)| place % lanes == number) {
        let operation = &operations[*operation];
        let callers = if every_caller {
            (0..lane.ground.callers.len()).collect()
        } else {
            vec![lane.caller_for(operation), lane.choices.index(lane.ground.callers.len())]
        };
        for caller in callers {
            lane.send(operation, case, caller).await;
        }
        lane.turn().await;
        assert!(lane.seen.faults.len() < ENOUGH, "case {place}:\n{}", lane.seen.faults.join("\n"));
    }
    for _ in 0..scale::pick(1_000, 40_000) {
        let operation = lane.choices.index(operations.len());
        let case = scrambled(&operations[operation], &lane.choices);
        let caller = lane.caller_for(&operations[operation]);
        lane.send(&operations[operation], &case, caller).await;
        lane.turn().await;
        assert!(lane.seen.faults.len() < ENOUGH, "random:\n{}", lane.seen.faults.join("\n"));
    }
    lane.settle().await;
    lane.seen
}

/// The oracle finds what it is there for: answers that nobody gave, held against it.
#[tokio::test]
async fn the_oracle_finds_what_is_wrong() {
    use chancery_tests::Reply;
    let ground = Ground::new().await;
    let operations = operations(&api::document());
    let mint = operations.iter().find(|one| one.method == "POST" && one.template == "/v1/tokens").unwrap();
    let secret = ground.callers[0].credential.clone().unwrap();
    let reply = |status: u16, body: &str| Reply {
        status,
        headers: vec![
            ("content-type".to_owned(), "application/problem+json".to_owned()),
            ("x-request-id".to_owned(), "r".to_owned()),
        ],
        body: body.as_bytes().to_vec(),
    };
    let problem = |code: &str, status: u16, detail: &str| {
        let body = serde_json::json!({"code": code, "status": status, "detail": detail, "request_id": "r"});
        reply(status, &body.to_string())
    };
    let good = problem("invalid_value", 422, "name: wrong");
    let named = || Expect::Wrong(Some("name".to_owned()));
    for (reply, expect, has_changed, caller, is_fault) in [
        (&good, named(), false, 0, false),
        (&good, named(), true, 0, true),
        (&good, Expect::Right, false, 0, true),
        (&good, Expect::Status(&[400]), false, 0, true),
        (&problem("invalid_value", 422, "wrong"), named(), false, 0, true),
        (&problem("invalid_value", 422, "name \u{202e}"), named(), false, 0, true),
        (&problem("invalid_value", 400, "name"), named(), false, 0, true),
        (&problem("unheard_of", 422, "name"), named(), false, 0, true),
        (&problem("invalid_value", 422, &format!("name {secret}")), named(), false, 0, true),
        (&problem("invalid_value", 422, "name zzq-other"), named(), false, 0, true),
        (&problem("invalid_value", 422, "name zzq-acme"), named(), false, 4, true),
        (&problem("unauthenticated", 401, "name"), named(), false, 0, true),
        (&problem("internal", 500, "name"), Expect::Open, false, 0, true),
        (&problem("caller_refused", 503, "name"), Expect::Open, false, 0, true),
        (&reply(422, "name"), named(), false, 0, true),
        (&reply(201, "{}"), named(), true, 0, true),
        (&reply(201, "{}"), Expect::Open, true, 3, true),
        (&reply(201, "{}"), Expect::Right, true, 0, false),
    ] {
        let case = Case { expect, ..plain(mint) };
        let caller = &ground.callers[caller];
        let sent = Sent { operation: mint, case: &case, caller, request: b"", reply, has_changed };
        let found = fault(&ground, &sent);
        assert_eq!(found.is_some(), is_fault, "{found:?} {reply:?} {:?}", case.expect);
    }
}
