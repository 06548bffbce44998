//! What the log proves: to those who ask over HTTP, to others' programs, and on an auditor's own machine.

mod go;
mod http;
mod keys;
mod manifest;
mod offline;
mod others;
mod personal;
mod tampering;

use chancery_tests::{ADMIN, NodeOptions, TestNode, World, chancery};
use eventlog::Checkpoint;
use eventlog::tree::{Hash, leaf_hash};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

/// An authority that signs checkpoints, with two organizations.
async fn signing() -> World {
    let world = World::with(NodeOptions::signing).await;
    world.tenants().await;
    world
}

/// Makes so many lines.
async fn uses(world: &World, name: &str, count: u32) {
    let acme = json!({"organization": "acme"});
    let admin = world.node.admin();
    let verifier = admin.mint(&format!("{name}-verifier"), acme.clone(), &["verifier"]).await;
    let token = admin.mint(name, acme, &["member"]).await;
    let items: Vec<Value> = (0..count)
        .map(|n| json!({"token": token.secret, "organization": "acme", "resource": format!("{name} {n}")}))
        .collect();
    for items in items.chunks(500) {
        let batch = json!({"items": items});
        world.node.token(&verifier.secret).post("/v1/verify/batch", batch).await.expect(200);
    }
}

/// A checkpoint of all that is on the log now.
async fn checkpoint(world: &World) -> String {
    let size = world.database.size().await;
    world.node.admin().get(&format!("/log/checkpoint?at_least={size}")).await.text
}

async fn keys(node: &TestNode) -> Vec<String> {
    let instance = node.admin().get("/v1/instance").await;
    let keys = instance.expect(200)["verifier_keys"].as_array().unwrap();
    keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// The body of an answer that must be one.
async fn bytes(node: &TestNode, path: &str) -> Vec<u8> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}{path}", node.url())).bearer_auth(ADMIN);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.bytes().await.unwrap().to_vec()
}

/// The exact lines, as an export has them.
async fn lines(world: &World) -> Vec<String> {
    world.database.entries().await.into_iter().map(|entry| entry.text).collect()
}

fn leaves(lines: &[String]) -> Vec<Hash> {
    lines.iter().map(|line| leaf_hash(line.as_bytes())).collect()
}

fn size_of(note: &str) -> u64 {
    Checkpoint::of_note(note).unwrap().size
}

/// A folder of an auditor's, on no server.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn export(&self, name: &str, lines: &[String]) -> PathBuf {
        self.put(name, lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>())
    }

    /// Runs the program there, without a server, a database or a token.
    async fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        run(self.0.path(), arguments, &[]).await
    }

    /// `chancery log verify` with one key.
    async fn verify(&self, key: &str, checkpoints: &[&Path], more: &[&Path]) -> Output {
        let mut arguments: Vec<&OsStr> = ["log", "verify", "--key", key].map(OsStr::new).into();
        for checkpoint in checkpoints {
            arguments.extend([OsStr::new("--checkpoint"), checkpoint.as_os_str()]);
        }
        arguments.extend(more.iter().map(|path| path.as_os_str()));
        self.run(arguments).await
    }
}

async fn run(
    folder: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    variables: &[(&str, &str)],
) -> Output {
    let mut command = std::process::Command::new(chancery());
    command.current_dir(folder).env_clear().envs(variables.iter().copied()).args(arguments);
    command.stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// The page of a verification that ended with this code.
#[track_caller]
fn page(output: &Output, code: i32) -> String {
    let page = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{page}{}", String::from_utf8_lossy(&output.stderr));
    page
}
