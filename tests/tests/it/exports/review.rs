use chancery_tests::{ADMIN, Actor, NodeOptions, World, chancery, eventually_async};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

const REVIEW: &str = "/v1/organizations/acme/access-review";

/// What is said of a token, once the uses of so much of the log are known.
async fn reviewed(actor: &Actor, id: &str, through: u64) -> Value {
    eventually_async("the uses to be known", async || {
        let review = actor.get(REVIEW).await.expect(200).clone();
        let is_known = review["uses_through"].as_u64().unwrap() >= through;
        is_known.then(|| {
            let items = review["items"].as_array().unwrap();
            items.iter().find(|item| item["token"]["id"] == id).expect("it is reviewed").clone()
        })
    })
    .await
}

fn used(item: &Value) -> Vec<&str> {
    item["used"].as_array().unwrap().iter().map(|used| used["permission"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_a_token_holds_and_never_used_is_found_in_its_uses() {
    // The view keeps its own time by the real clock.
    let world = World::with(|options| NodeOptions { clock: None, ..options }).await;
    let tenants = world.tenants().await;
    let admin = world.node.admin();
    let acme = || json!({"organization": "acme"});
    let idle = admin.mint("idle", acme(), &["member"]).await;
    let busy = admin.mint("busy", acme(), &["admin", "project-writer@web"]).await;
    let actor = world.node.token(&busy.secret);
    actor.get("/v1/organizations/acme").await.expect(200);
    actor.mint("child", acme(), &["verifier"]).await;
    actor.get("/v1/organizations/other").await.refused(404, "not_found");
    let asked = |permission: &str| json!({"token": busy.secret, "permission": permission, "project": "web"});
    for permission in ["deployments:create", "deployments:read"] {
        assert_eq!(tenants.verifier.verify_with(asked(permission)).await.code(), "valid");
    }
    assert_eq!(tenants.verifier.verify_with(asked("billing:pay")).await.code(), "forbidden");
    let auditor = admin.mint("auditor", acme(), &["auditor"]).await;
    let auditor = world.node.token(&auditor.secret);
    let through = world.database.size().await;

    let item = reviewed(&auditor, &busy.id, through).await;
    assert_eq!(used(&item), ["deployments:create", "deployments:read", "organizations:read", "tokens:mint"]);
    assert_eq!(item["needed"], json!(used(&item)));
    let never: Vec<_> =
        item["never_used"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(never.contains(&"tokens:revoke") && never.contains(&"audit:read"), "{never:?}");
    assert!(!never.contains(&"tokens:mint") && !never.contains(&"billing:pay"), "{never:?}");
    let places: Vec<_> = item["held"].as_array().unwrap().iter().map(|held| held["place"].clone()).collect();
    assert_eq!(places, [acme(), json!({"organization": "acme", "project": "web"})]);
    assert_eq!(item["confirm"], json!([]), "there is no owner among the members");

    let item = reviewed(&auditor, &idle.id, through).await;
    assert_eq!((used(&item).len(), item["never_used"].as_array().unwrap().len()), (0, 6));
    assert_eq!(item.get("narrower_role"), None);
    let page = auditor.get(&format!("{REVIEW}?limit=2")).await;
    assert_eq!(page.expect(200)["items"].as_array().unwrap().len(), 2);
    let next = format!("{REVIEW}?limit=100&cursor={}", page.text_of("next_cursor"));
    let rest = auditor.get(&next).await;
    assert_eq!(rest.expect(200)["items"].as_array().unwrap().len(), 4);
    assert!(!auditor.get(REVIEW).await.text.contains("\"other\""));
}

async fn run(world: &World, out: &Path, arguments: &[&str]) -> Output {
    let url = world.node.url().to_owned();
    let mut command = std::process::Command::new(chancery());
    command
        .args(["audit", "report", "--organization", "acme", "--out"])
        .arg(out)
        .args(arguments)
        .env_clear()
        .envs([("CHANCERY_URL", url), ("CHANCERY_TOKEN", ADMIN.to_owned())])
        .stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_written_and_the_next_says_what_changed() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let described = json!({
        "name": "ci <script>alert(1)</script>", "scope": {"organization": "acme"}, "grants": ["member"],
        "description": "=1+1"
    });
    let ci = tenants.owner.mint_with(described).await;
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (home.path().join("q3"), home.path().join("q4"));
    let output = run(&world, &first, &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(first.join("access-review.html")).unwrap();
    assert!(page.contains("ci &lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"));
    assert!(page.contains("=1+1") && !page.contains("What changed"));
    let rows = std::fs::read_to_string(first.join("access-review.csv")).unwrap();
    let rows: Vec<_> = csv::Reader::from_reader(rows.as_bytes()).into_records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().any(|row| row[0] == *ci.id));

    world.node.admin().revoke(&ci.id).await;
    world.node.admin().mint("fresh", json!({"organization": "acme"}), &["verifier"]).await;
    let last = first.join("access-review.json");
    let output = run(&world, &second, &["--since", last.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(second.join("access-review.html")).unwrap();
    assert!(
        page.contains("What changed since") && page.contains("Token fresh (") && page.contains("has ended.")
    );
    let output = run(&world, &second, &["--since", first.join("access-review.csv").to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2), "it is no report");
}
