//! The key that signs: lost, copied, and replaced by another.

use super::{Desk, page};
use chancery_tests::{Binary, Database, NodeOptions};
use eventlog::Checkpoint;
use eventlog::note::{self, VerifierKey};
use serde_json::json;

fn signatures(note: &str) -> usize {
    note::split(note).unwrap().1.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_key_signs_beside_the_new_one_for_a_while() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    let keys = async |binary: &Binary| {
        let instance = binary.admin().get("/v1/instance").await;
        let keys = instance.expect(200)["verifier_keys"].as_array().unwrap().clone();
        keys.iter().map(|key| VerifierKey::parse(key.as_str().unwrap()).unwrap()).collect::<Vec<_>>()
    };
    let old = keys(&binary).await;
    let before = binary.admin().get("/log/checkpoint?at_least=3").await.text;
    assert_eq!((old.len(), signatures(&before)), (1, 1));
    assert!(binary.terminate().await.status.success());

    let rotate = async |binary: &Binary| {
        let mut command = binary.command(&["log", "rotate-key", "--overlap", "7d"]);
        page(&tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap(), 0)
    };
    let said = rotate(&binary).await;
    assert!(said.contains("the key before signs on for 7days"), "{said}");
    let line = database.entries().await.into_iter().find(|entry| entry.kind == "LogKeyRotated").unwrap();
    assert_eq!(line.text_at("/actor/by"), "system:rotate-log-key");

    binary.start().await;
    let both = keys(&binary).await;
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    assert!(said.contains(&both[0].to_string()), "{said}");
    let size = database.size().await;
    let note = binary.admin().get(&format!("/log/checkpoint?at_least={size}")).await.text;
    assert_eq!(signatures(&note), 2);
    for key in &both {
        Checkpoint::open(&note, std::slice::from_ref(key)).unwrap();
    }
    // What is kept of before is proved with what is known now, and the other way round.
    let desk = Desk::new();
    let lines: Vec<String> = database.entries().await.into_iter().map(|entry| entry.text).collect();
    let export = desk.export("log.ndjson", &lines);
    let (kept, now) = (desk.put("kept.txt", &before), desk.put("now.txt", &note));
    let said = page(&desk.verify(&old[0].to_string(), &[&kept, &now], &[&export]).await, 0);
    assert!(said.contains("LogKeyRotated"), "{said}");
    assert!(binary.terminate().await.status.success());
}

#[tokio::test]
async fn a_key_that_comes_later_or_from_elsewhere_signs_if_it_is_the_logs() {
    let (database, folder) = (Database::new().await, tempfile::tempdir().unwrap());
    let key = folder.path().join("log-key");
    let first = NodeOptions::on(&database).log_key(&key).start().await;
    assert_eq!(first.admin().get("/log/checkpoint?at_least=1").await.status, 200);
    first.stop().await;
    // A node with a key of its own, which is not the log's, signs nothing.
    let other = NodeOptions::on(&database).signing().start().await;
    other.admin().post("/v1/organizations", json!({"name": "acme"})).await.expect(201);
    let shown = other.admin().get("/log/checkpoint").await.text;
    let size = database.size().await;
    assert!(Checkpoint::of_note(&shown).unwrap().size < size);
    std::fs::copy(&key, other.folder().join("log-key")).unwrap();
    let note = other.admin().get(&format!("/log/checkpoint?at_least={size}")).await.text;
    assert!(Checkpoint::of_note(&note).unwrap().size >= size);
}
