//! A database that lost what a node had seen is refused, until an operator accepts it.

use chancery_tests::{
    Actor, Binary, Choices, Database, NodeOptions, Seed, TestNode, eventually_async, scale, within,
};
use eventlog::Error;
use projections::Fatal;
use serde_json::json;

/// Cuts everything from a commit's first position on off the log, as a restored backup would.
async fn cut(database: &Database, from: u64) {
    database
        .execute(&format!(
            "ALTER TABLE chancery.commits DISABLE TRIGGER USER;
             DELETE FROM chancery.commits WHERE first >= {from};
             ALTER TABLE chancery.commits ENABLE ALWAYS TRIGGER commits_refuse_statement;
             ALTER TABLE chancery.commits ENABLE ALWAYS TRIGGER commits_refuse_row;
             UPDATE chancery.log_head SET
                 size = (SELECT max(first + count) FROM chancery.commits),
                 version = (SELECT max(version + lifecycle) FROM chancery.commits),
                 last_lifecycle = (SELECT id FROM chancery.commits WHERE lifecycle > 0 ORDER BY version DESC LIMIT 1)"
        ))
        .await;
}

fn refused(started: Result<TestNode, Fatal>) -> String {
    match started {
        Err(fatal @ Fatal::Log(Error::WentBackwards { .. })) => fatal.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it started"),
    }
}

/// An authority that a node with a folder of its own has seen the end of; the folder and a copy without that end.
async fn restored() -> (tempfile::TempDir, Database, Database) {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::new().await);
    let start = || NodeOptions::on(&database).folder(folder.path()).start();
    let node = start().await;
    node.admin().organization("acme").await;
    node.stop().await;
    let backup = database.copy().await;
    let node = start().await;
    node.admin().organization("lost").await;
    node.stop().await;
    (folder, database, backup)
}

#[tokio::test]
async fn a_restored_backup_is_refused_by_who_saw_more() {
    let (folder, database, backup) = restored().await;
    let on = |database: &Database| NodeOptions::on(database).folder(folder.path());
    for _ in 0..2 {
        refused(on(&backup).try_start().await);
    }
    assert_eq!(backup.entries().await.iter().filter(|entry| entry.text.contains("Resumed")).count(), 0);
    // Who never saw more takes it, and the first node still takes its own.
    NodeOptions::on(&backup).start().await.stop().await;
    on(&database).start().await.stop().await;
}

#[tokio::test]
async fn another_authoritys_database_is_refused() {
    let (folder, database, _backup) = restored().await;
    let other = Database::new().await;
    let stranger = NodeOptions::on(&other).start().await;
    for n in 0..30 {
        stranger.admin().organization(&format!("org-{n}")).await;
    }
    stranger.stop().await;
    assert!(other.size().await > database.size().await, "it is not only shorter");
    refused(NodeOptions::on(&other).folder(folder.path()).try_start().await);
    let empty = Database::new().await;
    refused(NodeOptions::on(&empty).folder(folder.path()).try_start().await);
    assert_eq!(empty.size().await, 0, "no second authority was begun");
}

#[tokio::test]
async fn an_accepted_database_is_gone_on_with_under_another_origin() {
    let (folder, database, backup) = restored().await;
    let (seen, held) = (database.size().await, backup.size().await);
    let accept = Some("chancery.invalid/resumed".to_owned());
    let options = NodeOptions { accept, ..NodeOptions::on(&backup).folder(folder.path()) };
    let node = options.start().await;
    let resumed = backup.entries_from(held).await;
    let [line] = &resumed[..] else { panic!("one line: {resumed:?}") };
    assert_eq!((line.kind.as_str(), line.text_at("/actor/by")), ("LogResumed", "system:resume"));
    assert_eq!((line.at("/expected/size"), line.at("/found/size")), (&json!(seen), &json!(held)));
    assert_eq!(line.text_at("/origin"), "chancery.invalid/resumed");
    assert_eq!(node.admin().get("/v1/instance").await.expect(200)["origin"], "chancery.invalid/resumed");
    node.admin().get("/v1/organizations/lost").await.refused(404, "not_found");
    node.stop().await;
    NodeOptions::on(&backup).folder(folder.path()).start().await.stop().await;
    refused(NodeOptions::on(&database).folder(folder.path()).try_start().await);
}

#[tokio::test]
async fn a_running_node_stops_when_its_log_goes_backwards() {
    let database = Database::new().await;
    let node = NodeOptions::on(&database).start().await;
    let admin = node.admin();
    admin.organization("acme").await;
    let before = database.size().await;
    let lost = admin.mint("t", json!({"organization": "acme"}), &["member"]).await;
    cut(&database, before).await;
    // Whatever is asked first finds out.
    eventually_async("the node to stop", async || {
        let answer = admin.post("/v1/verify", json!({"token": lost.secret, "organization": "acme"})).await;
        assert_ne!(answer.code(), "valid", "not decided on a state that is gone");
        (answer.status == 503 && node.node().failure().is_some()).then_some(())
    })
    .await;
    let fatal = within("the reason", node.node().failing()).await;
    assert!(matches!(*fatal, Fatal::Log(Error::WentBackwards { .. } | Error::Corrupt { .. })), "{fatal}");
    node.anon().get("/readyz").await.refused(503, "unavailable");
    admin.get("/v1/whoami").await.refused(503, "unavailable");
    assert_eq!(database.size().await, before, "nothing was written onto what is left");
}

/// Where commits begin, those that began the authority left out; with lifecycle lines only, or all.
async fn firsts(database: &Database, least_lifecycle: i64) -> Vec<u64> {
    let mut connection = database.superuser().await;
    let firsts: Vec<i64> = sqlx::query_scalar(
        "SELECT first FROM chancery.commits WHERE first > 0 AND lifecycle >= $1 ORDER BY first",
    )
    .bind(least_lifecycle)
    .fetch_all(&mut connection)
    .await
    .unwrap();
    firsts.into_iter().map(|first| first.try_into().unwrap()).collect()
}

