//! A node that is told to stop finishes what it accepted.

use chancery_tests::{Binary, Database, eventually, eventually_async};
use serde_json::json;
use sqlx::{Connection, Executor};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[tokio::test]
async fn what_was_under_way_when_the_signal_came_is_answered() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    // Whoever holds the head's lock holds up the append, and with it the request.
    let mut holder = database.superuser().await;
    holder.execute("BEGIN").await.unwrap();
    holder.execute("SELECT size FROM chancery.log_head FOR UPDATE").await.unwrap();
    let (admin, late) = (binary.admin(), binary.anon());
    let under_way =
        tokio::spawn(async move { admin.post("/v1/organizations", json!({"name": "acme"})).await });
    let mut watch = database.superuser().await;
    eventually_async("the append to wait for the lock", async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut watch)
        .await
        .unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    binary.signal(rustix::process::Signal::TERM);
    eventually_async("nothing new to be accepted", async || {
        late.call("GET", "/healthz").try_send().await.is_err().then_some(())
    })
    .await;
    assert!(!under_way.is_finished(), "it waits for what it accepted");
    holder.execute("COMMIT").await.unwrap();
    under_way.await.unwrap().expect(201);
    let exited = binary.exited().await;
    assert!(exited.status.success(), "{}", exited.stderr);
    holder.close().await.unwrap();
    let made = database.entries().await.iter().filter(|entry| entry.kind == "OrganizationCreated").count();
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_answer_is_whole_and_every_acknowledged_change_is_kept() {
    let mut binary = Binary::alone();
    binary.start().await;
    binary.admin().organization("acme").await;
    let count = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (admin, count) = (binary.admin(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut minted = Vec::new();
                for n in 0.. {
                    let name = format!("{writer}-{n}");
                    let body = json!({"name": name, "scope": {"organization": "acme"}, "grants": ["member"]});
                    let call = admin.call("POST", "/v1/tokens").key(&name).json(&body);
                    // A connection that is refused, or closed before the request was taken, is no answer at all.
                    let Ok(answer) = call.try_send().await else { break };
                    minted.push(answer.expect(201)["id"].as_str().unwrap().to_owned());
                    count.fetch_add(1, Relaxed);
                }
                minted
            })
        })
        .collect();
    eventually("the load to be on", || count.load(Relaxed) > 50).await;
    let exited = binary.terminate().await;
    assert!(exited.status.success(), "{}", exited.stderr);
    assert!(!exited.stderr.contains("cut off"), "{}", exited.stderr);
    let mut minted = Vec::new();
    for writer in writers {
        minted.extend(writer.await.unwrap());
    }
    binary.start().await;
    let entries = chancery_tests::entries(&binary.postgres()).await;
    let on_log: std::collections::BTreeSet<&str> =
        entries.iter().map(|entry| entry.text_at("/token")).collect();
    assert!(minted.iter().all(|id| on_log.contains(id.as_str())));
    let mark = std::fs::read_to_string(binary.folder().join("mark")).unwrap();
    assert!(mark.contains("\"size\""), "{mark}");
}

#[tokio::test]
async fn bounded_uses_that_were_answered_are_recorded_before_the_end() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url()).argument("--answers").argument("bounded");
    binary.start().await;
    let admin = binary.admin();
    admin.organization("acme").await;
    let slowly = json!({"policy": {"record_within_ms": 10_000}});
    admin.patch("/v1/instance", slowly).await.expect(200);
    let verifier = admin.mint("v", json!({"organization": "acme"}), &["verifier"]).await;
    let token = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let verifier = binary.anon().with(&verifier.secret);
    let mut answered = 0;
    for _ in 0..50 {
        let verdict = verifier.post("/v1/verify", json!({"token": token.secret})).await;
        // On a busy machine the node may not have looked at the log for a second.
        assert!(matches!(verdict.code(), "valid" | "stale"), "{}", verdict.text);
        assert_eq!(verdict.body.get("position"), None);
        answered += usize::from(verdict.status == 200);
    }
    assert!(binary.terminate().await.status.success());
    let uses = database.entries().await;
    let uses =
        uses.iter().filter(|entry| entry.kind == "TokenUsed" && entry.text_at("/token") == token.id).count();
    assert_eq!(uses, answered);
}
