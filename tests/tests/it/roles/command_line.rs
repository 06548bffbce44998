use chancery_tests::{Minted, World, chancery};
use serde_json::{Value, json};
use std::process::Output;

/// Runs a command as the holder of a token; where nobody can be asked.
async fn run(world: &World, token: &Minted, arguments: &'static [&'static str]) -> Output {
    let (url, secret) = (world.node.url().to_owned(), token.secret.clone());
    let run = move || {
        std::process::Command::new(chancery())
            .args(arguments)
            .env_clear()
            .envs([("CHANCERY_URL", url), ("CHANCERY_TOKEN", secret), ("CHANCERY_ORG", "acme".to_owned())])
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[track_caller]
fn printed(output: &Output, status: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_kept_from_the_command_line() {
    let world = World::new().await;
    world.tenants().await;
    let owner = world.node.admin().mint("boss", json!({"organization": "acme"}), &["owner"]).await;
    let define: &[&str] =
        &["role", "define", "helper", "--level", "organization", "--permission", "deployments:read"];
    assert!(printed(&run(&world, &owner, define).await, 0).contains("deployments:read"));
    let held = world.node.admin().mint("ci", json!({"organization": "acme"}), &["helper"]).await;
    let change: &[&str] =
        &["role", "change", "helper", "--add", "a:b", "--remove", "deployments:read", "--json"];
    let changed: Value = serde_json::from_str(&printed(&run(&world, &owner, change).await, 0)).unwrap();
    assert_eq!(changed["permissions"], json!(["a:b"]));
    let list = printed(&run(&world, &owner, &["role", "list"]).await, 0);
    let line = list.lines().find(|line| line.starts_with("helper ")).unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["helper", "organization", "acme", "1", "0", "a:b"]
    );
    let shown = printed(&run(&world, &owner, &["role", "show", "helper"]).await, 0);
    assert!(shown.contains("TOKENS") && shown.contains(&held.id), "{shown}");
    printed(&run(&world, &owner, &["role", "retire", "helper"]).await, 2);
    printed(&run(&world, &owner, &["role", "retire", "helper", "--force"]).await, 6);
    let retire: &[&str] = &["role", "retire", "helper", "--force", "--replacement", "member"];
    assert!(printed(&run(&world, &owner, retire).await, 0).contains("member"));
    printed(&run(&world, &owner, &["role", "show", "helper"]).await, 5);
    printed(&run(&world, &owner, &["role", "list", "--instance"]).await, 4);
    printed(&run(&world, &owner, &["role", "list", "--instance", "--org", "acme"]).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_allowed_is_explained_on_the_command_line() {
    let world = World::new().await;
    world.tenants().await;
    let owner = world.node.admin().mint("boss", json!({"organization": "acme"}), &["owner"]).await;
    world.node.admin().mint("ci", json!({"organization": "acme"}), &["project-writer@web"]).await;
    let by_name: &[&str] = &["explain", "ci", "--permission", "deployments:create", "--at", "acme/web"];
    let said = printed(&run(&world, &owner, by_name).await, 0);
    assert!(said.contains("project-writer@web (deployments:*)") && said.contains("acme/web"), "{said}");
    let missing: &[&str] = &["explain", "ci", "--permission", "deployments:create"];
    let said = printed(&run(&world, &owner, missing).await, 3);
    assert!(said.contains("deployments:create at organization acme"), "{said}");
    let draft: &[&str] =
        &["explain", "--grant", "member", "--grant", "verifier", "--permission", "tokens:verify", "--json"];
    let said: Value = serde_json::from_str(&printed(&run(&world, &owner, draft).await, 0)).unwrap();
    assert_eq!(said["chain"][0]["by"], json!([{"grant": "verifier", "permission": "tokens:verify"}]));
    printed(&run(&world, &owner, &["explain", "--permission", "a:b"]).await, 2);
    printed(&run(&world, &owner, &["explain", "never", "--permission", "a:b"]).await, 5);
}