/// Changes and uses at random, on two nodes.
async fn work(nodes: [&TestNode; 2], choices: &Choices) {
    nodes[0].admin().organization("acme").await;
    for n in 0..8 + choices.below(8) {
        let admin: Actor = choices.of(&nodes).admin();
        let token = admin.mint(&format!("t{n}"), json!({"organization": "acme"}), &["member"]).await;
        for _ in 0..choices.below(3) {
            let question = json!({"token": token.secret, "organization": "acme"});
            choices.of(&nodes).admin().verify_with(question).await;
        }
        if choices.below(2) == 0 {
            choices.of(&nodes).admin().revoke(&token.id).await;
        }
    }
}

async fn resumed(database: &Database) -> usize {
    database.entries().await.iter().filter(|entry| entry.kind == "LogResumed").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_tail_is_lost_no_node_that_saw_it_starts_until_it_is_accepted() {
    let seed = Seed::new();
    let choices = seed.choices();
    let (mut rounds, mut refusals) = (0, 0);
    while seed.goes_on(rounds, scale::pick(3, 60)) {
        rounds += 1;
        let (database, folders) = (Database::new().await, [(); 2].map(|()| tempfile::tempdir().unwrap()));
        let on = |n: usize| NodeOptions::on(&database).folder(folders[n].path());
        let nodes = [on(0).start().await, on(1).start().await];
        work([&nodes[0], &nodes[1]], &choices).await;
        for node in &nodes {
            node.catches_up_with(&nodes[0]).await;
        }
        for node in nodes {
            node.stop().await;
        }
        cut(&database, *choices.of(&firsts(&database, 0).await)).await;
        if rounds % 2 == 0 {
            // Somebody who never saw the lost lines goes on, past where they were.
            let stranger = NodeOptions::on(&database).start().await;
            for n in 0..30 {
                stranger.admin().organization(&format!("org-{n}")).await;
            }
            stranger.stop().await;
        }
        let first = usize::try_from(choices.below(2)).unwrap();
        for n in [first, 1 - first] {
            for _ in 0..2 {
                refused(on(n).try_start().await);
                refusals += 1;
            }
        }
        assert_eq!(resumed(&database).await, 0);
        for (n, accepted) in [(first, 1), (1 - first, 2)] {
            // That one was told to go on says nothing for the other.
            refused(on(n).try_start().await);
            let accept = Some(format!("chancery.invalid/resumed-{accepted}"));
            NodeOptions { accept, ..on(n) }.start().await.stop().await;
            assert_eq!(resumed(&database).await, accepted);
        }
        let nodes = [on(0).start().await, on(1).start().await];
        assert_eq!(nodes[0].difference(&nodes[1]), None);
    }
    let done = format!(
        "{rounds} random tails lost under two stopped nodes in {} s, {refusals} starts refused; started \
         unaccepted: 0",
        seed.seconds()
    );
    scale::figures("backwards", &done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_tail_with_a_change_in_it_is_lost_both_running_nodes_stop() {
    let seed = Seed::new();
    let choices = seed.choices();
    let mut rounds = 0;
    while seed.goes_on(rounds, scale::pick(3, 40)) {
        rounds += 1;
        let database = Database::new().await;
        let nodes = [NodeOptions::on(&database).start().await, NodeOptions::on(&database).start().await];
        work([&nodes[0], &nodes[1]], &choices).await;
        nodes[0].catches_up_with(&nodes[1]).await;
        nodes[1].catches_up_with(&nodes[0]).await;
        let changes = firsts(&database, 1).await;
        let from = *choices.of(&changes);
        cut(&database, from).await;
        for node in &nodes {
            let fatal = within("the node to stop", node.node().failing()).await;
            assert!(
                matches!(*fatal, Fatal::Log(Error::WentBackwards { .. } | Error::Corrupt { .. })),
                "{fatal}"
            );
            node.anon().get("/readyz").await.refused(503, "unavailable");
            node.admin().get("/v1/whoami").await.refused(503, "unavailable");
        }
        assert_eq!(database.size().await, from, "nothing was written onto what is left");
    }
    let done =
        format!("{rounds} random tails lost under two running nodes in {} s; went on: 0", seed.seconds());
    scale::figures("backwards, running", &done);
}

#[tokio::test]
async fn the_command_line_says_what_to_do_and_does_it() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    binary.admin().organization("acme").await;
    let kept = binary.admin().mint("t", json!({"organization": "acme"}), &["member"]).await;
    assert!(binary.terminate().await.status.success());
    let backup = database.copy().await;
    binary.start().await;
    binary.admin().revoke(&kept.id).await;
    assert!(binary.terminate().await.status.success());
    binary.set("DATABASE_URL", &backup.url());
    let refused = binary.run().await;
    assert!(!refused.status.success());
    let advice = format!("chancery log accept --data-dir {}", binary.folder().display());
    assert!(refused.stderr.contains(&advice), "{}", refused.stderr);
    let accept = || {
        let output = binary.command(&["log", "accept"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(accept().starts_with("accepted: "));
    let again = accept();
    assert!(again.starts_with("nothing to accept"), "{again}");
    let resumed = backup.entries().await.iter().filter(|entry| entry.kind == "LogResumed").count();
    assert_eq!(resumed, 1);
    binary.start().await;
    let question = json!({"token": kept.secret, "organization": "acme"});
    assert_eq!(binary.admin().verify_with(question).await.code(), "valid", "what the backup does not know");
    assert!(binary.terminate().await.status.success());
}
