//! Clients that do what clients do while something breaks: each takes tokens through their lives, asks again under
//! the same key until it is told, and remembers what it was told. Afterwards the log has to agree.

use chancery_tests::{Actor, Answer, Choices, Entry, Minted, eventually, within};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The clients, at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<Vec<Life>>>,
}

struct Shared {
    /// Where the node is to be found.
    site: watch::Sender<Actor>,
    owner: String,
    verifier: String,
    stop: AtomicBool,
    tally: Tally,
}

/// What the clients met.
#[derive(Default)]
pub(crate) struct Tally {
    /// Calls that were answered.
    pub(crate) answered: AtomicU64,
    /// Calls that were refused with 503.
    pub(crate) refused: AtomicU64,
    /// Calls without an answer.
    pub(crate) broken: AtomicU64,
}

/// What a client was told of one token: minted, rotated once, revoked.
pub(crate) struct Life {
    name: String,
    id: String,
    asked: Vec<Told>,
}

/// A verdict and its record.
struct Told {
    position: u64,
    request: String,
    code: &'static str,
}

impl Load {
    /// Makes an organization and who acts in it, and begins.
    pub(crate) async fn start(anon: &Actor, workers: usize, choices: &Choices) -> Load {
        let admin = anon.with(chancery_tests::ADMIN);
        admin.organization("load").await;
        let owner = admin.mint("owner", json!({"organization": "load"}), &["owner"]).await;
        let verifier = admin.mint("verifier", json!({"organization": "load"}), &["verifier"]).await;
        let shared = Arc::new(Shared {
            site: watch::Sender::new(anon.clone()),
            owner: owner.secret,
            verifier: verifier.secret,
            stop: AtomicBool::new(false),
            tally: Tally::default(),
        });
        let begin = |worker| {
            let choices = Choices::clone(choices);
            tokio::spawn(Arc::clone(&shared).work(worker, choices))
        };
        let workers = (0..workers).map(begin).collect();
        Load { shared, workers }
    }

    /// From now on the node is there.
    pub(crate) fn moves_to(&self, anon: &Actor) {
        self.shared.site.send_replace(anon.clone());
    }

    /// What the clients have met so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Waits until so many more calls are answered.
    pub(crate) async fn answers(&self, more: u64) {
        let enough = self.tally().answered.load(SeqCst) + more;
        let done = || {
            let over = self.workers.iter().any(JoinHandle::is_finished);
            over || self.tally().answered.load(SeqCst) >= enough
        };
        eventually("answers to the clients", done).await;
    }

    /// Lets every client finish the life that it is at, and checks that the log agrees with all of them.
    pub(crate) async fn finish(self, read: impl AsyncFnOnce() -> Vec<Entry>) -> Summary {
        self.shared.stop.store(true, SeqCst);
        let mut lives = Vec::new();
        for worker in self.workers {
            lives.extend(worker.await.unwrap());
        }
        let entries = read().await;
        check(&lives, &entries);
        Summary {
            tokens: lives.len(),
            verifies: lives.iter().map(|life| life.asked.len()).sum(),
            lines: entries.len(),
            refused: self.shared.tally.refused.load(SeqCst),
            broken: self.shared.tally.broken.load(SeqCst),
        }
    }
}

/// What a load came to.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) tokens: usize,
    pub(crate) verifies: usize,
    pub(crate) lines: usize,
    pub(crate) refused: u64,
    pub(crate) broken: u64,
}

impl Summary {
    /// Both together.
    pub(crate) fn and(self, other: &Summary) -> Summary {
        Summary {
            tokens: self.tokens + other.tokens,
            verifies: self.verifies + other.verifies,
            lines: self.lines + other.lines,
            refused: self.refused + other.refused,
            broken: self.broken + other.broken,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { tokens, verifies, lines, refused, broken } = self;
        write!(
            f,
            "{tokens} tokens minted, rotated and revoked, {verifies} verifies, {lines} lines; {refused} calls \
             were 503, {broken} broken off; 0 lost, 0 twice, 0 false errors"
        )
    }
}

impl Shared {
    async fn work(self: Arc<Self>, worker: usize, choices: Choices) -> Vec<Life> {
        let mut lives = Vec::new();
        while !self.stop.load(SeqCst) {
            lives.push(self.live(format!("load-{worker}-{}", lives.len()), &choices).await);
        }
        lives
    }

    async fn live(&self, name: String, choices: &Choices) -> Life {
        let mint = json!({"name": name, "scope": {"organization": "load"}, "grants": ["member"]});
        let minted = Minted::from(&self.insist("/v1/tokens", &format!("{name}-m"), &mint).await);
        let mut asked = vec![self.ask(&minted.secret, "valid").await];
        if choices.below(4) == 0 {
            let again = Minted::from(&self.insist("/v1/tokens", &format!("{name}-m"), &mint).await);
            assert_eq!((&again.id, &again.secret), (&minted.id, &minted.secret), "asked for again");
        }
        let path = format!("/v1/tokens/{}", minted.id);
        let (rotate, key) = (format!("{path}/rotate"), format!("{name}-r"));
        let rotated = Minted::from(&self.insist(&rotate, &key, &json!({})).await);
        assert_eq!(rotated.id, minted.id);
        if choices.below(4) == 0 {
            let again = Minted::from(&self.insist(&rotate, &key, &json!({})).await);
            assert_eq!(again.secret, rotated.secret, "asked for again");
        }
        asked.push(self.ask(&rotated.secret, "valid").await);
        asked.push(self.ask(&minted.secret, "superseded").await);
        for _ in 0..choices.below(3) {
            self.insist(&format!("{path}/revoke"), &format!("{name}-e"), &json!({})).await;
        }
        self.insist(&format!("{path}/revoke"), &format!("{name}-e"), &json!({})).await;
        asked.push(self.ask(&rotated.secret, "revoked").await);
        Life { name, id: minted.id, asked }
    }

