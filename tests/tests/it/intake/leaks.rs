use crate::{damaged, hex, never_issued};
use api::PartnerKeys;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_tests::{ADMIN, Actor, Answer, World, chancery};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

fn hash(text: &str) -> String {
    hex(blake3::hash(text.as_bytes()).as_bytes())
}

/// The answer that everybody gets.
fn taken(answer: &Answer) {
    assert_eq!((answer.status, answer.text.as_str()), (202, ""), "{}", answer.text);
}

async fn report(actor: &Actor, body: Value) -> Answer {
    let answer = actor.post("/v1/leaks", body).await;
    taken(&answer);
    answer
}

async fn leaks(actor: &Actor) -> Vec<Value> {
    actor.get("/v1/leaks").await.expect(200)["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_hash_flags_a_token_and_its_text_ends_it_with_what_it_minted() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let leaky = tenants.owner.mint("leaky", json!({"organization": "acme"}), &["member"]).await;
    let child =
        world.node.token(&leaky.secret).mint("child", json!({"organization": "acme"}), &["member"]).await;
    let anon = world.node.anon();
    report(&anon, json!({"hash": hash(&leaky.secret), "source": "a forum"})).await;
    assert_eq!(tenants.verifier.verify(&leaky.secret).await.code(), "valid");
    let flagged = leaks(&tenants.owner).await;
    assert_eq!((&flagged[0]["token"], &flagged[0]["evidence"]), (&json!(leaky.id), &json!("hash")));
    assert_eq!((&flagged[0]["revoked"], &flagged[0]["source"]), (&json!(false), &json!("a forum")));
    let url = "https://paste.example/7";
    report(&anon, json!({"token": leaky.secret, "source": "paste", "url": url})).await;
    for secret in [&leaky.secret, &child.secret] {
        assert_eq!(tenants.verifier.verify(secret).await.code(), "revoked");
    }
    let shown = tenants.owner.get(&format!("/v1/tokens/{}", leaky.id)).await;
    assert_eq!(
        (&shown.body["revoked"]["reason"], &shown.body["revoked"]["by"]),
        (&json!("leaked"), &json!("anonymous"))
    );
    let ended = &leaks(&tenants.owner).await[0];
    assert_eq!(
        (&ended["url"], &ended["revoked"], &ended["by"]),
        (&json!(url), &json!(true), &json!("anonymous"))
    );
    // Nothing that is known already is enrolled again.
    let (_, lines) = world.lines_of(report(&anon, json!({"token": leaky.secret}))).await;
    assert!(lines.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn the_answer_tells_nothing_of_what_there_is() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let anon = world.node.anon();
    let mut seen = Vec::new();
    for body in [
        json!({"hash": hash(&token.secret)}),
        json!({"hash": hash("never issued")}),
        json!({"token": never_issued(3)}),
        json!({"token": damaged(&token.secret)}),
        json!({"token": "a key of somebody's"}),
        json!({"token": ADMIN}),
        json!({"token": token.secret}),
    ] {
        let answer = report(&anon, body).await;
        let names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        seen.push(names);
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    for bad in [
        json!({}),
        json!({"token": token.secret, "hash": hash("x")}),
        json!({"hash": "short"}),
        json!({"token": "x", "source": "a\u{0}b"}),
        json!({"token": "x", "url": "x".repeat(2_049)}),
    ] {
        anon.post("/v1/leaks", bad).await.refused(422, "invalid_value");
    }
}

#[tokio::test]
async fn nobody_is_told_how_the_log_grows_without_a_credential_in_force() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let ended = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    tenants.owner.revoke(&ended.id).await;
    let anon = world.node.anon();
    for actor in [&anon, &anon.with(&never_issued(1)), &anon.with(&ended.secret)] {
        for answer in [
            actor.get("/healthz").await,
            actor.get("/readyz").await,
            actor.get("/openapi.json").await,
            actor.get("/nowhere").await,
            actor.get("/v1/whoami").await,
            actor.post("/v1/leaks", json!({"hash": hash("x")})).await,
            actor.post("/v1/leaks", json!({"hash": "short"})).await,
            actor.post("/v1/invitations/accept", json!({"invitation": never_issued(2)})).await,
        ] {
            assert!(!answer.headers.contains_key("chancery-position"), "{} {}", answer.status, answer.text);
        }
    }
    let refused = tenants.verifier.get("/v1/leaks").await;
    assert_eq!(refused.status, 403);
    assert!(refused.position() > 0);
}

#[tokio::test]
async fn who_reports_is_named_and_nobody_is_kept_from_it() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let stranger = world.node.admin().mint("s", json!({"organization": "other"}), &["member"]).await;
    let mut reporters = Vec::new();
    for credential in [Some(stranger.secret.clone()), Some(never_issued(1)), None] {
        let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
        let anon = world.node.anon();
        let actor = credential.map_or(anon.clone(), |credential| anon.with(&credential));
        report(&actor, json!({"token": token.secret})).await;
        reporters.push(leaks(&tenants.owner).await[0]["by"].as_str().unwrap().to_owned());
    }
    let prefix = &stranger.secret[..12];
    assert_eq!(reporters, [format!("org-token:{prefix}"), "anonymous".to_owned(), "anonymous".to_owned()]);
    // Who holds nothing there is shown nothing.
    assert!(leaks(&world.node.admin()).await.len() == 3);
    world.node.token(&stranger.secret).get("/v1/leaks").await.refused(403, "forbidden");
    world.node.anon().get("/v1/leaks").await.refused(401, "unauthenticated");
}

/// A partner with a key pair of its own, as its published document says it.
struct Partner {
    pair: KeyPair,
}

impl Partner {
    fn new() -> Partner {
        Partner { pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    fn keys(&self) -> PartnerKeys {
        let key = json!({"key_identifier": "k1", "key": self.pair.public_key_pem(), "is_current": true});
        PartnerKeys::read(&json!({"public_keys": [key]}).to_string()).unwrap()
    }

    async fn send(&self, world: &World, identifier: &str, body: &str, sent: &str) -> Answer {
        let signature = STANDARD.encode(self.pair.sign(body.as_bytes()).unwrap());
        let call = world.node.anon().call("POST", "/v1/leaks");
        let call = call.header("Github-Public-Key-Identifier", identifier);
        call.header("Github-Public-Key-Signature", signature).body(sent).send().await
    }
}

#[tokio::test]
async fn the_organization_s_policy_says_what_a_leak_does() {
    let partner = Partner::new();
    let keys = partner.keys();
    let world = World::with(|options| chancery_tests::NodeOptions { partner_keys: keys, ..options }).await;
    let tenants = world.tenants().await;
    let policy = "/v1/organizations/acme/policy";
    for (response, code, of_child) in [("revoke", "revoked", "valid"), ("flag", "valid", "valid")] {
        let changed = tenants.owner.patch(policy, json!({"leak_response": response})).await;
        assert_eq!(changed.expect(200)["leak_response"], response);
        for is_signed in [false, true] {
            let name = format!("{response}-{is_signed}");
            let token = tenants.owner.mint(&name, json!({"organization": "acme"}), &["admin"]).await;
            let scope = json!({"organization": "acme"});
            let child = world.node.token(&token.secret).mint(&format!("{name}-c"), scope, &["member"]).await;
            if is_signed {
                let body = json!([{"token": token.secret, "type": "chancery"}]).to_string();
                taken(&partner.send(&world, "k1", &body, &body).await);
            } else {
                report(&world.node.anon(), json!({"token": token.secret})).await;
            }
            assert_eq!(tenants.verifier.verify(&token.secret).await.code(), code);
            assert_eq!(tenants.verifier.verify(&child.secret).await.code(), of_child);
            assert_eq!(leaks(&tenants.owner).await[0]["token"], json!(token.id));
        }
    }
    tenants.owner.patch(policy, json!({"leak_response": "ignore"})).await.refused(422, "invalid_value");
}

#[tokio::test]
async fn a_partner_reports_many_at_once_under_its_signature() {
    let partner = Partner::new();
    let keys = partner.keys();
    let world = World::with(|options| chancery_tests::NodeOptions { partner_keys: keys, ..options }).await;
    let tenants = world.tenants().await;
    let mut secrets = Vec::new();
    for name in ["a", "b"] {
        secrets.push(tenants.owner.mint(name, json!({"organization": "acme"}), &["member"]).await.secret);
    }
    let found = |token: &str| json!({"token": token, "type": "chancery", "url": "https://github.com/x/y/z", "source": "commit"});
    let body = json!([found(&secrets[0]), found(&secrets[1]), found("something else")]).to_string();
    for (identifier, signed, sent) in [("k2", &*body, &*body), ("k1", "[]", &body), ("k1", &body, "[]")] {
        partner.send(&world, identifier, signed, sent).await.refused(403, "signature_invalid");
    }
    assert_eq!(tenants.verifier.verify(&secrets[0]).await.code(), "valid");
    taken(&partner.send(&world, "k1", &body, &body).await);
    for secret in &secrets {
        assert_eq!(tenants.verifier.verify(secret).await.code(), "revoked");
    }
    let reported = &leaks(&tenants.owner).await[0];
    assert_eq!((&reported["by"], &reported["evidence"]), (&json!("partner:github"), &json!("signature")));
    partner.send(&world, "k1", "{}", "{}").await.refused(400, "malformed_json");
}

#[tokio::test]
async fn a_partner_s_words_carry_no_admin_token_into_the_record() {
    let partner = Partner::new();
    let keys = partner.keys();
    let world = World::with(|options| chancery_tests::NodeOptions { partner_keys: keys, ..options }).await;
    let tenants = world.tenants().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    let source = format!("{} {ADMIN}", "x".repeat(128 - ADMIN.len()));
    let found =
        json!([{"token": token.secret, "source": source, "url": format!("https://x.example/{ADMIN}")}]);
    let body = found.to_string();
    let (_, lines) = world.lines_of(partner.send(&world, "k1", &body, &body)).await;
    assert!(lines.iter().any(|line| line.kind == "LeakReported"));
    for line in &lines {
        assert!(!line.text.contains(&ADMIN[..24]), "{}", line.text);
    }
}

#[tokio::test]
async fn two_reports_at_once_on_two_nodes_end_a_token_once() {
    let world = World::new().await;
    let tenants = world.tenants().await;
    let other = world.another().await;
    let token = tenants.owner.mint("t", json!({"organization": "acme"}), &["member"]).await;
    other.catches_up_with(&world.node).await;
    let (near, far) = (world.node.anon(), other.anon());
    let body = json!({"token": token.secret});
    let (_, lines) =
        world.lines_of(async { tokio::join!(report(&near, body.clone()), report(&far, body.clone())) }).await;
    let of = |kind: &str| lines.iter().filter(|line| line.kind == kind).count();
    assert_eq!((of("LeakReported"), of("TokenRevoked")), (1, 1));
    other.stop().await;
}

fn run(url: &str, args: &[&str], token: Option<&str>, stdin: &str) -> (i32, String, String) {
    let mut command = Command::new(chancery());
    command.args(args).env_clear().env("CHANCERY_URL", url).env("HOME", "/nonexistent");
    if let Some(token) = token {
        command.env("CHANCERY_TOKEN", token);
    }
    let mut running =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let ended = running.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ended.status.code().unwrap(), text(ended.stdout), text(ended.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_is_reported_and_listed_on_the_command_line() {
    let world = World::new().await;
    world.tenants().await;
    let owner = world.node.admin().mint("boss", json!({"organization": "acme"}), &["owner"]).await;
    let token =
        world.node.token(&owner.secret).mint("ci", json!({"organization": "acme"}), &["member"]).await;
    let url = world.node.url().to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let args =
            ["leak", "report", "--token-stdin", "--source", "a log", "--found-at", "https://ci.example/7"];
        let reported = run(&url, &args, None, &token.secret);
        let listed = run(&url, &["leak", "list", "--json"], Some(&owner.secret), "");
        let table = run(&url, &["leak", "list"], Some(&owner.secret), "");
        (reported, listed, table)
    });
    let (reported, listed, table) = ran.await.unwrap();
    assert_eq!((reported.0, reported.1.as_str()), (0, ""), "{}", reported.2);
    let listed: Value = serde_json::from_str(&listed.1).unwrap();
    assert_eq!((&listed[0]["token"], &listed[0]["revoked"]), (&json!(token.id), &json!(true)));
    assert!(
        table.1.starts_with("TOKEN") && table.1.contains("anonymous") && table.1.contains("a log"),
        "{}",
        table.1
    );
}
