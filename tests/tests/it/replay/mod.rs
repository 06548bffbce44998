//! A replay decides every recorded use again: all of what really happened comes out the same, nothing forged does.

mod views;

use crate::{DAY, HOUR};
use chancery_tests::{Entry, NodeOptions, Seed, Tenants, World, chancery, eventually, eventually_async};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use domain::state::State;
use projections::replay::{Failure, Replay, Report, replay};
use serde_json::{Value, json};
use sha2_of_ct_merkle::Sha256;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;

/// Replays the database on two threads, and holds the state against the node's.
async fn replayed(world: &World) -> Report {
    let (report, state) = replay(&world.database.log().await, Replay::new(2), |_, _| ()).await.unwrap();
    assert_eq!(world.node.state(|live| live.difference(&state)), None);
    let views = report.views.as_ref().unwrap();
    assert_eq!(views.differences, []);
    assert_eq!((views.differing(), views.tables.len()), (0, 5));
    report
}

/// Replays lines.
fn replay_lines<'l>(lines: impl IntoIterator<Item = &'l str>) -> Result<Report, Failure> {
    let text = lines.into_iter().collect::<Vec<_>>().join("\n");
    let mut replay = Replay::new(2);
    let page = replay.read(&text)?;
    replay.take(&page)?;
    Ok(replay.finish()?.0)
}

/// Something of everything that can be answered.
async fn use_much(world: &World) -> Tenants {
    let tenants = world.tenants().await;
    let (admin, acme) = (world.node.admin(), json!({"organization": "acme"}));
    let everywhere = admin.mint("all", json!({"instance": true}), &["instance-verifier"]).await;
    let everywhere = world.node.token(&everywhere.secret);
    let web = json!({"organization": "acme", "project": "web"});
    let plain = tenants.owner.mint("plain", acme.clone(), &["member"]).await;
    let of_web = tenants.owner.mint("of-web", web, &["project-writer"]).await;
    let root = admin.mint("root", json!({"instance": true}), &["instance-auditor"]).await;
    let foreign = admin.mint("foreign", json!({"organization": "other"}), &["member"]).await;
    let timed = |name: &str, from: Value, to: Value, networks: Value| {
        json!({"name": name, "scope": acme, "grants": ["member"], "not_before": from, "expires_at": to,
            "allowed_networks": networks})
    };
    let (soon, later) = (json!(world.moment(HOUR)), json!(world.moment(DAY)));
    let early = tenants.owner.mint_with(timed("early", soon, Value::Null, json!([]))).await;
    let short = tenants.owner.mint_with(timed("short", Value::Null, later, json!([]))).await;
    let bound =
        tenants.owner.mint_with(timed("bound", Value::Null, Value::Null, json!(["10.0.0.0/8"]))).await;
    let all = [&plain, &of_web, &root, &foreign, &early, &short, &bound];
    let ask_all = async || {
        for token in all {
            for (permission, project, address) in [
                (Value::Null, Value::Null, json!({"address": "10.1.2.3", "agent": "a \"quoted\" one"})),
                (json!("tokens:mint"), Value::Null, json!({"address": "192.0.2.1"})),
                (json!("deployments:create"), json!("web"), Value::Null),
                (json!("deployments:create"), json!("api"), json!({"address": "10.1.2.3"})),
                (Value::Null, json!("none"), json!({"address": "10.1.2.3"})),
            ] {
                let question = json!({"token": token.secret, "permission": permission, "project": project,
                    "client": address, "organization": "acme", "resource": "a\\b"});
                tenants.verifier.verify_with(question.clone()).await;
                everywhere.verify_with(question).await;
            }
            let elsewhere = json!({"token": token.secret, "organization": "none"});
            everywhere.verify_with(elsewhere).await;
            world.node.token(&token.secret).get("/v1/whoami").await;
            world.node.token(&token.secret).get("/v1/tokens").await;
        }
    };
    ask_all().await;
    world.pass(HOUR);
    let rename = json!({"name": "site"});
    tenants.owner.patch("/v1/organizations/acme/projects/web", rename).await.expect(200);
    let rotate = format!("/v1/tokens/{}/rotate", of_web.id);
    tenants.owner.post(&rotate, json!({"overlap": "2h"})).await.expect(200);
    ask_all().await;
    world.pass(DAY);
    admin.post("/v1/organizations/other/suspend", json!({})).await.expect(200);
    tenants.owner.revoke(&plain.id).await;
    ask_all().await;
    tenants
}

