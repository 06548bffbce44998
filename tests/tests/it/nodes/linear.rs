//! What one node has acknowledged holds for every question that another is asked from then on.
//!
//! Each lane changes one token after another on one node. While it does, its askers verify the lane's token on the
//! other node without a pause, and know of each question what had been acknowledged before it was sent.

use chancery_tests::{Actor, Answer, Binary, Database, Minted, NodeOptions, Seed, scale, within};
use eventlog::{Fault, Faults, Point};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use tokio::sync::{Mutex, Semaphore, watch};

const LANES: usize = 32;
const ASKERS: usize = 2;

/// What has been acknowledged of a token.
const MINTED: u8 = 1;
const CHANGING: u8 = 2;
const CHANGED: u8 = 3;

/// One token, and what is to be said of it once it is changed.
struct Watched {
    id: String,
    question: Value,
    afterwards: &'static str,
    stage: AtomicU8,
    asked_before: Semaphore,
    asked_after: Semaphore,
}

/// Who changes and who asks, each on a node of its own, and what they came to.
struct Race {
    changer: Actor,
    asker: Actor,
    /// Tokens that exist already; none are made on the way.
    stock: Mutex<Vec<Minted>>,
    asked: AtomicU64,
    met: AtomicU64,
    unanswered: AtomicU64,
    violations: Mutex<Vec<String>>,
}

impl Race {
    fn new(changer: &Actor, asker: &Actor) -> Race {
        Race {
            changer: changer.clone(),
            asker: asker.clone(),
            stock: Mutex::default(),
            asked: AtomicU64::new(0),
            met: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            violations: Mutex::default(),
        }
    }

    /// Takes so many tokens through their lives, on all lanes at once.
    async fn run(self: Arc<Self>, tokens: usize) -> Arc<Race> {
        let lanes = (0..LANES).map(|lane| {
            let (sender, seen) = watch::channel(None);
            let askers = (0..ASKERS).map(|_| tokio::spawn(Arc::clone(&self).ask(seen.clone())));
            let askers: Vec<_> = askers.collect();
            let race = Arc::clone(&self);
            let changing = tokio::spawn(async move {
                for n in (lane..tokens).step_by(LANES) {
                    race.live(&sender, n).await;
                }
            });
            async move {
                changing.await.unwrap();
                for asker in askers {
                    asker.await.unwrap();
                }
            }
        });
        join_all(lanes).await;
        self
    }

    /// One token's life.
    async fn live(&self, lane: &watch::Sender<Option<Arc<Watched>>>, n: usize) {
        let token = match self.stock.lock().await.pop() {
            Some(token) => token,
            None => self.changer.mint(&format!("r{n}"), json!({"organization": "acme"}), &["member"]).await,
        };
        let (afterwards, permission) = match n % 4 {
            0 | 1 => ("revoked", None),
            2 => ("superseded", None),
            _ => ("forbidden", Some("tokens:mint")),
        };
        let watched = Arc::new(Watched {
            question: json!({"token": token.secret, "permission": permission}),
            id: token.id,
            afterwards,
            stage: AtomicU8::new(MINTED),
            asked_before: Semaphore::new(0),
            asked_after: Semaphore::new(0),
        });
        lane.send_replace(Some(Arc::clone(&watched)));
        within("a question before the change", watched.asked_before.acquire()).await.unwrap().forget();
        watched.stage.store(CHANGING, SeqCst);
        let replaced = self.change(&watched).await;
        watched.stage.store(CHANGED, SeqCst);
        if let Some(secret) = replaced {
            let verdict = self.asker.verify(&secret).await;
            self.note(verdict.code() == "valid", &watched, "the new secret", &verdict).await;
        }
        within("questions after it", watched.asked_after.acquire_many(2)).await.unwrap().forget();
    }

