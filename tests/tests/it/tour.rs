//! What the README and the demo tell a newcomer to paste, pasted.

use chancery_tests::{Binary, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output};

const README: &str = include_str!("../../../README.md");

/// `chancery demo` as a newcomer starts it, in a folder of its own.
struct Demo {
    binary: Binary,
    child: Child,
    desk: tempfile::TempDir,
}

impl Demo {
    async fn start() -> Demo {
        let (binary, desk) = (Binary::alone(), tempfile::tempdir().unwrap());
        let said = desk.path().join("demo");
        let mut command = binary.command(&["demo", "--listen", "127.0.0.1:0"]);
        command
            .stdout(File::create(&said).unwrap())
            .stderr(File::create(desk.path().join("errors")).unwrap());
        let demo = Demo { binary, child: command.spawn().unwrap(), desk };
        eventually("the demo to say what to paste", || demo.said().contains("Ctrl-C stops it")).await;
        demo
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.desk.path().join("demo")).unwrap()
    }

    /// Runs a line as a shell would in which the demo's own first line was pasted.
    fn paste(&self, line: &str) -> Output {
        let said = self.said();
        let export = said.lines().find(|said| said.trim_start().starts_with("export PATH=")).unwrap();
        Command::new("sh")
            .args(["-c", &format!("{export}\n{line}")])
            .current_dir(self.desk.path())
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("XDG_CONFIG_HOME", self.desk.path())
            .output()
            .unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

/// The lines of the first fenced block after a text, with continued lines joined.
fn block<'a>(document: &'a str, after: &str) -> Vec<&'a str> {
    let rest = document.split_once(after).unwrap().1;
    let body = rest.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    body.trim_end().split('\n').filter(|line| !line.is_empty()).collect()
}

fn text(output: &Output) -> String {
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{errors}")
}

fn is_owners_only(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode().trailing_zeros() >= 6
}

#[tokio::test]
async fn the_demos_next_steps_can_be_pasted() {
    let demo = Demo::start().await;
    let said = demo.said();
    let lines = said.lines().skip_while(|line| !line.contains("line by line")).skip(1);
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix("  ")).collect();
    assert!(lines[0].starts_with("export PATH="), "{said}");
    for line in &lines[1..] {
        let output = demo.paste(line);
        let answered = text(&output);
        match line.split_once("# ") {
            Some((_, "revoked")) => {
                assert_eq!(output.status.code(), Some(3), "{line}\n{answered}");
                assert!(answered.contains("revoked"), "{line}\n{answered}");
            }
            Some((_, what)) => {
                assert!(output.status.success() && answered.contains(what), "{line}\n{answered}");
            }
            None => assert!(output.status.success(), "{line}\n{answered}"),
        }
        if line.contains("psql") {
            for event in
                ["AuthorityStarted", "OrganizationCreated", "TokenMinted", "TokenUsed", "TokenRevoked"]
            {
                assert!(answered.contains(event), "{event} is on the log\n{answered}");
            }
        }
    }
    assert!(is_owners_only(&demo.binary.folder().join("admin-token")));
}

#[tokio::test]
async fn the_readmes_tour_can_be_pasted() {
    let demo = Demo::start().await;
    for line in block(README, "<!-- tour") {
        let output = demo.paste(line);
        assert!(output.status.success(), "{line}\n{}", text(&output));
    }
    let asked = block(README, "A service asks over HTTP").join("\n");
    let answer: serde_json::Value = serde_json::from_slice(&demo.paste(&asked).stdout).unwrap();
    assert_eq!((&answer["valid"], &answer["code"]), (&false.into(), &"revoked".into()), "{answer}");
    let page = demo.paste("chancery token list -o globex --status all --json");
    let page: serde_json::Value = serde_json::from_slice(&page.stdout).unwrap();
    assert_eq!(page.as_array().map(Vec::len), Some(2), "{page}");
}

#[test]
fn the_readme_names_the_two_commands() {
    assert_eq!(block(README, "## Try it"), ["cargo run --release -- demo"]);
    assert_eq!(block(README, "All tests, against"), ["cargo test --workspace"]);
}