#[tokio::test]
async fn what_happened_comes_out_the_same() {
    let world = World::new().await;
    use_much(&world).await;
    let report = replayed(&world).await;
    assert_eq!(report.differences, []);
    assert_eq!((report.differing, report.without_address, report.too_far_back), (0, 0, 0));
    assert_eq!(report.lines, world.database.size().await);
    assert!(report.same > 150 && report.standing > 20 && report.admin_uses > 5, "{report:?}");
    // The lines alone say the same, but for the addresses that they do not hold.
    let entries = world.database.entries().await;
    let alone = replay_lines(entries.iter().map(|entry| entry.text.as_str())).unwrap();
    assert_eq!((alone.differing, alone.root), (0, report.root));
    assert_eq!(alone.uses(), report.uses());
    assert!(alone.without_address > 0);
}

#[tokio::test]
async fn bounded_answers_are_decided_on_the_version_that_they_name() {
    let world = World::with(NodeOptions::bounded).await;
    let tenants = use_much(&world).await;
    // A node that does not know of a revocation yet goes on answering, within its bounds.
    let other = world.another().await;
    let asker = world.node.admin().mint("asker", json!({"organization": "acme"}), &["verifier"]).await;
    let asking = other.token(&asker.secret);
    for round in 0..10 {
        let name = format!("t{round}");
        let token = tenants.owner.mint(&name, json!({"organization": "acme"}), &["member"]).await;
        other.catches_up_with(&world.node).await;
        asking.verify(&token.secret).await;
        world.node.admin().revoke(&token.id).await;
        asking.verify(&token.secret).await;
    }
    for node in [&world.node, &other] {
        let stats = &node.node().live().stats;
        eventually("the uses to be on the log", || stats.unrecorded.load(Relaxed) == 0).await;
    }
    let report = replayed(&world).await;
    assert_eq!(report.differences, []);
    assert_eq!((report.without_address, report.too_far_back), (0, 0));
    let entries = world.database.entries().await;
    let seen = |entry: &&Entry| entry.at("/seen").is_u64();
    assert!(entries.iter().filter(seen).count() > 150);
}

