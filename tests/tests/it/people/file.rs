use super::commands::{run, text};
use super::join;
use chancery_tests::{ADMIN, World};
use serde_json::{Value, json};
use std::path::Path;

fn apply(world: &World, file: &Path, flags: &[&str]) -> String {
    let arguments = [&["org", "apply", "--file", file.to_str().unwrap()], flags].concat();
    text(run(world, ADMIN, &arguments, ""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_with_its_roles_policy_and_people_lives_in_a_file() {
    let world = World::new().await;
    world.tenants().await;
    join(&world.node, "acme", "ada@example.org", "owner").await;
    join(&world.node, "acme", "eve@example.org", "member").await;
    let export = || text(run(&world, ADMIN, &["org", "export", "acme"], ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.toml");
    let exported = export();
    assert!(
        exported.contains("[members]\n\"ada@example.org\" = \"owner\"\n\"eve@example.org\" = \"member\"\n")
    );
    std::fs::write(&file, &exported).unwrap();
    assert_eq!(apply(&world, &file, &["--dry-run", "--delete", "--remove-members"]), "");
    let changed = exported
        .replace("[policy]\n", "[policy]\nmax_lifetime = \"2160h\"\n")
        .replace("[roles]\n", "[roles.deployer]\nlevel = \"project\"\npermissions = [\"deployments:*\"]\n")
        .replace("\"eve@example.org\" = \"member\"\n", "\"grace@example.org\" = \"admin\"\n")
        .replace("[projects.web]\n", "[projects.web.members]\n\"ada@example.org\" = \"deployer\"\n");
    std::fs::write(&file, changed).unwrap();
    let steps = [
        "+ role deployer (project): deployments:*",
        "~ policy: max_lifetime \"2160h\" instead of none",
        "~ member ada@example.org at web: deployer instead of none",
        "+ invitation of grace@example.org: admin",
        "- member eve@example.org: member; tokens stay",
    ];
    let planned = apply(&world, &file, &["--dry-run"]);
    assert_eq!(planned.lines().collect::<Vec<_>>(), steps[..4], "who is not in the file stays");
    let before = world.database.size().await;
    assert_eq!(apply(&world, &file, &["--dry-run", "--remove-members"]).lines().collect::<Vec<_>>(), steps);
    let made = world.database.entries_from(before).await;
    assert!(made.iter().all(|entry| entry.kind == "AdminTokenUsed"), "a dry run changes nothing");
    let applied = apply(&world, &file, &["--force", "--remove-members", "--json"]);
    let applied: Value = serde_json::from_str(&applied).unwrap();
    let invitation = json!({"secret": applied[3]["secret"]});
    assert_eq!(
        (&applied[3]["step"], &applied[4]["step"]),
        (&json!("invite-member"), &json!("remove-member"))
    );
    assert_eq!(apply(&world, &file, &["--force", "--remove-members"]), "", "once is enough");
    super::accept(&world.node, &invitation).await;
    assert_eq!(apply(&world, &file, &["--force", "--remove-members"]), "", "who accepted is a member");
    let again = export();
    assert!(again.contains("max_lifetime = \"90d\"") && again.contains("[roles.deployer]"), "{again}");
    assert!(again.contains("[projects.web.members]\n\"ada@example.org\" = \"deployer\"\n"), "{again}");
    assert!(again.contains("\"grace@example.org\" = \"admin\"") && !again.contains("eve@"), "{again}");
    let member = world.node.admin().mint("m", json!({"organization": "acme"}), &["member"]).await;
    let limited = run(&world, &member.secret, &["org", "export", "acme"], "");
    let said = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert!(said.contains("policy is left out: reading it needs policies:read"), "{said}");
    let limited = text(limited);
    assert!(limited.contains("[roles.deployer]") && !limited.contains("[policy]"), "{limited}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_held_and_the_last_owner_stay_whatever_the_file_says() {
    let world = World::new().await;
    world.tenants().await;
    join(&world.node, "acme", "ada@example.org", "owner").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.toml");
    let text = "version = 1\n[organization]\nname = \"acme\"\n[members]\n\"ada@example.org\" = \"member\"\n";
    std::fs::write(&file, text).unwrap();
    let arguments = ["org", "apply", "--file", file.to_str().unwrap(), "--force"];
    let refused = run(&world, ADMIN, &arguments, "");
    assert_eq!(refused.status.code(), Some(6), "{}", String::from_utf8_lossy(&refused.stderr));
    std::fs::write(&file, "version = 1\n[organization]\nname = \"acme\"\n[members]\n").unwrap();
    let refused = run(&world, ADMIN, &[&arguments[..], &["--remove-members"]].concat(), "");
    assert_eq!(refused.status.code(), Some(6), "{}", String::from_utf8_lossy(&refused.stderr));
    let members = world.node.admin().get("/v1/organizations/acme/members").await;
    assert_eq!(members.expect(200)["items"][0]["role"], "owner");
}
