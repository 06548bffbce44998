use crate::hex;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chancery_tests::{ADMIN, Actor, World, chancery};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::process::Command;

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn blake3_of(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

fn key(name: &str, algorithm: &str, hash: &str) -> Value {
    let acme = json!({"organization": "acme"});
    json!({"name": name, "scope": acme, "grants": ["member"], "algorithm": algorithm, "hash": hash})
}

async fn import(actor: &Actor, items: Value) -> Vec<Value> {
    let answer = actor.post("/v1/tokens/import", json!({"items": items})).await;
    answer.expect(200)["items"].as_array().unwrap().clone()
}

fn statuses(outcomes: &[Value]) -> Vec<&str> {
    outcomes.iter().map(|outcome| outcome["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn old_texts_are_in_force_however_they_were_hashed_and_on_every_node() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let texts = ["sk_live_1", "sk_live_2", "s3cret", "it"];
    let hashes = [
        ("sha256", hex(&sha256(texts[0]))),
        ("sha256", STANDARD.encode(sha256(texts[1]))),
        ("blake3", hex(&blake3_of(texts[2])).to_uppercase()),
        ("blake3", URL_SAFE_NO_PAD.encode(blake3_of(texts[3]))),
    ];
    let items: Vec<Value> = hashes
        .iter()
        .enumerate()
        .map(|(n, (algorithm, hash))| key(&format!("k{n}"), algorithm, hash))
        .collect();
    for text in texts {
        assert_eq!(tenants.verifier.verify(text).await.code(), "unknown");
    }
    let dry = json!({"items": items, "dry_run": true});
    let (foreseen, lines) = world.lines_of(tenants.owner.post("/v1/tokens/import", dry)).await;
    assert_eq!(statuses(foreseen.expect(200)["items"].as_array().unwrap()), ["imported"; 4]);
    assert!(lines.iter().all(chancery_tests::Entry::is_use));
    let (outcomes, lines) = world.lines_of(import(&tenants.owner, json!(items))).await;
    assert_eq!(statuses(&outcomes), ["imported"; 4]);
    // No line has a hash that a guess could be held against.
    for text in texts {
        for digest in [sha256(text), blake3_of(text)] {
            assert!(!lines.iter().any(|line| line.text.contains(&hex(&digest))));
        }
    }
    let other = world.another().await;
    let elsewhere = other.admin();
    for (text, outcome) in texts.iter().zip(&outcomes) {
        assert_eq!(tenants.verifier.verify(text).await.code(), "valid");
        let whoami = other.token(text).get("/v1/whoami").await;
        assert_eq!(whoami.expect(200)["token"]["id"], outcome["id"]);
        let found = elsewhere.post("/v1/tokens/identify", json!({"token": text})).await;
        assert_eq!(found.expect(200)["items"][0]["id"], outcome["id"]);
    }
    assert_eq!(statuses(&import(&tenants.owner, json!(items)).await), ["known"; 4]);
    other.stop().await;
}

#[tokio::test]
async fn claims_are_kept_and_a_rotation_gives_a_secret_of_our_own() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let mut item = key("old", "sha256", &hex(&sha256("an old key")));
    item["owner"] = json!("Ada Lovelace");
    item["created_at"] = json!("2019-05-06T07:08:09Z");
    let (outcomes, lines) = world.lines_of(import(&tenants.owner, json!([item]))).await;
    assert!(!lines.iter().any(|line| line.text.contains("Ada")));
    let path = format!("/v1/tokens/{}", outcomes[0]["id"].as_str().unwrap());
    let shown = tenants.owner.get(&path).await;
    let expected =
        json!({"algorithm": "sha256", "owner": "Ada Lovelace", "created_at": "2019-05-06T07:08:09.000000Z"});
    assert_eq!(shown.expect(200)["imported"], expected);
    let rotated = tenants.owner.post(&format!("{path}/rotate"), json!({})).await.text_of("secret");
    assert!(rotated.starts_with("chyo_"));
    assert_eq!(tenants.verifier.verify(&rotated).await.code(), "valid");
    assert_eq!(tenants.verifier.verify("an old key").await.code(), "superseded");
}

#[tokio::test]
async fn what_is_refused_is_on_the_record_also_of_a_dry_run() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let known = key("known", "sha256", &hex(&sha256("known")));
    import(&tenants.owner, json!([known])).await;
    let admin = tenants.owner.mint("importer", json!({"organization": "acme"}), &["admin"]).await;
    let admin = world.node.token(&admin.secret);
    let mut items: Vec<Value> =
        (0..3).map(|n| key(&format!("k{n}"), "sha256", &hex(&sha256(&format!("k{n}"))))).collect();
    for item in &mut items {
        item["grants"] = json!(["owner"]);
    }
    items.push(key("another name", "sha256", &hex(&sha256("known"))));
    for dry_run in [true, false] {
        let body = json!({"items": items, "dry_run": dry_run});
        let (answer, lines) = world.lines_of(admin.post("/v1/tokens/import", body)).await;
        let outcomes = answer.expect(200)["items"].as_array().unwrap();
        let codes: Vec<_> = outcomes.iter().map(|outcome| &outcome["problem"]["code"]).collect();
        assert_eq!(codes, ["escalation", "escalation", "escalation", "hash_known"]);
        let refused = lines.iter().filter(|line| line.kind == "TokenRefused");
        let count: u64 = refused.map(|line| line.line["count"].as_u64().unwrap_or(1)).sum();
        assert_eq!(count, 4, "{lines:?}");
    }
}

#[tokio::test]
async fn the_admin_token_is_not_enrolled_wherever_it_stands() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    for (field, value) in [
        ("name", json!(ADMIN)),
        ("metadata", json!({"a": [{"b": format!("x{ADMIN}")}]})),
        ("metadata", json!({ADMIN: 1})),
        ("grants", json!([ADMIN])),
    ] {
        let mut item = key("k", "sha256", &hex(&sha256("k")));
        item[field] = value;
        let (outcomes, lines) = world.lines_of(import(&tenants.owner, json!([item]))).await;
        assert_eq!(outcomes[0]["problem"]["code"], "invalid_value", "{field}");
        let told = format!("{outcomes:?}");
        assert!(!told.contains(ADMIN) && !lines.iter().any(|line| line.text.contains(ADMIN)), "{field}");
    }
}

