//! The database goes away and comes back: what is answered meanwhile, and that nothing acknowledged is lost.

use chancery_tests::{Actor, Answer, Database, NodeOptions, Proxy, TestNode, eventually, eventually_async};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

struct Behind {
    database: Database,
    proxy: Proxy,
    node: TestNode,
    verifier: Actor,
    secret: String,
}

/// A node behind a proxy, with a token and somebody who may verify it.
async fn behind(change: impl FnOnce(NodeOptions) -> NodeOptions) -> Behind {
    let database = Database::new().await;
    let proxy = Proxy::start(&database).await;
    let options = NodeOptions { database: proxy.options(), ..NodeOptions::on(&database) };
    let node = change(options.impatient()).start().await;
    let admin = node.admin();
    admin.organization("acme").await;
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let (verifier, secret) = (node.token(&verifier.secret), token.secret);
    Behind { database, proxy, node, verifier, secret }
}

fn is_away(answer: &Answer) {
    let code = answer.code();
    assert!(matches!(code, "unavailable" | "outcome_unknown"), "{}", answer.text);
    answer.refused(503, code);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn committed_answers_are_503_while_the_database_is_away_and_come_back_by_themselves() {
    let Behind { database, proxy, node, verifier, secret } = behind(|options| options).await;
    for round in 0..2 {
        proxy.down();
        let mint =
            json!({"name": format!("m{round}"), "scope": {"organization": "acme"}, "grants": ["member"]});
        is_away(&verifier.post("/v1/verify", json!({"token": secret})).await);
        is_away(&node.admin().post("/v1/tokens", mint.clone()).await);
        is_away(&node.admin().get("/v1/tokens").await);
        let batch = json!({"items": [{"token": secret}]});
        is_away(&verifier.post("/v1/verify/batch", batch).await);
        assert_eq!(node.anon().get("/healthz").await.status, 204, "the process itself is well");
        proxy.up();
        let recovered = eventually_async("the node to recover", async || {
            let answer = verifier.post("/v1/verify", json!({"token": secret})).await;
            (answer.status == 200).then_some(answer)
        })
        .await;
        assert_eq!(recovered.code(), "valid");
        assert_eq!(node.anon().get("/readyz").await.status, 204);
        let entries = database.entries().await;
        let minted = entries.iter().filter(|entry| entry.text_at("/name") == format!("m{round}")).count();
        assert_eq!(minted, 0, "what was refused did not happen");
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_is_found_again_before_the_caller_is_told() {
    let Behind { database, proxy, node, .. } = behind(|options| options).await;
    proxy.lose_reply_to("lost-and-found");
    let admin = node.admin();
    let create =
        tokio::spawn(async move { admin.post("/v1/organizations", json!({"name": "lost-and-found"})).await });
    proxy.lost().await;
    proxy.up();
    create.await.unwrap().expect(201);
    let entries = database.entries().await;
    let made = entries.iter().filter(|entry| entry.text.contains("lost-and-found")).count();
    assert_eq!(made, 1, "sent twice, done once");
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_said_to_be_and_a_repeat_settles_it() {
    let Behind { database, proxy, node, verifier, secret } = behind(|options| options).await;
    proxy.lose_reply_to("lost-for-good");
    let create = || {
        let call = node.admin().call("POST", "/v1/organizations").key("k");
        call.json(&json!({"name": "lost-for-good"})).send()
    };
    let unknown = create().await;
    unknown.refused(503, "outcome_unknown");
    assert_eq!(unknown.header("retry-after"), "1");
    is_away(&verifier.post("/v1/verify", json!({"token": secret})).await);
    proxy.up();
    let made = eventually_async("the node to recover", async || {
        let answer = create().await;
        (answer.status == 201).then_some(answer)
    })
    .await;
    let entries = database.entries().await;
    let lines: Vec<_> = entries.iter().filter(|entry| entry.kind == "OrganizationCreated").collect();
    assert_eq!(lines.len(), 2, "acme and this one, once");
    assert_eq!(lines[1].text_at("/org"), made.text_of("id"));
    assert_eq!(verifier.code_of(&secret).await, "valid");
}

/// Mints until it is told to stop; answers the ids of what was acknowledged.
async fn minting(actor: Actor, writer: usize, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0.. {
        let body =
            json!({"name": format!("{writer}-{n}"), "scope": {"organization": "acme"}, "grants": ["member"]});
        let answer = actor.post("/v1/tokens", body).await;
        if answer.status == 201 {
            ids.push(answer.text_of("id"));
        } else {
            is_away(&answer);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_while_connections_break_is_on_the_log_once() {
    let Behind { database, proxy, node, .. } = behind(|options| options).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..4).map(|writer| tokio::spawn(minting(node.admin(), writer, Arc::clone(&stop)))).collect();
    for _ in 0..8 {
        let live = node.node().live();
        let before = live.position();
        proxy.down();
        proxy.up();
        eventually("progress after the cut", || live.position() > before + 4).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let entries = database.entries().await;
    for id in &acknowledged {
        let lines =
            entries.iter().filter(|entry| entry.kind == "TokenMinted" && entry.text_at("/token") == id);
        assert_eq!(lines.count(), 1, "{id}");
    }
    let fresh = NodeOptions::on(&database).start().await;
    node.catches_up_with(&fresh).await;
    assert_eq!(node.difference(&fresh), None);
}

#[tokio::test]
async fn bounded_answers_go_on_until_they_would_be_too_old_and_are_recorded_afterwards() {
    let Behind { database, proxy, node, verifier, secret } = behind(NodeOptions::bounded).await;
    let before = database.entries().await.iter().filter(|entry| entry.kind == "TokenUsed").count();
    proxy.down();
    let mut answered = 0;
    let stale = eventually_async("answers to become too old", async || {
        let answer = verifier.post("/v1/verify", json!({"token": secret})).await;
        match answer.status {
            200 => {
                assert_eq!(answer.code(), "valid");
                answered += 1;
                None
            }
            _ => Some(answer),
        }
    })
    .await;
    stale.refused(503, "stale");
    assert_eq!(stale.header("retry-after"), "1");
    assert!(answered > 0, "it answered from memory");
    is_away(&node.admin().get("/v1/whoami").await);
    proxy.up();
    eventually_async("the node to recover", async || {
        let answer = verifier.post("/v1/verify", json!({"token": secret})).await;
        (answer.status == 200).then(|| answered += 1)
    })
    .await;
    let live = node.node().live();
    eventually("the uses to be recorded", || live.stats.unrecorded.load(Ordering::Relaxed) == 0).await;
    let after = database.entries().await.iter().filter(|entry| entry.kind == "TokenUsed").count();
    assert_eq!(after - before, answered, "each answer has its line");
    assert_eq!(live.stats.lost.load(Ordering::Relaxed), 0);
}
