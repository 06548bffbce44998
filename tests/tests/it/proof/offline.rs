//! On an auditor's own machine: no server, no database.

use super::{Desk, checkpoint, keys, leaves, lines, page, run, signing, uses};
use chancery_tests::ADMIN;
use eventlog::tree::{Frontier, leaf_hash};
use eventlog::{Checkpoint, LogKey, Random};
use serde_json::{Value, json};
use std::path::Path;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_fetched_from_a_server_is_checked_without_it() {
    let (world, desk) = (signing().await, Desk::new());
    uses(&world, "some", 30).await;
    let url = world.node.url().to_owned();
    let folder = desk.path("");
    let ask = async |arguments: &[&str]| {
        let variables = [("CHANCERY_URL", url.as_str()), ("CHANCERY_TOKEN", ADMIN)];
        page(&run(&folder, arguments, &variables).await, 0)
    };
    let key = ask(&["log", "checkpoint", "--keys"]).await.trim().to_owned();
    assert_eq!(key, keys(&world.node).await[0]);
    ask(&["log", "checkpoint", "--key", &key, "--save", "kept.txt", "--at-least", "20"]).await;
    ask(&["log", "prove", "--position", "5", "--save", "5.tlog-proof"]).await;
    let all = lines(&world).await;
    let line = desk.export("5.json", &all[5..6]);
    let check = ["log", "verify-receipt", "5.tlog-proof", "--key", &key, "--line"];
    let said = page(&desk.run(check.iter().copied().chain([line.to_str().unwrap()])).await, 0);
    assert!(said.starts_with("This line is at position 5 of chancery.invalid/tests"), "{said}");
    let other = desk.export("6.json", &all[6..7]);
    page(&desk.run(check.iter().copied().chain([other.to_str().unwrap()])).await, 1);
    let export = desk.export("log.ndjson", &all);
    let report = desk.verify(&key, &[Path::new("kept.txt")], &[&export, Path::new("--json")]).await;
    let report: Value = serde_json::from_str(&page(&report, 0)).unwrap();
    assert_eq!((&report["found"], &report["checkpoints"][0]["agrees"]), (&json!([]), &json!(true)));
    assert_eq!(
        (report["decisions"]["uses"].as_u64(), &report["decisions"]["differing"]),
        (Some(44), &json!(0))
    );
    // Files one after another are one export.
    let parts = [desk.export("1.ndjson", &all[..7]), desk.export("2.ndjson", &all[7..])];
    page(&desk.verify(&key, &[Path::new("kept.txt")], &[&parts[0], &parts[1]]).await, 0);
    page(&desk.verify(&key, &[Path::new("kept.txt")], &[&parts[1], &parts[0]]).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_of_others_and_damaged_ones_are_refused_and_witnesses_welcome() {
    let (world, desk) = (signing().await, Desk::new());
    let note = checkpoint(&world).await;
    let key = keys(&world.node).await[0].clone();
    let export = desk.export("log.ndjson", &lines(&world).await);
    let witnessed = desk.put("witnessed.txt", format!("{note}\u{2014} witness.example AAAAAAEC\n"));
    let said = page(&desk.verify(&key, &[&witnessed], &[&export]).await, 0);
    assert!(said.contains("1 signatures by keys that were not given"), "{said}");
    let size = note.lines().nth(1).unwrap();
    let damaged = desk.put("damaged.txt", note.replacen(size, "1", 1));
    let output = desk.verify(&key, &[&damaged], &[&export]).await;
    page(&output, 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not valid"));
    let kept = desk.put("kept.txt", &note);
    let stranger = keys(&signing().await.node).await[0].clone();
    if stranger != key {
        page(&desk.verify(&stranger, &[&kept], &[&export]).await, 1);
    }
    page(&desk.verify("no key", &[&kept], &[&export]).await, 2);
}

/// The lines of one organization, and leaf hashes in the place of others, in runs of at most so many.
fn excerpt(lines: &[String], organization: &str, longest: usize) -> Vec<String> {
    let own = format!("\"org\":\"{organization}\"");
    let hashes = leaves(lines);
    let (mut excerpt, mut position) = (Vec::new(), 0);
    while position < lines.len() {
        if lines[position].contains(&own) {
            excerpt.push(lines[position].clone());
            position += 1;
            continue;
        }
        let foreign = lines[position..].iter().take(longest).take_while(|line| !line.contains(&own)).count();
        let run: Vec<String> = hashes[position..position + foreign].iter().map(ToString::to_string).collect();
        // In this order, which tells a run from a line.
        let run = serde_json::to_string(&run).unwrap();
        excerpt.push(format!("{{\"position\":{position},\"leaves\":{run}}}"));
        position += foreign;
    }
    excerpt
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_organization_is_checked_without_the_lines_of_the_others() {
    let (world, desk) = (signing().await, Desk::new());
    uses(&world, "mine", 30).await;
    let admin = world.node.admin();
    admin.mint("theirs", json!({"organization": "other"}), &["member"]).await;
    let early = desk.put("early.txt", checkpoint(&world).await);
    admin.mint("mine-too", json!({"organization": "acme"}), &["member"]).await;
    let late = desk.put("late.txt", checkpoint(&world).await);
    let acme = admin.get("/v1/organizations/acme").await.text_of("id");
    let key = keys(&world.node).await[0].clone();
    let all = lines(&world).await;
    let own = excerpt(&all, &acme, 5);
    let export = desk.export("acme.ndjson", &own);
    let said = page(&desk.verify(&key, &[&early, &late], &[&export]).await, 0);
    let last = all.iter().filter(|line| line.contains(&acme) && line.contains("\"n\":")).count();
    assert!(
        said.contains(&format!("organization {acme}"))
            && said.contains(&format!("lifecycle events to {last}"))
    );
    assert!(said.contains("what the lines of others say: only their hashes are here"), "{said}");
    // A lifecycle line of its own that is withheld as if it were another's leaves a gap.
    let hidden = all.iter().position(|line| line.contains("\"name\":\"mine\"")).unwrap();
    let mut withheld = excerpt(&all, &acme, 5);
    let at = withheld.iter().position(|line| *line == all[hidden]).unwrap();
    withheld[at] = format!("{{\"position\":{hidden},\"leaves\":[\"{}\"]}}", leaves(&all)[hidden]);
    let export = desk.export("withheld.ndjson", &withheld);
    let said = page(&desk.verify(&key, &[&early, &late], &[&export]).await, 1);
    assert!(said.contains("lifecycle lines before it are missing"), "{said}");
    // A run that is left out displaces what comes after it.
    let run = own.iter().position(|line| line.starts_with("{\"position\"")).unwrap();
    let mut short = own.clone();
    short.remove(run);
    let export = desk.export("short.ndjson", &short);
    let said = page(&desk.verify(&key, &[&early], &[&export]).await, 1);
    assert!(said.contains("say that they begin at"), "{said}");
}

/// Whoever has the log's key and the database can enrol what was never decided so. An auditor with all lines sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_never_right_is_found_under_a_good_signature() {
    let (world, desk) = (signing().await, Desk::new());
    uses(&world, "some", 5).await;
    let key = keys(&world.node).await[0].clone();
    let mut all = lines(&world).await;
    let place = all.iter().rposition(|line| line.contains(r#""type":"TokenUsed""#)).unwrap();
    let forged = all[place].replacen("TokenUsed", "TokenRefused", 1);
    all[place] = forged.replacen(r#","asked":"#, r#","code":"expired","asked":"#, 1);
    let tree: Frontier = all.iter().map(|line| leaf_hash(line.as_bytes())).collect();
    let origin = key.split('+').next().unwrap().to_owned();
    let signed = Checkpoint { origin, size: tree.size(), root: tree.root() };
    let log_key = LogKey::load_or_create(&world.node.folder().join("log-key"), &Random::seeded(1)).unwrap();
    let kept = desk.put("kept.txt", signed.sign([&log_key]));
    let export = desk.export("log.ndjson", &all);
    let said = page(&desk.verify(&key, &[&kept], &[&export]).await, 1);
    assert!(said.contains("agrees") && said.contains("1 came out DIFFERENTLY"), "{said}");
    assert!(said.contains(&format!("position {place}: `expired` was answered")), "{said}");
    let without = desk.verify(&key, &[&kept], &[&export, Path::new("--no-replay")]).await;
    assert!(page(&without, 0).contains("that each decision was right"));
}