    /// Takes away what the token could; answers its new secret, if it has one.
    async fn change(&self, watched: &Watched) -> Option<String> {
        let path = format!("/v1/tokens/{}", watched.id);
        match watched.afterwards {
            "revoked" => {
                self.changer.revoke(&watched.id).await;
                None
            }
            "superseded" => {
                let rotated = self.changer.post(&format!("{path}/rotate"), json!({})).await;
                rotated.expect(200);
                Some(rotated.text_of("secret"))
            }
            _ => {
                self.changer.patch(&path, json!({"grants": ["auditor"]})).await.expect(200);
                None
            }
        }
    }

    /// Asks about the lane's token until there is none any more.
    async fn ask(self: Arc<Self>, mut lane: watch::Receiver<Option<Arc<Watched>>>) {
        while lane.has_changed().is_ok() {
            let watched = lane.borrow_and_update().clone();
            let Some(watched) = watched else {
                let _ = lane.changed().await;
                continue;
            };
            let before = watched.stage.load(SeqCst);
            let verdict = self.asker.post("/v1/verify", watched.question.clone()).await;
            let after = watched.stage.load(SeqCst);
            self.judge(&watched, before, after, &verdict).await;
            match before {
                MINTED => watched.asked_before.add_permits(1),
                CHANGED => watched.asked_after.add_permits(1),
                _ => {}
            }
        }
    }

    async fn judge(&self, watched: &Watched, before: u8, after: u8, verdict: &Answer) {
        if verdict.status == 503 {
            self.unanswered.fetch_add(1, SeqCst);
            return;
        }
        verdict.expect(200);
        self.asked.fetch_add(1, SeqCst);
        self.met.fetch_add(u64::from(before == CHANGED), SeqCst);
        let code = verdict.code();
        let right = match (before, after) {
            (CHANGED, _) => code == watched.afterwards,
            (_, MINTED) => code == "valid",
            _ => code == "valid" || code == watched.afterwards,
        };
        self.note(right, watched, if before == CHANGED { "after" } else { "before" }, verdict).await;
    }

    async fn note(&self, right: bool, watched: &Watched, when: &str, verdict: &Answer) {
        if !right {
            let wrong = format!("{}: {} {when} {}", watched.id, verdict.code(), watched.afterwards);
            self.violations.lock().await.push(wrong);
        }
    }

    /// Nothing was wrong, and the race was one.
    async fn fair(&self, tokens: usize) {
        let violations = self.violations.lock().await;
        assert_eq!(violations.len(), 0, "{:#?}", &violations[..violations.len().min(10)]);
        assert!(self.met.load(SeqCst) >= 2 * tokens as u64, "each change was met twice");
        assert!(self.unanswered.load(SeqCst) * 10 < self.asked.load(SeqCst), "most questions are answered");
    }

    fn figures(&self) -> String {
        let (asked, met) = (self.asked.load(SeqCst), self.met.load(SeqCst));
        format!("{asked} verifies, {met} of them after the change, {} 503", self.unanswered.load(SeqCst))
    }
}

/// An organization, and who owns it and who asks in it, made at one node.
async fn acme(admin: &Actor) -> (Minted, Minted) {
    admin.organization("acme").await;
    let owner = admin.mint("owner", json!({"organization": "acme"}), &["owner"]).await;
    (owner, admin.mint("asker", json!({"organization": "acme"}), &["verifier"]).await)
}

