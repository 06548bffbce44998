use super::POLICY;
use crate::DAY;
use chancery_tests::{ADMIN, World, chancery};
use serde_json::{Value, json};
use std::process::{Command, Output};

async fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(chancery());
    command.args(arguments).env_clear().env("CHANCERY_URL", world.node.url()).env("CHANCERY_TOKEN", ADMIN);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_set_shown_and_swept_by() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let forgotten = tenants.owner.mint("forgotten", json!({"organization": "acme"}), &["member"]).await;
    world.pass(31 * DAY);
    tenants.owner.get("/v1/whoami").await.expect(200);
    tenants.verifier.get("/v1/whoami").await.expect(200);
    let set = ["org", "policy", "set", "acme", "--max-inactive-days", "30", "--max-lifetime", "90d"];
    let dry = text(&run(&world, &[&set[..], &["--dry-run"]].concat()).await);
    assert!(dry.contains("30 days (1 live token revoked at the next sweep)"), "{dry}");
    assert_eq!(world.node.admin().get(POLICY).await.expect(200)["max_inactive_days"], 0);
    text(&run(&world, &set).await);
    let shown = text(&run(&world, &["org", "describe", "acme"]).await);
    assert!(shown.contains("NAME") && shown.contains("MAX LIFETIME") && shown.contains("90d"), "{shown}");
    let policy = text(&run(&world, &["org", "policy", "show", "acme", "--json"]).await);
    assert_eq!(serde_json::from_str::<Value>(&policy).unwrap()["hits"]["inactive"], 1);
    let off = ["org", "policy", "set", "--org", "acme", "--max-lifetime", "off", "--any-network"];
    assert!(text(&run(&world, &off).await).contains("MAX LIFETIME       off"));
    let dry = text(&run(&world, &["org", "sweep", "acme", "--dry-run", "--output", "id"]).await);
    assert_eq!(dry.trim(), forgotten.id);
    let unasked = run(&world, &["org", "sweep", "acme"]).await;
    assert_eq!(unasked.status.code(), Some(2));
    let swept = text(&run(&world, &["org", "sweep", "acme", "--force", "--json"]).await);
    assert_eq!(serde_json::from_str::<Value>(&swept).unwrap()["count"], 1);
    assert_eq!(tenants.verifier.code_of(&forgotten.secret).await, "revoked");
}
