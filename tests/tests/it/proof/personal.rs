//! Personal values that an auditor took along, and an erasure between two exports.

use super::{Desk, checkpoint, keys, page, run, signing};
use crate::people::join;
use chancery_tests::{ADMIN, World};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Exports into a folder of the desk, with the values; gives the lines' file and the values'.
async fn export(world: &World, desk: &Desk, name: &str, token: &str, more: &[&str]) -> (PathBuf, PathBuf) {
    let variables = [("CHANCERY_URL", world.node.url()), ("CHANCERY_TOKEN", token)];
    let arguments = [&["audit", "export", "--personal", "--out", name], more].concat();
    page(&run(&desk.path(""), arguments, &variables).await, 0);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(desk.path(name).join("manifest.json")).unwrap()).unwrap();
    let values = desk.path(name).join(manifest["personal"]["name"].as_str().unwrap());
    let lines = std::fs::read_to_string(&values).unwrap().lines().count();
    assert_eq!(manifest["personal"]["values"], lines);
    (desk.path(name).join(manifest["files"][0]["name"].as_str().unwrap()), values)
}

async fn report(desk: &Desk, key: &str, notes: &[&PathBuf], of: &(PathBuf, PathBuf), code: i32) -> Value {
    let personal = format!("--personal={}", of.1.display());
    let notes: Vec<&std::path::Path> = notes.iter().map(|note| note.as_path()).collect();
    let more = [of.0.as_path(), std::path::Path::new(&personal), std::path::Path::new("--json")];
    serde_json::from_str(&page(&desk.verify(key, &notes, &more).await, code)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_is_told_from_what_is_altered_and_every_line_stands() {
    let (world, desk) = (signing().await, Desk::new());
    let admin = world.node.admin();
    let ada = join(&world.node, "acme", "ada@example.org", "member").await;
    join(&world.node, "acme", "grace@example.org", "member").await;
    let early = desk.put("early.txt", checkpoint(&world).await);
    let key = keys(&world.node).await[0].clone();
    let before = export(&world, &desk, "before", ADMIN, &[]).await;
    let said = report(&desk, &key, &[&early], &before, 0).await;
    let of = |said: &Value, what: &str| said["personal"][what].as_u64().unwrap();
    assert!(of(&said, "checked") > 5, "{said}");
    assert_eq!((of(&said, "erased"), of(&said, "altered")), (0, 0));
    admin.post(&format!("/v1/users/{}/offboard", ada.user), json!({})).await.expect(200);
    admin.post("/v1/users/erase", json!({"email": "ada@example.org"})).await.expect(200);
    let late = desk.put("late.txt", checkpoint(&world).await);
    let after = export(&world, &desk, "after", ADMIN, &[]).await;
    let said = report(&desk, &key, &[&early, &late], &after, 0).await;
    assert!(of(&said, "erased") >= 3 && of(&said, "altered") == 0, "{said}");
    assert!(!std::fs::read_to_string(&after.1).unwrap().contains("ada@example.org"));
    let forged = "UPDATE chancery.personal SET value = 'eve@example.org' WHERE value = 'grace@example.org'";
    world.database.execute(forged).await;
    let forged = export(&world, &desk, "forged", ADMIN, &[]).await;
    let said = report(&desk, &key, &[&early, &late], &forged, 1).await;
    assert_eq!(of(&said, "altered"), 1);
    let found = said["found"].as_array().unwrap();
    let entries = world.database.entries().await;
    let invited = entries.iter().filter(|entry| entry.kind == "MemberInvited").nth(1).unwrap().position;
    assert!(found[0].as_str().unwrap().starts_with(&format!("position {invited}: email: ")), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_s_auditor_takes_its_own_values_along() {
    let (world, desk) = (signing().await, Desk::new());
    let admin = world.node.admin();
    join(&world.node, "acme", "ada@example.org", "member").await;
    join(&world.node, "other", "grace@example.org", "member").await;
    let early = desk.put("early.txt", checkpoint(&world).await);
    let auditor = admin.mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let own = export(&world, &desk, "own", &auditor.secret, &["--organization", "acme"]).await;
    let values = std::fs::read_to_string(&own.1).unwrap();
    assert!(values.contains("ada@example.org") && !values.contains("grace@example.org"));
    let said = report(&desk, &keys(&world.node).await[0], &[&early], &own, 0).await;
    assert_eq!((&said["personal"]["erased"], &said["personal"]["unused"]), (&json!(0), &json!(0)));
    let member = admin.mint("m", json!({"organization": "acme"}), &["member"]).await;
    let path = "/v1/audit/export/personal?organization=acme";
    world.node.token(&member.secret).get(path).await.refused(403, "forbidden");
    let whole = world.node.token(&auditor.secret).get("/v1/audit/export/personal").await;
    assert_ne!(whole.status, 200, "everybody's are for the instance's auditors");
}
