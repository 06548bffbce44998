use chancery_tests::{World, chancery};
use serde_json::{Value, json};
use std::process::Command;

/// Runs a command that has to end well; says what it printed.
fn run(url: &str, token: &str, args: &[&str]) -> String {
    let mut command = Command::new(chancery());
    command.args(args).env_clear().env("CHANCERY_URL", url).env("HOME", "/nonexistent");
    let ended = command.env("CHANCERY_TOKEN", token).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{args:?}: {}", text(&ended.stderr));
    text(&ended.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_read_and_followed_on_the_command_line() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let acme = || json!({"organization": "acme"});
    let boss = world.node.admin().mint("boss", acme(), &["owner"]).await;
    let token = world.node.token(&boss.secret).mint("ci", acme(), &["member"]).await;
    tenants.verifier.verify_with(json!({"token": token.secret, "permission": "tokens:rotate"})).await;
    tenants.owner.revoke(&token.id).await;
    let size = world.database.size().await.to_string();
    let url = world.node.url().to_owned();
    let of_instance = world.node.admin().mint("root", json!({"instance": true}), &["instance-admin"]).await;
    let ran = tokio::task::spawn_blocking(move || {
        let ask = |args: &[&str]| run(&url, &boss.secret, &[&["--at-least", &size][..], args].concat());
        let events =
            ask(&["audit", "events", "--type", "TokenMinted,TokenRevoked", "--limit", "2", "--json"]);
        let table = ask(&["audit", "events", "--token", &token.id]);
        let tail =
            ask(&["audit", "tail", "--uses", "--from-position", "0", "--until-position", &size, "--json"]);
        let lines = ask(&["audit", "tail", "--from-position", "0", "--until-position", &size]);
        let history = ask(&["token", "history", &token.id, "--oldest"]);
        let uses = ask(&["token", "uses", &token.id, "--outcome", "forbidden"]);
        run(&url, &of_instance.secret, &["audit", "rebuild"]);
        let views = run(&url, &of_instance.secret, &["audit", "views", "--json"]);
        (events, table, tail, lines, history, uses, views)
    });
    let (events, table, tail, lines, history, uses, views) = ran.await.unwrap();
    let events: Vec<Value> = serde_json::from_str(&events).unwrap();
    assert_eq!(super::types(&events), ["TokenRevoked", "TokenMinted"]);
    let (header, rows) = table.split_once('\n').unwrap();
    assert!(header.starts_with("POSITION") && rows.contains("ci") && rows.contains("127.0.0.1"), "{table}");
    let entries = world.database.entries().await;
    let own = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let acme_id = events[0]["line"]["org"].clone();
    let expected =
        entries.iter().filter(|entry| entry.line["org"] == acme_id).map(|entry| entry.line.clone());
    let followed: Vec<Value> = tail.lines().map(|line| own(line)["line"].clone()).collect();
    assert!(followed.len() > 8);
    assert_eq!(followed, expected.take(followed.len()).collect::<Vec<_>>());
    assert!(lines.lines().count() < followed.len() && lines.contains("OrganizationCreated"), "{lines}");
    assert!(history.contains("TokenMinted") && history.contains("requested"), "{history}");
    assert!(
        uses.contains("forbidden") && uses.contains("tokens:rotate") && uses.lines().count() == 2,
        "{uses}"
    );
    assert!(own(&views)["live"]["generation"].as_u64() >= Some(1));
}
