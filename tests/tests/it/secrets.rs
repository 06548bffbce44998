//! No secret is anywhere but in the answer that hands it out: not on the log, in no table, in no trace, in no encoding.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chancery_tests::{ADMIN, Actor, Answer, Binary, Database, Minted, postgres_program};
use serde_json::{Value, json};
use std::process::Command;

/// All forms in which a secret could lie around, each with a name for the failure.
fn encodings(secret: &str) -> Vec<(String, String)> {
    // The first 12 characters are its prefix, which everyone may see; the rest is the secret.
    let rest = &secret.as_bytes()[12..];
    let hex = crate::hex(rest);
    let mut forms = vec![
        ("as it is".to_owned(), secret[12..].to_owned()),
        ("its first half".to_owned(), secret[12..33].to_owned()),
        ("its second half".to_owned(), secret[33..].to_owned()),
        ("in upper hex".to_owned(), hex.to_uppercase()),
        ("in hex".to_owned(), hex),
        ("backwards".to_owned(), secret[12..].chars().rev().collect()),
        ("as numbers".to_owned(), rest.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    ];
    // In base64 it looks different at each of three alignments; its ends depend on what is beside it.
    for offset in 0..3 {
        let padded = [&vec![0; offset][..], rest].concat();
        for (name, encoded) in
            [("base64", STANDARD_NO_PAD.encode(&padded)), ("base64url", URL_SAFE_NO_PAD.encode(&padded))]
        {
            forms.push((format!("in {name}"), encoded[4..encoded.len() - 3].to_owned()));
        }
    }
    forms
}

#[track_caller]
fn assert_absent(place: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        for (form, encoded) in encodings(secret) {
            if let Some(at) = text.find(&encoded) {
                let start = text[..at].rfind('\n').map_or(0, |start| start + 1);
                panic!(
                    "{place} shows {}… {form}: {}",
                    &secret[..12],
                    &text[start..(at + 80).min(text.len())]
                );
            }
        }
    }
}

/// A script that shows secrets in every way there is; answers all secrets, and the texts of all answers without those
/// that are handed out.
struct Script {
    secrets: Vec<String>,
    answers: String,
}

impl Script {
    fn heard(&mut self, answer: &Answer) {
        let mut text = format!("{:?} {}\n", answer.headers, answer.text);
        if let Some(secret) = answer.body["secret"].as_str() {
            self.secrets.push(secret.to_owned());
            text = text.replace(secret, "");
        }
        self.answers.push_str(&text);
    }

    async fn send(&mut self, actor: &Actor, method: &str, path: &str, body: Value) -> Answer {
        let call = actor.call(method, path).key(&format!("{method} {path} {}", self.secrets.len()));
        let call = if body.is_null() { call } else { call.json(&body) };
        let answer = call.send().await;
        self.heard(&answer);
        answer
    }

    async fn mint(&mut self, actor: &Actor, name: &str, grants: &[&str]) -> Minted {
        let body = json!({"name": name, "scope": {"organization": "acme"}, "grants": grants});
        Minted::from(&self.send(actor, "POST", "/v1/tokens", body).await)
    }
}

/// Makes tokens and uses them in every ordinary way.
async fn ordinary(script: &mut Script, anon: &Actor) -> (Minted, Minted) {
    let admin = anon.with(ADMIN);
    script.send(&admin, "POST", "/v1/organizations", json!({"name": "acme"})).await;
    let owner = script.mint(&admin, "owner", &["owner"]).await;
    let owner_actor = anon.with(&owner.secret);
    let gateway = script.mint(&owner_actor, "gateway", &["verifier"]).await;
    let verifier = anon.with(&gateway.secret);
    script.send(&verifier, "POST", "/v1/tokens/narrow", json!({"name": "narrow"})).await;
    let path = format!("/v1/tokens/{}/rotate", gateway.id);
    script.send(&owner_actor, "POST", &path, json!({"overlap": "1h"})).await;
    for secret in script.secrets.clone() {
        let question = json!({"token": secret, "client": {"address": "192.0.2.1", "agent": "curl/8"}});
        script.send(&verifier, "POST", "/v1/verify", question.clone()).await;
        script.send(&verifier, "POST", "/v1/verify/batch", json!({"items": [question, question]})).await;
        script.send(&anon.with(&secret), "GET", "/v1/whoami", Value::Null).await;
        script.send(&owner_actor, "POST", "/v1/tokens/identify", json!({"token": secret})).await;
        let proxied = anon.with(&secret).call("GET", "/v1/authorize?permission=tokens:mint");
        script.heard(&proxied.header("chancery-caller", format!("Bearer {}", gateway.secret)).send().await);
    }
    (owner, gateway)
}