    /// Asks for a change under its key until it is told that it is done.
    async fn insist(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.repeat(&self.owner, path, key, body).await
    }

    /// Verifies until there is an answer, which has to be the one that follows from what was acknowledged before.
    async fn ask(&self, secret: &str, code: &'static str) -> Told {
        let answer = self.repeat(&self.verifier, "/v1/verify", "", &json!({"token": secret})).await;
        assert_eq!(answer.code(), code, "{}", answer.text);
        let position = answer.body["position"].as_u64().expect("committed answers have a position");
        Told { position, request: answer.header("x-request-id").to_owned(), code }
    }

    async fn repeat(&self, credential: &str, path: &str, key: &str, body: &Value) -> Answer {
        within(&format!("an answer to {path} {key}"), async {
            loop {
                let actor = self.site.borrow().with(credential);
                let call = actor.call("POST", path).json(body);
                let call = if key.is_empty() { call } else { call.key(key) };
                if let Some(answer) = self.told(call.try_send().await) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    /// An answer that says something. Any error but 503 would be a false one.
    fn told(&self, came: Result<Answer, impl std::error::Error>) -> Option<Answer> {
        let tally = &self.tally;
        match came {
            Ok(answer) if matches!(answer.status, 200 | 201) => {
                tally.answered.fetch_add(1, SeqCst);
                Some(answer)
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text);
                tally.refused.fetch_add(1, SeqCst);
                None
            }
            Err(_) => {
                tally.broken.fetch_add(1, SeqCst);
                None
            }
        }
    }
}

/// Everything that was told is on the log once, nothing else is, and no organization's ordinals have a gap.
pub(crate) fn check(lives: &[Life], entries: &[Entry]) {
    ordinals(entries);
    let mut lifecycle: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut uses = HashSet::new();
    for entry in entries {
        let token = entry.text_at("/token");
        match entry.kind.as_str() {
            "TokenMinted" | "TokenRotated" | "TokenRevoked" => {
                lifecycle.entry(token).or_default().push(&entry.kind);
                if entry.text_at("/name").starts_with("load-") {
                    assert_eq!(names.insert(entry.text_at("/name"), token), None, "{} twice", entry.text);
                }
            }
            "TokenUsed" => {
                assert!(uses.insert((token, entry.text_at("/actor/request"))), "{} twice", entry.text);
            }
            _ => {}
        }
    }
    assert_eq!(names.len(), lives.len(), "as many tokens as were asked for");
    for life in lives {
        assert_eq!(names.get(&*life.name), Some(&&*life.id), "{}", life.name);
        assert_eq!(lifecycle[&*life.id], ["TokenMinted", "TokenRotated", "TokenRevoked"], "{}", life.name);
        for told in &life.asked {
            let entry = &entries[usize::try_from(told.position).unwrap()];
            let kind = if told.code == "valid" { "TokenUsed" } else { "TokenRefused" };
            assert_eq!((entry.kind.as_str(), entry.text_at("/token")), (kind, &*life.id), "{}", entry.text);
            if told.code == "valid" {
                assert_eq!(entry.text_at("/actor/request"), told.request);
            } else {
                assert_eq!(entry.text_at("/code"), told.code, "{}", entry.text);
            }
        }
    }
}

/// The lifecycle lines of each organization, and of the instance, are counted from 1 without a gap.
fn ordinals(entries: &[Entry]) {
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_use()) {
        let next = next.entry(entry.text_at("/org")).or_insert(1);
        assert_eq!(entry.at("/n").as_u64(), Some(*next), "{}", entry.text);
        *next += 1;
    }
}

/// The log's check can fail: something left out, something twice, another order.
#[test]
fn a_log_that_disagrees_is_found_out() {
    let line = |kind: &str, n: u64, more: Value| {
        let mut line = json!({"type": kind, "n": n, "token": "id"});
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line
    };
    let used = |request: &str| json!({"type": "TokenUsed", "token": "id", "actor": {"request": request}});
    let good = vec![
        line("TokenMinted", 1, json!({"name": "load-0-0"})),
        used("a"),
        line("TokenRotated", 2, json!({})),
        line("TokenRevoked", 3, json!({})),
    ];
    let agrees = |lines: Vec<Value>| {
        let entries = lines.into_iter().enumerate().map(|(position, line)| Entry {
            position: position as u64,
            kind: line["type"].as_str().unwrap().to_owned(),
            text: line.to_string(),
            line,
        });
        let entries: Vec<Entry> = entries.collect();
        let asked = vec![Told { position: 1, request: "a".to_owned(), code: "valid" }];
        let lives = [Life { name: "load-0-0".to_owned(), id: "id".to_owned(), asked }];
        std::panic::catch_unwind(|| check(&lives, &entries)).is_ok()
    };
    assert!(agrees(good.clone()));
    for left_out in 0..good.len() {
        let mut lines = good.clone();
        lines.remove(left_out);
        assert!(!agrees(lines), "without line {left_out}");
    }
    for twice in
        [line("TokenRevoked", 4, json!({})), used("a"), line("TokenMinted", 4, json!({"name": "load-9-9"}))]
    {
        assert!(!agrees([good.clone(), vec![twice.clone()]].concat()), "with {twice}");
    }
    let gap = line("MemberRemoved", 5, json!({"token": "other"}));
    assert!(!agrees([good.clone(), vec![gap]].concat()), "with a gap");
    assert!(agrees([good.clone(), vec![used("b")]].concat()), "a use that nobody was told of is none's loss");
}