#[tokio::test]
async fn a_forged_answer_is_found() {
    let world = World::new().await;
    use_much(&world).await;
    let entries = world.database.entries().await;
    let forged = |entry: &Entry| match entry.kind.as_str() {
        "TokenRefused" => {
            let mut line = entry.text.replacen("TokenRefused", "TokenUsed", 1);
            let code = format!(r#""code":"{}","#, entry.text_at("/code"));
            line = line.replacen(&code, "", 1);
            Some(line)
        }
        "TokenUsed" => {
            let line = entry.text.replacen("TokenUsed", "TokenRefused", 1);
            Some(line.replacen(r#","asked":"#, r#","code":"revoked","asked":"#, 1))
        }
        _ => None,
    };
    // What rests on values that no line holds: the rest of a call of the API, an address, a count of refusals.
    let is_told = |entry: &Entry| {
        let asked = entry.at("/asked/operation").is_string() && entry.kind == "TokenRefused";
        let counted = entry.at("/count").is_u64();
        !asked && !counted && entry.line["code"] != "address_denied"
    };
    let mut found = 0;
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.is_use() && is_told(entry)) {
        let Some(changed) = forged(entry) else { continue };
        let lines = entries.iter().enumerate();
        let lines = lines.map(|(at, entry)| if at == index { changed.as_str() } else { entry.text.as_str() });
        let report = replay_lines(lines.take(index + 1)).unwrap();
        let positions: Vec<u64> = report.differences.iter().map(|difference| difference.position).collect();
        assert_eq!(positions, [entry.position], "{changed}");
        found += 1;
    }
    assert!(found > 100, "{found}");
}

/// The line of an entry with another time.
fn at_another_time(entry: &Entry, micros: i64) -> String {
    let at = domain::time::Timestamp::from_micros(micros).to_string();
    entry.text.replacen(entry.text_at("/at"), &at, 1)
}

fn micros(entry: &Entry) -> i64 {
    domain::time::Timestamp::parse(entry.text_at("/at")).unwrap().micros()
}

/// Replays a log in which one line is another, up to that line and some more.
fn replay_with(entries: &[Entry], index: usize, line: &str) -> Report {
    let lines = entries.iter().enumerate().take(index + 2);
    let lines = lines.map(|(at, entry)| if at == index { line } else { entry.text.as_str() });
    replay_lines(lines).unwrap()
}

#[tokio::test]
async fn a_use_is_not_of_a_time_before_what_it_rests_on() {
    let world = World::new().await;
    use_much(&world).await;
    let entries = world.database.entries().await;
    let (mut last, mut found) = (0, 0);
    for (index, entry) in entries.iter().enumerate() {
        if entry.at("/n").is_u64() {
            last = micros(entry);
        } else if index % 3 == 0 {
            let report = replay_with(&entries, index, &at_another_time(entry, last - 1));
            let said = &report.differences[0];
            assert_eq!((report.differing, said.position), (1, entry.position), "{said:?}");
            assert!(said.decided.contains("before"), "{said:?}");
            found += 1;
        }
    }
    assert!(found > 50, "{found}");
}

#[tokio::test]
async fn a_bounded_use_names_no_version_that_was_over_by_its_time() {
    const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);
    let world = World::with(NodeOptions::bounded).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("token", json!({"organization": "acme"}), &["member"]).await;
    let mut versions = vec![world.node.state(domain::state::State::version)];
    for name in ["one", "two"] {
        world.pass(MINUTE);
        world.node.admin().organization(name).await;
        versions.push(world.node.state(domain::state::State::version));
    }
    world.pass(MINUTE);
    // Until the node has looked at the log again, what it knows is too old to answer from.
    eventually_async("an answer", async || {
        let answer = tenants.verifier.post("/v1/verify", json!({"token": token.secret})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let stats = &world.node.node().live().stats;
    eventually("the use to be on the log", || stats.unrecorded.load(Relaxed) == 0).await;
    assert!(replayed(&world).await.is_sound());
    let entries = world.database.entries().await;
    let used = |entry: &Entry| entry.text_at("/token") == token.id && entry.at("/seen") == versions[2];
    let index = entries.iter().rposition(used).unwrap();
    for (seen, differs) in [(versions[0], true), (versions[1], false), (versions[2], false)] {
        let line = entries[index].text.replacen(
            &format!(r#","seen":{}"#, versions[2]),
            &format!(r#","seen":{seen}"#),
            1,
        );
        let report = replay_with(&entries, index, &line);
        let positions: Vec<u64> = report.differences.iter().map(|found| found.position).collect();
        assert_eq!(positions, if differs { vec![entries[index].position] } else { Vec::new() }, "{report:?}");
        assert!(!differs || report.differences[0].decided.contains("staleness"));
    }
}

#[tokio::test]
async fn the_root_is_the_one_that_another_program_computes() {
    let world = World::new().await;
    use_much(&world).await;
    let entries = world.database.entries().await;
    let seed = Seed::usual();
    let choices = seed.choices();
    let sizes = (1..=9).chain((0..20).map(|_| 1 + choices.index(entries.len())));
    for size in sizes {
        let mut theirs: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
        entries[..size].iter().for_each(|entry| theirs.push(entry.text.clone().into_bytes()));
        let ours = replay_lines(entries[..size].iter().map(|entry| entry.text.as_str())).unwrap().root;
        assert_eq!(ours[..], theirs.root().as_bytes()[..], "{size} lines");
    }
}

#[tokio::test]
async fn a_log_that_does_not_fold_is_said_with_its_position() {
    let world = World::new().await;
    world.tenants().await;
    let entries = world.database.entries().await;
    let lines: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
    let dropped = lines.iter().enumerate().filter(|(at, _)| *at != 3).map(|(_, line)| *line);
    assert!(replay_lines(dropped).unwrap_err().to_string().starts_with("position "));
    let mut damaged = lines.clone();
    damaged[5] = "{}";
    assert!(replay_lines(damaged).unwrap_err().to_string().starts_with("position 5: "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_needs_files_and_nothing_else() {
    let world = World::new().await;
    use_much(&world).await;
    let entries = world.database.entries().await;
    let mut text: String = entries.iter().map(|entry| entry.text.clone() + "\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ndjson");
    std::fs::write(&file, &text).unwrap();
    let run = |arguments: Vec<String>, input: String| {
        tokio::task::spawn_blocking(move || {
            let mut command = Command::new(chancery());
            command.args(["audit", "replay"]).args(arguments).env_clear();
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), output.stderr)
        })
    };
    let file = file.to_str().unwrap().to_owned();
    let (code, printed, errors) = run(vec![file, "--json".to_owned()], String::new()).await.unwrap();
    assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&errors));
    let said: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(said["lines"], entries.len());
    assert_eq!(said["uses"]["differing"], 0);
    let used = entries.iter().find(|entry| entry.kind == "TokenUsed").unwrap();
    let forged = used.text.replacen("TokenUsed", "TokenRefused", 1);
    let forged = forged.replacen(r#","asked":"#, r#","code":"expired","asked":"#, 1);
    text = text.replacen(&used.text, &forged, 1);
    let (code, printed, _) = run(vec!["-".to_owned()], text).await.unwrap();
    assert_eq!(code, Some(1));
    assert!(printed.contains(&format!("\n{} ", used.position)) && printed.contains("expired"), "{printed}");
    let from_database = vec![format!("--database-url={}", world.database.url())];
    let (code, printed, errors) = run(from_database, String::new()).await.unwrap();
    assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&errors));
    assert!(printed.contains("DIFFERENT") && printed.contains("ROOT"), "{printed}");
    assert_eq!(run(Vec::new(), String::new()).await.unwrap().0, Some(2));
    assert_eq!(run(vec!["-".to_owned()], String::new()).await.unwrap().0, Some(1), "no line proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_held_against_what_a_node_has_in_memory() {
    let world = World::new().await;
    let tenants = use_much(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ndjson");
    let write = |entries: &[Entry]| {
        let text: String = entries.iter().map(|entry| entry.text.clone() + "\n").collect();
        std::fs::write(&file, text).unwrap();
    };
    let (url, token) = (world.node.url().to_owned(), folder.path().join("token"));
    let run = async |secret: &str| {
        std::fs::write(&token, secret).unwrap();
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut command = Command::new(chancery());
        command.args(["audit", "replay", "--live", "--json", "--url", &url, "--token-file"]);
        command.arg(&token).arg(&file).env_clear().env("HOME", folder.path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), output.stderr)
    };
    let live = |printed: &str| serde_json::from_str::<Value>(printed).unwrap()["live"].clone();
    let auditor = world.node.admin().mint("auditor", json!({"instance": true}), &["instance-auditor"]).await;
    let entries = world.database.entries().await;
    write(&entries);
    let version = world.node.state(State::version);
    let (code, printed, errors) = run(&auditor.secret).await;
    assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&errors));
    assert_eq!(live(&printed), json!({"version": version, "same": true}));
    // Lines that end before the node's state say nothing about it, and that is not a success.
    let last = entries.iter().rposition(|entry| !entry.is_use()).unwrap();
    write(&entries[..last]);
    let (code, printed, _) = run(&auditor.secret).await;
    assert_eq!((code, live(&printed)), (Some(1), json!({"version": version, "same": null})));
    // A log that was rewritten folds to something else than what the node saw.
    let mut forged = entries;
    let minted = forged.iter_mut().find(|entry| entry.text.contains(r#""name":"plain""#)).unwrap();
    minted.text = minted.text.replacen(r#""name":"plain""#, r#""name":"other""#, 1);
    write(&forged);
    let (code, printed, _) = run(&auditor.secret).await;
    let found = live(&printed);
    assert_eq!((code, &found["same"]), (Some(1), &json!(false)));
    assert!(found["difference"].as_str().unwrap().starts_with("token "), "{found}");
    // It is all of the state: who audits one organization does not get it.
    let one = tenants.owner.mint("auditor", json!({"organization": "acme"}), &["auditor"]).await;
    let (code, _, errors) = run(&one.secret).await;
    assert_ne!(code, Some(0));
    assert!(String::from_utf8_lossy(&errors).contains("audit:read"), "{}", String::from_utf8_lossy(&errors));
}
