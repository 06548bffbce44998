//! Processes are killed outright while they work: what was acknowledged is there afterwards, once.

use chancery_tests::{Actor, Binary, Database, Entry, Minted, entries, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const WRITERS: usize = 4;

/// What one writer was told, and what it asked for without being told.
#[derive(Default)]
struct Told {
    minted: Vec<(String, String)>,
    verified: Vec<(u64, String)>,
    unanswered: Vec<Value>,
}

struct Authority {
    admin: Actor,
    verifier: Actor,
    token: Minted,
}

/// How many verifies were answered, and after how many it is enough.
struct Counts {
    answered: AtomicUsize,
    enough: AtomicUsize,
}

/// What each round needs, made once.
async fn prepare(binary: &Binary) -> (String, Minted) {
    let admin = binary.admin();
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    (verifier.secret, token)
}

/// Mints and verifies until the connection breaks or `enough` is answered in all.
async fn work(authority: Arc<Authority>, name: String, count: Arc<Counts>) -> Told {
    let mut told = Told::default();
    for n in 0.. {
        let body =
            json!({"name": format!("{name}-{n}"), "scope": {"organization": "acme"}, "grants": ["member"]});
        let mint = authority.admin.call("POST", "/v1/tokens").key(body["name"].as_str().unwrap()).json(&body);
        match mint.try_send().await {
            Ok(answer) if answer.status == 201 => {
                told.minted.push((answer.text_of("name"), answer.text_of("id")));
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text);
                told.unanswered.push(body);
            }
            Err(_) => {
                told.unanswered.push(body);
                return told;
            }
        }
        let verify =
            authority.verifier.call("POST", "/v1/verify").json(&json!({"token": authority.token.secret}));
        match verify.try_send().await {
            Ok(answer) if answer.status == 200 => {
                let position = answer.body["position"].as_u64().expect("committed answers have a position");
                told.verified.push((position, answer.header("x-request-id").to_owned()));
                count.answered.fetch_add(1, Relaxed);
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text),
            Err(_) => return told,
        }
        if count.answered.load(Relaxed) >= count.enough.load(Relaxed) {
            return told;
        }
    }
    told
}

/// Everybody works until `strike` has struck, and a while longer for those who can.
async fn round(authority: Authority, name: &str, strike: impl AsyncFnOnce()) -> Vec<Told> {
    let count = Counts { answered: AtomicUsize::new(0), enough: AtomicUsize::new(usize::MAX) };
    let (authority, count) = (Arc::new(authority), Arc::new(count));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (authority, count) = (Arc::clone(&authority), Arc::clone(&count));
            tokio::spawn(work(authority, format!("{name}-{writer}"), count))
        })
        .collect();
    eventually("the work to be under way", || count.answered.load(Relaxed) > 20).await;
    strike().await;
    count.enough.store(count.answered.load(Relaxed) + 60, Relaxed);
    let mut told = Vec::new();
    for writer in writers {
        told.push(writer.await.unwrap());
    }
    told
}

/// Everything that was told is on the log once; everything that was not can be asked for again and is then there once.
async fn check(admin: &Actor, told: &[Told], token: &str, read: impl AsyncFn() -> Vec<Entry>) {
    let mut minted: Vec<(String, String)> = told.iter().flat_map(|told| told.minted.clone()).collect();
    for body in told.iter().flat_map(|told| &told.unanswered) {
        let name = body["name"].as_str().unwrap();
        let again = admin.call("POST", "/v1/tokens").key(name).json(body).send().await;
        minted.push((name.to_owned(), Minted::from(&again).id));
    }
    let entries = read().await;
    let on_log = |name: &str| {
        let lines =
            entries.iter().filter(move |entry| entry.kind == "TokenMinted" && entry.text_at("/name") == name);
        lines.map(|entry| entry.text_at("/token").to_owned()).collect::<Vec<_>>()
    };
    for (name, id) in minted {
        assert_eq!(on_log(&name), [id], "{name}");
    }
    for (position, request) in told.iter().flat_map(|told| &told.verified) {
        let entry = &entries[usize::try_from(*position).unwrap()];
        assert_eq!((entry.kind.as_str(), entry.text_at("/token")), ("TokenUsed", token));
        assert_eq!(entry.text_at("/actor/request"), request);
    }
    let of_request: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.kind == "TokenUsed" && entry.text_at("/token") == token)
        .map(|entry| entry.text_at("/actor/request"))
        .collect();
    let distinct: std::collections::BTreeSet<&&str> = of_request.iter().collect();
    assert_eq!(distinct.len(), of_request.len(), "no use is on the log twice");
}

fn authority(binary: &Binary, verifier: &str, token: &Minted) -> Authority {
    Authority { admin: binary.admin(), verifier: binary.anon().with(verifier), token: token.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_has_lost_nothing_and_done_nothing_twice() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    let (verifier, token) = prepare(&binary).await;
    for name in ["first", "second", "third", "fourth"] {
        let authority = authority(&binary, &verifier, &token);
        let told = round(authority, name, async || binary.kill().await).await;
        binary.start().await;
        check(&binary.admin(), &told, &token.id, async || database.entries().await).await;
    }
    assert!(binary.terminate().await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_postgres_is_killed_loses_nothing_and_recovers_by_itself() {
    let mut binary = Binary::alone();
    binary.start().await;
    let (verifier, token) = prepare(&binary).await;
    let log = binary.postgres();
    for name in ["first", "second", "third"] {
        let strike = async || {
            let before = binary.postmaster();
            binary.kill_postgres();
            eventually("another postmaster", || binary.postmaster().is_some_and(|pid| Some(pid) != before))
                .await;
        };
        let told = round(authority(&binary, &verifier, &token), name, strike).await;
        check(&binary.admin(), &told, &token.id, async || entries(&log).await).await;
    }
    assert!(binary.terminate().await.status.success());
    assert!(binary.postmaster().is_none(), "the private Postgres is stopped with its node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_with_its_postgres_starts_over_the_same_folder() {
    let mut binary = Binary::alone();
    binary.start().await;
    let (verifier, token) = prepare(&binary).await;
    for name in ["first", "second"] {
        let authority = authority(&binary, &verifier, &token);
        let strike = async || {
            binary.kill_postgres();
            binary.kill().await;
        };
        let told = round(authority, name, strike).await;
        binary.start().await;
        let log = binary.postgres();
        check(&binary.admin(), &told, &token.id, async || entries(&log).await).await;
    }
}
