use chancery_tests::{Actor, Database, Minted, NodeOptions};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

const TOKENS: usize = 200;

struct Watched {
    token: Minted,
    acknowledged: AtomicBool,
}

/// Verifies tokens over and over until all are revoked; answers how often it met an acknowledged revocation.
async fn watch(verifier: Actor, watched: Arc<Vec<Watched>>, done: Arc<AtomicUsize>) -> usize {
    let (mut met, mut turn) = (0, 0);
    while done.load(SeqCst) < TOKENS || turn % TOKENS != 0 {
        let one = &watched[turn % TOKENS];
        turn += 1;
        let acknowledged = one.acknowledged.load(SeqCst);
        let code = verifier.code_of(&one.token.secret).await;
        assert!(matches!(code.as_str(), "valid" | "revoked"), "{code}");
        if acknowledged {
            met += 1;
            assert_eq!(code, "revoked", "its revocation was acknowledged before this was asked");
        }
    }
    met
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_revocation_is_never_answered_valid_by_any_node() {
    let database = Database::new().await;
    let revoking = NodeOptions::on(&database).start().await;
    let answering = NodeOptions::on(&database).start().await;
    let admin = revoking.admin();
    admin.organization("acme").await;
    let acme = || json!({"organization": "acme"});
    let verifier = admin.mint("v", acme(), &["verifier"]).await;
    let mut watched = Vec::new();
    for n in 0..TOKENS {
        let token = admin.mint(&format!("t{n}"), acme(), &["member"]).await;
        watched.push(Watched { token, acknowledged: AtomicBool::new(false) });
    }
    let (watched, done) = (Arc::new(watched), Arc::new(AtomicUsize::new(0)));
    let watchers: Vec<_> = [&revoking, &answering, &answering]
        .iter()
        .map(|node| tokio::spawn(watch(node.token(&verifier.secret), watched.clone(), done.clone())))
        .collect();
    for one in watched.iter() {
        admin.revoke(&one.token.id).await;
        one.acknowledged.store(true, SeqCst);
        done.fetch_add(1, SeqCst);
    }
    let mut met = 0;
    for watcher in watchers {
        met += watcher.await.unwrap();
    }
    assert!(met > 0, "the race was run");
    replays(&database).await;
}

/// No use was recorded valid after the revocation of its token.
async fn replays(database: &Database) {
    let mut revoked = std::collections::HashSet::new();
    for entry in database.entries().await {
        let token = entry.text_at("/token").to_owned();
        match entry.kind.as_str() {
            "TokenRevoked" => drop(revoked.insert(token)),
            "TokenUsed" => assert!(!revoked.contains(&token), "{}", entry.text),
            _ => {}
        }
    }
    assert_eq!(revoked.len(), TOKENS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_minted_on_one_node_is_never_unknown_to_another() {
    let database = Database::new().await;
    let nodes = [NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await];
    let admin = nodes[0].admin();
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    for n in 0..150 {
        let (here, there) = (&nodes[n % 2], &nodes[(n + 1) % 2]);
        let token = here.admin().mint(&format!("t{n}"), json!({"organization": "acme"}), &["member"]).await;
        assert_eq!(there.token(&verifier.secret).code_of(&token.secret).await, "valid");
        there.token(&token.secret).get("/v1/whoami").await.expect(200);
        let rotated = here.admin().post(&format!("/v1/tokens/{}/rotate", token.id), json!({})).await;
        let there = there.token(&verifier.secret);
        assert_eq!(there.code_of(&rotated.text_of("secret")).await, "valid");
        assert_eq!(there.code_of(&token.secret).await, "superseded");
    }
}
