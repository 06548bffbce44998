use chancery_tests::{ADMIN, World, chancery};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs the command line against a node, as the holder of a token, with a text on standard input.
fn run(world: &World, token: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(chancery())
        .env_clear()
        .env("CHANCERY_URL", world.node.url())
        .env("CHANCERY_TOKEN", token)
        .env("CHANCERY_ORG", "acme")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever takes nothing from standard input has closed it by then.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn read(output: Output) -> Value {
    serde_json::from_str(&text(output)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_comes_works_and_goes_on_the_command_line() {
    let world = World::new().await;
    world.tenants().await;
    let admin = |arguments: &[&str], input: &str| run(&world, ADMIN, arguments, input);
    let invite = ["invite", "create", "--email", "ada@example.org", "--role", "admin", "--output", "secret"];
    let invitation = text(admin(&invite, ""));
    assert!(invitation.starts_with("chyn_"));
    assert!(text(admin(&["invite", "list"], "")).contains("ada@example.org"));
    let accept = ["invite", "accept", "--invitation-stdin", "--name", "Ada", "--output", "secret"];
    let session = text(run(&world, "none", &accept, &invitation));
    assert_eq!(text(admin(&["invite", "list", "--output", "id"], "")), "");
    let mint = ["token", "mint", "--name", "ci", "--grant", "verifier", "--expires", "90d", "--output", "id"];
    let minted = text(run(&world, session.trim(), &mint, ""));
    let members = read(admin(&["member", "list", "--json"], ""));
    assert_eq!((&members[0]["email"], &members[0]["role"]), (&json!("ada@example.org"), &json!("admin")));
    assert!(text(admin(&["member", "show", "ada@example.org"], "")).contains(minted.trim()));
    let changed = read(admin(&["member", "set-role", "ADA@example.org", "member", "--json"], ""));
    assert_eq!(changed["role"], "member");
    let unasked = admin(&["member", "remove", "ada@example.org"], "");
    assert_eq!(unasked.status.code(), Some(2), "{}", String::from_utf8_lossy(&unasked.stderr));
    let unknown = admin(&["member", "remove", "eve@example.org", "--force"], "");
    assert_eq!(unknown.status.code(), Some(5));
    let left = text(admin(&["user", "offboard", "ada@example.org", "--tokens", "revoke", "--force"], ""));
    assert!(left.contains(minted.trim()) && left.contains("revoked"), "{left}");
    assert!(text(admin(&["user", "list"], "")).contains("ada@example.org"));
    assert_eq!(text(admin(&["member", "list", "--output", "id"], "")), "");
    let gone = run(&world, session.trim(), &["whoami"], "");
    assert_eq!(gone.status.code(), Some(4));
}