#[tokio::test]
async fn each_key_is_decided_by_itself() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let digest = hex(&sha256("one"));
    let gone = import(&tenants.owner, json!([key("gone", "sha256", &hex(&sha256("gone")))])).await;
    tenants.owner.revoke(gone[0]["id"].as_str().unwrap()).await;
    let mut instance = key("i", "sha256", &hex(&sha256("i")));
    instance["scope"] = json!({"instance": true});
    let mut other = key("o", "sha256", &hex(&sha256("o")));
    other["scope"] = json!({"organization": "other"});
    let items = json!([
        key("one", "sha256", &digest),
        key("two", "sha256", &digest),
        key("gone", "sha256", &hex(&sha256("gone"))),
        key("owner", "sha256", &hex(&sha256("taken"))),
        key("bad", "sha256", "not a hash"),
        key("bad", "md5", &digest),
        instance,
        other,
        key("last", "blake3", &hex(&blake3_of("last"))),
    ]);
    let outcomes = import(&tenants.owner, items).await;
    let codes: Vec<&str> =
        outcomes.iter().map(|outcome| outcome["problem"]["code"].as_str().unwrap_or_default()).collect();
    let expected = [
        "",
        "hash_known",
        "hash_known",
        "name_taken",
        "invalid_value",
        "invalid_value",
        "forbidden",
        "not_found",
        "",
    ];
    assert_eq!(codes, expected);
    tenants
        .verifier
        .post("/v1/tokens/import", json!({"items": [key("x", "sha256", &digest)]}))
        .await
        .refused(403, "forbidden");
    tenants.owner.post("/v1/tokens/import", json!({"items": []})).await.refused(422, "invalid_value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_imported_line_by_line_and_again_without_effect() {
    let world = World::new().await;
    world.tenants().await;
    let owner = world.node.admin().mint("boss", json!({"organization": "acme"}), &["owner"]).await;
    let (verifier, count) = (world.node.token(&owner.secret), 1_200);
    let mut file = "name,hash,grants,owner\n".to_owned();
    for n in 0..count {
        writeln!(file, "key {n},{},member,Ada", hex(&sha256(&format!("key-{n}")))).unwrap();
    }
    writeln!(file, "again,{},member,", hex(&sha256("key-7"))).unwrap();
    writeln!(file, "short,abc,member,\nlong,{},member,\nfew,1", "x".repeat(1_000_000)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.csv");
    std::fs::write(&path, file).unwrap();
    let url = world.node.url().to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let run = |more: &[&str]| {
            let mut command = Command::new(chancery());
            command.args(["token", "import"]).arg(&path).args([
                "--org",
                "acme",
                "--algorithm",
                "sha256",
                "--json",
            ]);
            command.args(more).env_clear().env("CHANCERY_URL", &url).env("CHANCERY_TOKEN", &owner.secret);
            let ended = command.output().unwrap();
            let tally: Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
            (ended.status.code(), tally, String::from_utf8(ended.stderr).unwrap())
        };
        [run(&["--dry-run"]), run(&[]), run(&[])]
    });
    let [dry, first, again] = ran.await.unwrap();
    let tally = |imported: u64, known: u64| json!({"imported": imported, "known": known, "refused": 4});
    assert_eq!((dry.0, &dry.1), (Some(1), &tally(count, 0)), "{}", dry.2);
    assert_eq!((first.0, &first.1), (Some(1), &tally(count, 0)), "{}", first.2);
    assert_eq!((again.0, &again.1), (Some(1), &tally(0, count)), "{}", again.2);
    for line in [1_202, 1_203, 1_204, 1_205] {
        assert!(first.2.contains(&format!("line {line}: ")), "{}", first.2);
    }
    assert_eq!(verifier.verify("key-1199").await.code(), "valid");
}