/// No use was recorded valid after the revocation of its token.
async fn replays(database: &Database) -> usize {
    let mut revoked = HashSet::new();
    for entry in database.entries().await {
        let token = entry.text_at("/token").to_owned();
        match entry.kind.as_str() {
            "TokenRevoked" => drop(revoked.insert(token)),
            "TokenUsed" => assert!(!revoked.contains(&token), "{}", entry.text),
            _ => {}
        }
    }
    revoked.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_on_one_node_holds_on_the_other() {
    let (seed, (rounds, tokens), mut round) = (Seed::new(), scale::pick((1, 2_000), (12, 5_000)), 0);
    while seed.goes_on(round, rounds) {
        round += 1;
        let database = Database::new().await;
        let changing = NodeOptions::on(&database).start().await;
        let asked = NodeOptions::on(&database).start().await;
        let (owner, asker) = acme(&changing.admin()).await;
        let race = Race::new(&changing.token(&owner.secret), &asked.token(&asker.secret));
        let race = Arc::new(race).run(tokens).await;
        race.fair(tokens).await;
        assert_eq!(replays(&database).await, tokens / 2, "every other token is revoked");
        let done = format!("round {round} of {rounds}: {tokens} tokens, {}; 0 violations", race.figures());
        scale::figures("nodes, two in one process", &done);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_acknowledges_holds_in_another() {
    let tokens = scale::pick(400, 8_000);
    let database = Database::new().await;
    let (mut changing, mut asked) = (Binary::over(&database.url()), Binary::over(&database.url()));
    changing.start().await;
    asked.start().await;
    let (owner, asker) = acme(&changing.admin()).await;
    let changer = changing.anon().with(&owner.secret);
    let race = Arc::new(Race::new(&changer, &asked.anon().with(&asker.secret))).run(tokens).await;
    race.fair(tokens).await;
    assert_eq!(replays(&database).await, tokens / 2);
    let done = format!("{tokens} tokens, {}; 0 violations", race.figures());
    scale::figures("nodes, two processes", &done);
}

/// A node that hears of nothing which others write, unless it is about to append.
fn deaf() -> Faults {
    let faults = Faults::default();
    faults.plan(Point::Looking, Fault::Error, u64::MAX);
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hears_of_nothing_answers_right_all_the_same() {
    let tokens = scale::pick(600, 5_000);
    let database = Database::new().await;
    let changing = NodeOptions::on(&database).start().await;
    let (owner, asker) = acme(&changing.admin()).await;
    let faults = deaf();
    let asked = NodeOptions::on(&database).faults(&faults).start().await;
    let race = Race::new(&changing.token(&owner.secret), &asked.token(&asker.secret));
    let race = Arc::new(race).run(tokens).await;
    within("a look that did not happen", faults.met(Point::Looking, 1)).await;
    race.fair(tokens).await;
    let done = format!("{tokens} tokens, {}; 0 violations", race.figures());
    scale::figures("nodes, one of them deaf", &done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_condition_the_same_race_finds_what_was_taken_away_still_valid() {
    let tokens = 128;
    let database = Database::new().await;
    let changing = NodeOptions::on(&database).start().await;
    let (owner, asker) = acme(&changing.admin()).await;
    let mut stock = Vec::new();
    for n in 0..tokens {
        let acme = json!({"organization": "acme"});
        stock.push(changing.token(&owner.secret).mint(&format!("s{n}"), acme, &["member"]).await);
    }
    let faults = deaf();
    let asked = NodeOptions::on(&database).faults(&faults).start().await;
    faults.drop_the_condition();
    let race = Race::new(&changing.token(&owner.secret), &asked.token(&asker.secret));
    *race.stock.lock().await = stock;
    let race = Arc::new(race).run(tokens).await;
    let violations = race.violations.lock().await;
    for afterwards in ["valid after revoked", "valid after superseded", "valid after forbidden"] {
        let found = violations.iter().filter(|wrong| wrong.ends_with(afterwards)).count();
        assert!(found >= tokens / 4, "{afterwards}: {found}");
    }
    let done = format!("{tokens} tokens, {}; {} violations, as wanted", race.figures(), violations.len());
    scale::figures("nodes, without the condition", &done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_condition_the_same_race_finds_tokens_unknown() {
    let tokens = 128;
    let database = Database::new().await;
    let changing = NodeOptions::on(&database).start().await;
    let (owner, asker) = acme(&changing.admin()).await;
    let faults = deaf();
    let asked = NodeOptions::on(&database).faults(&faults).start().await;
    faults.drop_the_condition();
    let race = Race::new(&changing.token(&owner.secret), &asked.token(&asker.secret));
    let race = Arc::new(race).run(tokens).await;
    let violations = race.violations.lock().await;
    let unknown = violations.iter().filter(|wrong| wrong.contains(": unknown before")).count();
    assert!(unknown >= tokens, "{unknown}");
}
