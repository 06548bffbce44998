//! No secret is anywhere but in the answer that hands it out: not on the log, in no table, in no file of the server, in
//! no trace, in no error, in no encoding.

mod finder;
mod hostile;
mod mailed;
mod ordinary;

use chancery_tests::{ADMIN, Actor, Answer, Binary, Minted, entries, postgres_program, scale};
use finder::Finder;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, Executor};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who shows secrets in every way there is: all secrets, and the texts of all answers without those that are handed
/// out.
struct Script {
    /// Tells its names and keys from those of other scripts.
    tag: String,
    secrets: Vec<String>,
    answers: String,
    calls: usize,
}

impl Script {
    fn new(tag: &str) -> Script {
        Script { tag: tag.to_owned(), secrets: Vec::new(), answers: String::new(), calls: 0 }
    }

    /// What another one has shown and heard.
    fn join(&mut self, other: Script) {
        self.secrets.extend(other.secrets);
        self.answers.push_str(&other.answers);
        self.calls += other.calls;
    }

    /// A name that nothing has yet.
    fn fresh(&self) -> String {
        format!("{}-{}", self.tag, self.calls)
    }

    fn heard(&mut self, answer: &Answer) {
        let mut text = format!("{:?} {}\n", answer.headers, answer.text);
        if let Some(secret) = answer.body["secret"].as_str() {
            if !self.secrets.iter().any(|known| known == secret) {
                self.secrets.push(secret.to_owned());
            }
            text = text.replace(&format!("\"secret\":\"{secret}\""), "");
        }
        self.calls += 1;
        self.answers.push_str(&text);
    }

    async fn send(&mut self, actor: &Actor, method: &str, path: &str, body: Value) -> Answer {
        let call = actor.call(method, path).key(&self.fresh());
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

/// An authority with a server of its own, whose files show what is in them: lines are not compressed in the table and,
/// with it, not in the write-ahead log, nor are page images.
async fn legible() -> Binary {
    legible_with(&[]).await
}

/// The same with other settings.
async fn legible_with(variables: &[(&str, &str)]) -> Binary {
    let mut binary = Binary::alone().variable("RUST_LOG", "trace");
    for (name, value) in variables {
        binary.set(name, value);
    }
    binary.start().await;
    let mut superuser = binary.postgres().connect().await.unwrap();
    for statement in [
        "ALTER TABLE chancery.commits ALTER COLUMN lines SET STORAGE EXTERNAL",
        "ALTER DATABASE chancery SET wal_compression = off",
    ] {
        superuser.execute(statement).await.unwrap();
    }
    superuser.close().await.unwrap();
    // Connections take the setting when they are made.
    assert!(binary.terminate().await.status.success());
    binary.start().await;
    binary
}

/// Writes everything from memory to the files, and dumps every table.
async fn dump(binary: &Binary) -> Vec<u8> {
    let options = binary.postgres();
    let mut superuser = options.connect().await.unwrap();
    superuser.execute("CHECKPOINT").await.unwrap();
    superuser.close().await.unwrap();
    let output = Command::new(postgres_program("pg_dump"))
        .arg("--host")
        .arg(options.get_socket().unwrap())
        .args(["--username", "postgres", "chancery"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut waiting, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

/// Where the files of a folder show a secret; and how many bytes of the write-ahead log and of all files were read.
fn search(finder: &Finder, folder: &Path) -> (Vec<String>, usize, usize) {
    let (mut found, mut wal, mut all) = (Vec::new(), 0, 0);
    for path in files(folder) {
        // The server may remove a file while they are listed.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let place = path.strip_prefix(folder).unwrap().display().to_string();
        all += bytes.len();
        wal += if place.contains("pg_wal/") { bytes.len() } else { 0 };
        found.extend(finder.find(&place, &bytes));
    }
    (found, wal, all)
}

#[tokio::test]
async fn no_secret_that_was_ever_shown_is_found_anywhere() {
    let mut binary = legible().await;
    let mut script = Script::new("o");
    script.secrets.push(ADMIN.to_owned());
    let (owner, gateway) = ordinary::work(&mut script, &binary.anon()).await;
    hostile::everywhere(&mut script, &binary, &owner, &gateway).await;
    script.heard(&binary.anon().get("/metrics").await);
    let finder = Finder::of(&script.secrets);
    let dumped = dump(&binary).await;
    let log = entries(&binary.postgres()).await;
    let marker = &log.iter().rfind(|entry| entry.kind == "TokenMinted").unwrap().text_at("/token").to_owned();
    let seen = Finder::of(&[format!("{}{marker}", " ".repeat(12))]);
    let (places, wal, read) = search(&finder, &binary.folder());
    assert_eq!(places, [""; 0], "the files of the data folder");
    let legible = search(&seen, &binary.folder()).0.join("\n");
    assert!(legible.contains("pg_wal/") && legible.contains("base/"), "lines are legible there: {legible}");
    let exited = binary.terminate().await;
    assert!(exited.stderr.len() > 200_000 && exited.stderr.contains("TRACE"), "the trace is on");
    for name in ["api::edge", "sqlx::query", "mio::poll"] {
        assert!(exited.stderr.contains(name), "{name} is traced");
    }
    let (stderr, stdout) = (exited.stderr.as_bytes(), binary.stdout());
    for (place, text) in [
        ("the dump", &dumped[..]),
        ("stderr", stderr),
        ("stdout", stdout.as_bytes()),
        ("an answer", script.answers.as_bytes()),
    ] {
        assert_eq!(finder.find(place, text), [""; 0]);
    }
    let done = format!(
        "{} secrets in {} forms, {} calls, {} lines; read: {read} bytes of files ({wal} of them write-ahead log), \
         {} of the dump, {} of the trace, {} of answers; found: 0",
        script.secrets.len(),
        finder.forms(),
        script.calls,
        log.len(),
        dumped.len(),
        stderr.len(),
        script.answers.len()
    );
    assert!(script.secrets.len() > 50 && script.calls > 1_000, "{done}");
    scale::figures("secrets", &done);
}

/// The same search, where there is something to find.
#[tokio::test]
async fn a_secret_that_does_get_into_the_database_is_found_in_every_place() {
    let mut binary = legible().await;
    let secret = crate::never_issued(9);
    let finder = Finder::of(std::slice::from_ref(&secret));
    assert_eq!(search(&finder, &binary.folder()).0, [""; 0]);
    let mut superuser = binary.postgres().connect().await.unwrap();
    superuser.execute("CREATE TABLE chancery.planted (text text, bytes bytea)").await.unwrap();
    sqlx::query("INSERT INTO chancery.planted VALUES (encode($2, 'hex'), $2)")
        .bind(&secret)
        .bind(secret.as_bytes())
        .execute(&mut superuser)
        .await
        .unwrap();
    superuser.close().await.unwrap();
    let dumped = finder.find("the dump", &dump(&binary).await);
    assert!(!dumped.is_empty());
    let places = search(&finder, &binary.folder()).0.join("\n");
    assert!(places.contains("pg_wal/") && places.contains("base/"), "{places}");
    assert!(binary.terminate().await.status.success());
}
