//! Snapshots of the state: a start and the past that go on from one are what they would have been without, and one that
//! is not what the log folds to is never used.

use chancery_tests::{Database, NodeOptions, Seed, TestNode, eventually};
use domain::history::Moment;
use domain::line::Line;
use domain::state::State;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// After how many events a snapshot is taken here.
const EVERY: u64 = 12;

fn on(database: &Database, folder: &Path) -> NodeOptions {
    NodeOptions::on(database).folder(folder).snapshot_every(EVERY)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder.join("snapshots")).into_iter().flatten();
    let mut files: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    files.sort_unstable();
    files
}

/// Something of everything that the state has.
async fn change_much(node: &TestNode, round: u32) {
    let admin = node.admin();
    let name = |text: &str| format!("{text}-{round}");
    admin.organization(&name("acme")).await;
    admin.project(&name("acme"), "web").await;
    let acme = json!({"organization": name("acme")});
    let policy = json!({"max_live_tokens": 50, "allowed_networks": ["127.0.0.0/8"]});
    admin.patch(&format!("/v1/organizations/{}/policy", name("acme")), policy).await.expect(200);
    let body = json!({"name": "owner", "scope": acme, "grants": ["owner"], "metadata": {"a": [1]}});
    let keyed = admin.call("POST", "/v1/tokens").key(&name("key")).json(&body).send().await;
    let owner = node.token(&keyed.text_of("secret"));
    let child = owner.mint("child", acme.clone(), &["admin", "project-reader@web"]).await;
    node.token(&child.secret).mint("grandchild", acme.clone(), &["member"]).await;
    owner.post(&format!("/v1/tokens/{}/rotate", child.id), json!({"overlap": "1h"})).await.expect(200);
    let role = json!({"name": "deployer", "level": "project", "permissions": ["deployments:create"]});
    owner.post(&format!("/v1/organizations/{}/roles", name("acme")), role).await.expect(201);
    let cascade = json!({"cascade": true, "note": "seen"});
    owner.post(&format!("/v1/tokens/{}/revoke", child.id), cascade).await.expect(200);
    let invitation = json!({"email": "ada@example.com", "role": "member"});
    let path = format!("/v1/organizations/{}/invitations", name("acme"));
    owner.post(&path, invitation).await.expect(201);
}

/// A node that changes much until it has a snapshot.
async fn with_a_snapshot(database: &Database, folder: &Path) -> TestNode {
    let node = on(database, folder).start().await;
    change_much(&node, 0).await;
    has_one(&node).await;
    node
}

/// Waits until the next snapshot is not due yet.
async fn has_one(node: &TestNode) {
    let last = node.state(State::version);
    let due = EVERY.max(last / 8);
    eventually("a snapshot", || node.node().snapshot_version() + due > last).await;
}

/// The state of a node that folds the whole log.
async fn folded(database: &Database) -> TestNode {
    let node = NodeOptions::on(database).start().await;
    assert_eq!(node.node().started_from(), 0);
    node
}

#[tokio::test]
async fn a_start_goes_on_from_the_last_snapshot() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let node = with_a_snapshot(&database, folder.path()).await;
    let version = node.node().snapshot_version();
    node.stop().await;
    // What comes after the snapshot is folded.
    let other = NodeOptions::on(&database).start().await;
    other.admin().organization("later").await;
    let restarted = on(&database, folder.path()).start().await;
    assert_eq!(restarted.node().started_from(), version);
    let whole = folded(&database).await;
    assert_eq!(restarted.difference(&whole), None);
    change_much(&restarted, 1).await;
    whole.catches_up_with(&restarted).await;
    assert_eq!(restarted.difference(&whole), None);
}

#[tokio::test]
async fn the_past_is_the_same_from_snapshots() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let node = on(&database, folder.path()).start().await;
    for round in 0..7 {
        change_much(&node, round).await;
        has_one(&node).await;
    }
    assert!(files(folder.path()).len() > 2, "{:?}", files(folder.path()));
    node.stop().await;
    let node = on(&database, folder.path()).start().await;
    let lines: Vec<Line> = database.entries().await.iter().map(|it| Line::read(&it.text).unwrap()).collect();
    let events: Vec<&Line> = lines.iter().filter(|line| line.event.is_lifecycle()).collect();
    let versions = events.len() as u64 + 1;
    // Far back and far on, so that each goes on from another snapshot than the one before.
    for version in (0..versions).map(|index| index * 29 % versions) {
        let mut state = State::default();
        for line in &events[..version as usize] {
            state.apply(line).unwrap();
        }
        let found = node.node().as_of(Moment::Version(version)).await.unwrap().unwrap();
        assert_eq!(found.state.difference(&state), None, "version {version}");
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_thrown_away() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    with_a_snapshot(&database, folder.path()).await.stop().await;
    let whole = folded(&database).await;
    let file = files(folder.path()).pop().unwrap();
    let bytes = fs::read(&file).unwrap();
    let seed = Seed::new();
    let choices = seed.choices();
    for case in 0..40 {
        let mut damaged = bytes.clone();
        match case {
            0 => damaged.clear(),
            1 => damaged.push(0),
            2 => damaged.truncate(bytes.len() - 1),
            _ if choices.once_in(2) => damaged.truncate(choices.index(bytes.len())),
            _ => damaged[choices.index(bytes.len())] ^= 1 << choices.index(8),
        }
        fs::write(&file, damaged).unwrap();
        let node = NodeOptions::on(&database).folder(folder.path()).start().await;
        assert_eq!(node.node().started_from(), 0, "case {case}");
        assert_eq!(node.difference(&whole), None, "case {case}");
        assert!(!file.exists(), "case {case}");
        node.stop().await;
    }
    fs::write(&file, bytes).unwrap();
    let node = NodeOptions::on(&database).folder(folder.path()).start().await;
    assert!(node.node().started_from() > 0, "the file was good before");
}

#[tokio::test]
async fn a_snapshot_of_another_log_is_not_used() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let backup = {
        NodeOptions::on(&database).start().await.stop().await;
        database.copy().await
    };
    with_a_snapshot(&database, folder.path()).await.stop().await;
    // The backup goes its own way, and comes as far as the snapshot did.
    let node = NodeOptions::on(&backup).start().await;
    change_much(&node, 7).await;
    change_much(&node, 8).await;
    node.stop().await;
    fs::remove_file(folder.path().join("mark")).unwrap();
    let node = on(&backup, folder.path()).start().await;
    assert_eq!(node.node().started_from(), 0);
    assert_eq!(node.difference(&folded(&backup).await), None);
    eventually("a snapshot of this log", || node.node().snapshot_version() > 0).await;
}

#[tokio::test]
async fn few_are_kept_and_others_cannot_read_them() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let node = on(&database, folder.path()).start().await;
    fs::create_dir_all(folder.path().join("snapshots")).unwrap();
    for round in 0..12 {
        change_much(&node, round).await;
        has_one(&node).await;
    }
    let files = files(folder.path());
    assert!(files.len() <= 8, "{files:?}");
    for file in files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn a_node_without_any_takes_them_along_the_whole_log() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let node = NodeOptions::on(&database).start().await;
    for round in 0..10 {
        change_much(&node, round).await;
    }
    let whole = folded(&database).await;
    let late = on(&database, folder.path()).start().await;
    has_one(&late).await;
    assert!(files(folder.path()).len() > 3, "{:?}", files(folder.path()));
    assert_eq!(late.difference(&whole), None);
    late.stop().await;
    let again = on(&database, folder.path()).start().await;
    assert_eq!(again.node().started_from(), whole.state(State::version));
    assert_eq!(again.difference(&whole), None);
}