/// Puts them where they do not belong.
async fn misplaced(script: &mut Script, anon: &Actor, owner: &Minted, gateway: &Minted) {
    let (actor, path) = (anon.with(&owner.secret), format!("/v1/tokens/{}", gateway.id));
    for secret in [gateway.secret.clone(), ADMIN.to_owned()] {
        for (method, path, body) in [
            ("PATCH", path.clone(), json!({"name": secret, "metadata": {"a": secret}})),
            ("PATCH", path.clone(), json!({"description": format!("it is {secret}.")})),
            ("POST", "/v1/tokens".into(), json!({"name": 1, "grants": secret, "scope": {&*secret: secret}})),
            ("POST", "/v1/tokens".into(), json!(secret)),
            ("POST", "/v1/verify".into(), json!({"token": "x", "permission": secret})),
            (
                "POST",
                "/v1/verify".into(),
                json!({"token": gateway.secret, "project": secret, "resource": secret}),
            ),
            ("GET", format!("/v1/tokens/{secret}?{secret}={secret}"), Value::Null),
            ("GET", format!("/{secret}"), Value::Null),
            ("POST", format!("{path}/revoke"), json!({"reason": secret})),
        ] {
            let answer = script.send(&actor, method, &path, body).await;
            assert!(answer.status < 500, "{}", answer.text);
        }
        let mut call = anon.with(&secret).call("GET", "/v1/tokens");
        for name in ["user-agent", "x-request-id", "cookie", "referer", "x-forwarded-for", "if-match"] {
            call = call.header(name, &secret);
        }
        script.heard(&call.send().await);
        let broken = format!("{{\"name\": \"{secret}\", \"scope\": {secret}");
        script.heard(&actor.call("POST", "/v1/tokens").body(broken).send().await);
        script.heard(
            &anon.call("GET", "/v1/whoami").header("authorization", format!("Basic {secret}")).send().await,
        );
    }
    let end = json!({"note": format!("leaked: {}", gateway.secret)});
    script.send(&actor, "POST", &format!("{path}/revoke"), end).await.expect(200);
    script.heard(&anon.with(&gateway.secret).get("/v1/whoami").await);
}

fn dump(database: &Database) -> String {
    let output = Command::new(postgres_program("pg_dump"))
        .arg("--host")
        .arg(database.socket_dir())
        .args(["--username", "postgres", database.name()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn no_secret_that_was_ever_shown_is_found_anywhere() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url()).variable("RUST_LOG", "trace");
    binary.start().await;
    let mut script = Script { secrets: vec![ADMIN.to_owned()], answers: String::new() };
    let (owner, gateway) = ordinary(&mut script, &binary.anon()).await;
    misplaced(&mut script, &binary.anon(), &owner, &gateway).await;
    assert!(script.secrets.len() >= 5);
    let dumped = dump(&database);
    assert!(dumped.contains("TokenMinted") && dumped.contains(&gateway.secret[..12]), "the dump is whole");
    assert!(database.entries().await.len() > 50);
    let exited = binary.terminate().await;
    assert!(exited.stderr.len() > 100_000 && exited.stderr.contains("TRACE"), "the trace is on");
    for (place, text) in [("the dump", &dumped), ("stderr", &exited.stderr), ("stdout", &binary.stdout())] {
        assert_absent(place, text, &script.secrets);
    }
    assert_absent("an answer", &script.answers, &script.secrets[1..]);
    let (files, text) = node_files(&binary);
    assert!(files >= 2, "the mark, the log key");
    assert_absent("the data folder", &text, &script.secrets);
}

/// The files of the data folder, as text.
fn node_files(binary: &Binary) -> (usize, String) {
    let files = std::fs::read_dir(binary.folder()).unwrap().flatten().filter(|entry| entry.path().is_file());
    let texts: Vec<String> = files
        .map(|entry| String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned())
        .collect();
    (texts.len(), texts.join("\n"))
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let secret = crate::never_issued(3);
    for offset in 0..3 {
        let text = format!("{}{secret}!", "x".repeat(offset));
        let hex = crate::hex(text.as_bytes());
        for hidden in [text.clone(), hex, STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            assert!(encodings(&secret).iter().any(|(_, form)| hidden.contains(form)), "{hidden}");
        }
    }
    assert!(encodings(&secret).iter().all(|(_, form)| !secret[..12].contains(form) && form.len() > 20));
}
