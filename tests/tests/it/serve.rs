//! `chancery serve` as an operator meets it: its admin token, its settings, what it refuses to start with.

use chancery_tests::{ADMIN, Actor, Binary, Database, within};
use reqwest::{Certificate, Client};
use rustix::process::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs a command that is to end by itself; answers whether it succeeded, and its stderr.
async fn ends(mut command: Command) -> (bool, String) {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = tokio::process::Command::from(command).kill_on_drop(true).output();
    let output = within("the program to end", output).await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

async fn refused(binary: &Binary, arguments: &[&str]) -> String {
    let (success, stderr) = ends(binary.command(&[&["serve"], arguments].concat())).await;
    assert!(!success, "{arguments:?}");
    stderr
}

fn write_private(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn the_first_start_makes_an_admin_token_that_only_its_owner_can_read_and_never_another() {
    let mut binary = Binary::bare();
    binary.start().await;
    let path = binary.folder().join("admin-token");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.trim();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(text.len() >= 32 && binary.stdout().contains(path.to_str().unwrap()));
    assert!(!binary.stdout().contains(text) && !binary.stderr().contains(text));
    binary.anon().with(text).organization("acme").await;
    assert!(binary.terminate().await.status.success());
    binary.start().await;
    assert_eq!(fs::read_to_string(&path).unwrap().trim(), text);
    binary.anon().with(text).get("/v1/organizations/acme").await.expect(200);
    assert!(binary.terminate().await.status.success());
    fs::remove_file(&path).unwrap();
    binary.start().await;
    assert!(!path.exists(), "an authority that exists gets no second one");
    binary.anon().with(text).get("/v1/whoami").await.refused(401, "token_unknown");
    assert!(binary.terminate().await.status.success());
    // An operator who lost it writes a new one.
    write_private(&path, "a new token of at least thirty-two characters\n".replace(' ', "-").as_str(), 0o600);
    binary.start().await;
    let new = binary.anon().with("a-new-token-of-at-least-thirty-two-characters");
    new.get("/v1/organizations/acme").await.expect(200);
}

#[tokio::test]
async fn another_admin_token_leaves_all_tokens_alone_and_works_when_they_are_all_revoked() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    binary.admin().organization("acme").await;
    let token = binary.admin().mint("t", json!({"organization": "acme"}), &["owner"]).await;
    assert!(binary.terminate().await.status.success());
    let other = ADMIN.replace("tests", "other");
    binary.set("CHANCERY_ADMIN_TOKEN", &other);
    binary.start().await;
    binary.admin().get("/v1/whoami").await.refused(401, "token_unknown");
    let holder = binary.anon().with(&token.secret);
    assert_eq!(holder.get("/v1/whoami").await.expect(200)["token"]["created_by"], "admin-token");
    let admin = binary.anon().with(&other);
    admin.revoke(&token.id).await;
    holder.get("/v1/whoami").await.refused(401, "token_revoked");
    admin.mint("again", json!({"organization": "acme"}), &["owner"]).await;
}

#[tokio::test]
async fn what_is_unsafe_or_cannot_be_is_refused_with_what_to_do() {
    let database = Database::new().await;
    let binary = Binary::over(&database.url());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let readable = binary.folder().with_file_name("readable");
    write_private(&readable, ADMIN, 0o644);
    let readable = readable.to_str().unwrap().to_owned();
    let local = ["--listen", "127.0.0.1:0"];
    for (arguments, advice) in [
        (&["--listen", "0.0.0.0:0"][..], "--insecure-http"),
        (&["--listen", "[::]:0"], "--insecure-http"),
        (&[&local[..], &["--admin-token-file", &readable]].concat(), "chmod 600"),
        (&[&local[..], &["--admin-token-file", "/nowhere"]].concat(), "/nowhere"),
        (&[&local[..], &["--tls-cert", &readable]].concat(), "--tls-key"),
        (&["--listen", &taken], &taken),
        (&["--listen", "nonsense"], "--listen"),
        (&[&local[..], &["--database-url", "nonsense:hunter2@db"]].concat(), "postgres://"),
        (
            &[&local[..], &["--database-url", "postgres://chancery:hunter2@127.0.0.1:1/x"]].concat(),
            "connecting",
        ),
    ] {
        let stderr = refused(&binary, arguments).await;
        assert!(stderr.contains(advice), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("hunter2") && !stderr.contains(ADMIN), "{arguments:?}: {stderr}");
    }
    let short = Binary::over(&database.url()).variable("CHANCERY_ADMIN_TOKEN", "hunter2");
    let stderr = refused(&short, &local).await;
    assert!(stderr.contains("at least 32") && !stderr.contains("hunter2"), "{stderr}");
    fs::write(binary.folder().with_file_name("chancery.toml"), "listen = \"127.0.0.1:0\"\nlistn = 1\n")
        .unwrap();
    let stderr = refused(&binary, &[]).await;
    assert!(stderr.contains("chancery.toml") && stderr.contains("listn"), "{stderr}");
}

#[tokio::test]
async fn two_nodes_do_not_share_a_folder() {
    let database = Database::new().await;
    let mut binary = Binary::over(&database.url());
    binary.start().await;
    let stderr = refused(&binary, &["--listen", "127.0.0.1:0"]).await;
    assert!(stderr.contains("another node runs"), "{stderr}");
    binary.admin().get("/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    for (flag, variable, expected) in
        [(true, true, "flag"), (false, true, "variable"), (false, false, "file")]
    {
        let database = Database::new().await;
        let mut binary = Binary::over(&database.url());
        fs::write(binary.folder().with_file_name("chancery.toml"), "origin = \"file.invalid/log\"\n")
            .unwrap();
        if variable {
            binary.set("CHANCERY_ORIGIN", "variable.invalid/log");
        }
        if flag {
            binary = binary.argument("--origin").argument("flag.invalid/log");
        }
        binary.start().await;
        let instance = binary.admin().get("/v1/instance").await;
        assert_eq!(instance.expect(200)["origin"], format!("{expected}.invalid/log"));
    }
}

/// Writes a fresh certificate for 127.0.0.1 and its key; answers who trusts it alone.
fn certificate(folder: &Path) -> Client {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    write_private(&folder.join("cert.pem"), &made.cert.pem(), 0o644);
    write_private(&folder.join("key.pem"), &made.signing_key.serialize_pem(), 0o600);
    let trusted = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap()
}

#[tokio::test]
async fn with_a_certificate_nothing_is_served_in_cleartext_and_a_hangup_reads_it_again() {
    let (database, files) = (Database::new().await, tempfile::tempdir().unwrap());
    let first = certificate(files.path());
    let path = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let mut binary = Binary::over(&database.url())
        .argument("--tls-cert")
        .argument(&path("cert.pem"))
        .argument("--tls-key")
        .argument(&path("key.pem"));
    binary.start().await;
    assert!(binary.stdout().contains("https://"), "{}", binary.stdout());
    let url = binary.url().replace("http:", "https:");
    let who = |client: &Client| Actor::anonymous(client.clone(), &url).with(ADMIN).call("GET", "/v1/whoami");
    assert_eq!(who(&first).send().await.expect(200)["actor"], "admin-token");
    assert!(binary.admin().call("GET", "/v1/whoami").try_send().await.is_err(), "not in cleartext");
    let second = certificate(files.path());
    assert!(who(&second).try_send().await.is_err(), "not read yet");
    binary.signal(Signal::HUP);
    chancery_tests::eventually_async("the new certificate", async || who(&second).try_send().await.ok())
        .await;
    // A file that cannot be read leaves what was read before.
    fs::write(files.path().join("key.pem"), "nonsense").unwrap();
    binary.signal(Signal::HUP);
    chancery_tests::eventually("the failure to be said", || binary.stderr().contains("stays as it was"))
        .await;
    who(&second).send().await.expect(200);
}

#[tokio::test]
async fn metrics_may_have_a_listener_of_their_own() {
    let database = Database::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut binary = Binary::over(&database.url()).argument("--metrics-listen").argument(&free);
    binary.start().await;
    binary.anon().get("/metrics").await.refused(404, "no_such_route");
    let metrics = Actor::anonymous(Client::new(), &format!("http://{free}"));
    assert!(metrics.get("/metrics").await.text.contains("chancery_log_lines_total"));
    metrics.get("/v1/whoami").await.refused(404, "no_such_route");
}
