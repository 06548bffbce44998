use chancery_tests::{ADMIN, World, chancery};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

/// Runs a command of the client as the administrator, with nobody to be asked.
async fn run(world: &World, arguments: &[&str]) -> Output {
    let (url, folder) = (world.node.url().to_owned(), world.node.folder().to_owned());
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let command = move || {
        let mut command = Command::new(chancery());
        command.env_clear().env("XDG_CONFIG_HOME", folder).stdin(Stdio::null());
        command.env("CHANCERY_URL", url).env("CHANCERY_TOKEN", ADMIN).args(arguments).output().unwrap()
    };
    tokio::task::spawn_blocking(command).await.unwrap()
}

/// What it printed, if it succeeded.
async fn printed(world: &World, arguments: &[&str]) -> String {
    let output = run(world, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn refused(world: &World, arguments: &[&str], code: i32) -> String {
    let output = run(world, arguments).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

#[tokio::test]
async fn an_organization_is_described_suspended_restored_and_deleted() {
    let world = World::new().await;
    world.tenants().await;
    let shown = printed(&world, &["org", "describe", "acme"]).await;
    for line in ["NAME            acme", "PROJECTS        2", "LIVE TOKENS     2", "REVOKED TOKENS  0"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let json: Value =
        serde_json::from_str(&printed(&world, &["org", "show", "acme", "--json"]).await).unwrap();
    assert_eq!((&json["name"], &json["contents"]["tokens"]["live"]), (&json!("acme"), &json!(2)));
    assert!(refused(&world, &["org", "suspend", "acme"], 2).await.contains("--force"));
    let suspended = printed(&world, &["org", "suspend", "acme", "--force", "--reason", "unpaid"]).await;
    assert!(suspended.contains("suspended"), "{suspended}");
    let restored = printed(&world, &["org", "restore", "acme", "--note", "paid"]).await;
    assert!(restored.contains("active"), "{restored}");
    assert!(refused(&world, &["org", "delete", "acme"], 2).await.contains("--confirm"));
    let counted = printed(&world, &["org", "delete", "acme", "--dry-run"]).await;
    assert!(counted.contains("LIVE TOKENS     2"), "{counted}");
    let wrong = refused(&world, &["org", "delete", "acme", "--confirm", "other"], 2).await;
    assert!(wrong.contains("`other` is not `acme`"), "{wrong}");
    world.node.admin().get("/v1/organizations/acme").await.expect(200);
    let deleted =
        printed(&world, &["org", "delete", "acme", "--confirm", "acme", "--reason", "closed"]).await;
    assert!(deleted.contains("deleted"), "{deleted}");
    refused(&world, &["org", "show", "acme"], 5).await;
}

#[tokio::test]
async fn a_project_is_deleted_once_it_is_confirmed() {
    let world = World::new().await;
    world.tenants().await;
    let delete = ["project", "delete", "web", "--org", "acme"];
    assert!(refused(&world, &delete, 2).await.contains("--confirm"));
    let counted = printed(&world, &[&delete[..], &["--dry-run", "--json"]].concat()).await;
    let counted: Value = serde_json::from_str(&counted).unwrap();
    let expected = json!({
        "tokens": {"live": 0, "expired": 0, "revoked": 0}, "holders": 0, "members": 0, "invitations": 0
    });
    assert_eq!(counted, expected);
    printed(&world, &[&delete[..], &["--confirm", "web"]].concat()).await;
    let left = printed(&world, &["project", "list", "--org", "acme", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&left).unwrap().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_organization_is_exported_changed_in_its_file_and_applied() {
    let world = World::new().await;
    world.tenants().await;
    let exported = printed(&world, &["org", "export", "acme"]).await;
    assert!(exported.contains("[projects.api]") && exported.contains("[projects.web]"), "{exported}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.toml");
    let apply = ["org", "apply", "--file", file.to_str().unwrap()];
    std::fs::write(&file, &exported).unwrap();
    assert_eq!(printed(&world, &[&apply[..], &["--dry-run"]].concat()).await, "");
    let changed = exported.replace("[projects.api]", "[projects.app]\ndisplay_name = \"The app\"");
    std::fs::write(&file, changed).unwrap();
    let steps = "+ project app: display name `The app`\n- project api, with its tokens\n";
    assert_eq!(printed(&world, &[&apply[..], &["--dry-run", "--delete"]].concat()).await, steps);
    assert!(refused(&world, &apply, 2).await.contains("--force"));
    assert_eq!(printed(&world, &[&apply[..], &["--force", "--delete"]].concat()).await, steps);
    let again = printed(&world, &["org", "export", "acme"]).await;
    assert_eq!(again, std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, again.replace("version = 1", "version = 9")).unwrap();
    assert!(refused(&world, &apply, 2).await.contains("version"));
}
