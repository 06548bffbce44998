//! An export alone: its manifest holds the checkpoint that it is checked against.

use super::{Desk, keys, page, run, signing, size_of, uses};
use chancery_tests::{ADMIN, World};
use serde_json::{Value, json};
use std::path::Path;

async fn export(world: &World, desk: &Desk, arguments: &[&str]) -> (Value, String) {
    let variables = [("CHANCERY_URL", world.node.url()), ("CHANCERY_TOKEN", ADMIN)];
    let output = run(&desk.path(""), [&["audit", "export"][..], arguments].concat(), &variables).await;
    page(&output, 0);
    let said = String::from_utf8(output.stderr).unwrap();
    (read(&desk.path(arguments[1]).join("manifest.json")), said)
}

fn read(manifest: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap()
}

/// Checks what a folder holds by its manifest, with nothing else but the key.
async fn verify(desk: &Desk, key: &str, folder: &str, code: i32) -> String {
    let manifest = format!("{folder}/manifest.json");
    let output = desk.run(["log", "verify", "--key", key, "--manifest", &manifest]).await;
    let said = page(&output, code);
    said + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_checked_against_the_checkpoint_of_its_own_manifest() {
    let (world, desk) = (signing().await, Desk::new());
    uses(&world, "some", 30).await;
    let key = keys(&world.node).await[0].clone();
    for (folder, more) in
        [("log", &[][..]), ("part", &["--organization", "acme"]), ("begun", &["--until-position", "20"])]
    {
        let (manifest, _) = export(&world, &desk, &[&["--out", folder][..], more].concat()).await;
        let until = manifest["until_position"].as_u64().unwrap();
        assert!(size_of(manifest["checkpoint"].as_str().unwrap()) >= until);
        let said = verify(&desk, &key, folder, 0).await;
        assert!(said.contains(&format!("the first {until} lines are on the log, unchanged")), "{said}");
        assert!(said.contains("Found\n  nothing wrong"), "{said}");
    }
    let begun = read(&desk.path("begun/manifest.json"));
    assert!(size_of(begun["checkpoint"].as_str().unwrap()) > 20 && begun["consistency"][0].is_string());
    // The lines of today are held against the checkpoint of an earlier export.
    let all = super::lines(&world).await;
    let now = desk.export("now.ndjson", &all);
    let by_earlier = ["log", "verify", "--key", &key, "--manifest", "begun/manifest.json"];
    page(&desk.run(by_earlier.iter().copied().chain([now.to_str().unwrap()])).await, 0);

    for folder in ["log", "part", "begun"] {
        let manifest = read(&desk.path(&format!("{folder}/manifest.json")));
        let until = manifest["until_position"].as_u64().unwrap();
        let name = format!("{folder}/{}", manifest["files"][0]["name"].as_str().unwrap());
        let text = std::fs::read_to_string(desk.path(&name)).unwrap();
        desk.put(&name, text.replacen("\"acme\"", "\"acne\"", 1));
        let said = verify(&desk, &key, folder, 1).await;
        assert!(said.contains(&format!("something from position 0 to {}", until - 1)), "{said}");
        desk.put(&name, text);
        verify(&desk, &key, folder, 0).await;
        let write = |manifest: &Value| desk.put(&format!("{folder}/manifest.json"), manifest.to_string());
        let note = manifest["checkpoint"].as_str().unwrap();
        let mut forged = manifest.clone();
        forged["checkpoint"] = json!(note.replacen(&size_of(note).to_string(), "7", 1));
        write(&forged);
        assert!(verify(&desk, &key, folder, 1).await.contains("is not valid"));
        let mut moved = manifest.clone();
        moved["until_position"] = json!(until - 1);
        write(&moved);
        assert!(verify(&desk, &key, folder, 1).await.contains("DIFFERS"));
        let mut longer = manifest.clone();
        longer["until_position"] = json!(until + 1);
        write(&longer);
        assert!(verify(&desk, &key, folder, 1).await.contains("are missing"));
    }
    let mut other = begun.clone();
    other["consistency"][0] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    desk.put("begun/manifest.json", other.to_string());
    assert!(verify(&desk, &key, "begun", 1).await.contains("DIFFERS"));
    let mut outside = begun;
    outside["files"][0]["name"] = json!("../now.ndjson");
    desk.put("begun/manifest.json", outside.to_string());
    assert!(verify(&desk, &key, "begun", 1).await.contains("not beside it"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_without_a_checkpoint_says_so() {
    let (world, desk) = (World::new().await, Desk::new());
    let (manifest, said) = export(&world, &desk, &["--out", "log"]).await;
    assert!(manifest["checkpoint"].is_null() && said.contains("no checkpoint holds the last line"), "{said}");
    let key = keys(&signing().await.node).await[0].clone();
    let said = verify(&desk, &key, "log", 2).await;
    assert!(said.contains("holds no checkpoint"), "{said}");
}
