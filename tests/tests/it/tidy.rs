//! Rules of the house that a program can check: it reads the tree.

use chancery_tests::chancery;
use domain::line::TYPES;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

/// Every file of the tree with this extension, built and hidden ones left out.
fn files(extension: &str) -> Vec<PathBuf> {
    let (mut waiting, mut found) = (vec![root()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// A file that somebody else may not have written yet.
fn read_if_there(name: &str) -> Option<String> {
    fs::read_to_string(root().join(name)).ok()
}

#[test]
fn nothing_is_silenced_and_nothing_is_left_to_do() {
    // In two parts, so that this file does not find itself.
    let forbidden =
        [["#[al", "low("], ["#![al", "low("], ["to", "do!("], ["unimple", "mented!("], ["FIX", "ME"]];
    let forbidden = forbidden.map(|parts| parts.concat());
    for path in files("rs") {
        let text = read(&path);
        for word in &forbidden {
            let line = text.lines().position(|line| line.contains(word.as_str())).map(|line| line + 1);
            assert_eq!(line, None, "{word} in {}", path.display());
        }
    }
}

/// The features of the log in what is built by default, or in one package.
fn features_of_the_log(package: &[&str]) -> String {
    let tree = [
        "tree",
        "--locked",
        "--offline",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p} [{f}]",
    ];
    let output = Command::new(env!("CARGO")).args(tree).args(package).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let line = tree.lines().find(|line| line.starts_with("eventlog ")).expect("the log is in it");
    line.rsplit_once('[').expect("its features").1.to_owned()
}

#[test]
fn the_program_is_shipped_without_faults() {
    assert!(!features_of_the_log(&[]).contains("faults"), "by `cargo build` in the workspace");
    assert!(!features_of_the_log(&["--package", "chancery"]).contains("faults"));
    assert!(
        features_of_the_log(&["--package", "chancery-tests"]).contains("faults"),
        "or this finds nothing"
    );
}

#[test]
fn every_library_says_what_it_is_for() {
    for path in
        files("rs").iter().filter(|path| path.ends_with("src/lib.rs") || path.ends_with("src/main.rs"))
    {
        let text = read(path);
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

#[test]
fn every_document_is_found_from_another() {
    let documents = files("md");
    for path in documents.iter().filter(|path| path.parent().is_some_and(|folder| folder.ends_with("docs"))) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let linked = documents.iter().filter(|other| *other != path).any(|other| {
            let text = read(other);
            text.contains(&format!("]({name}")) || text.contains(&format!("](docs/{name}"))
        });
        assert!(linked, "{name} is linked from nowhere");
    }
}

#[test]
fn every_setting_of_serve_is_in_the_operations_guide() {
    let Some(guide) = read_if_there("docs/operations.md") else { return };
    let output = Command::new(chancery()).args(["serve", "--help"]).env_clear().output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    let mut settings: Vec<String> = Vec::new();
    for word in help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        let is_flag = word.starts_with("--") && word.len() > 2 && word != "--help";
        let is_variable = word.starts_with("CHANCERY_") || word.starts_with("DATABASE_URL");
        settings.extend((is_flag || is_variable).then(|| word.to_owned()));
    }
    assert!(settings.len() > 30, "{help}");
    for setting in settings {
        assert!(guide.contains(&format!("`{setting}`")), "{setting} is not in docs/operations.md");
    }
}

#[test]
fn every_event_is_in_the_guide_to_events() {
    let Some(guide) = read_if_there("docs/events.md") else { return };
    for kind in TYPES {
        assert!(guide.contains(kind), "{kind} is not in docs/events.md");
    }
}

#[test]
fn every_guarantee_is_written_down_and_names_a_suite_that_is_there() {
    let Some(guide) = read_if_there("docs/guarantees.md") else { return };
    for number in 1..=7 {
        assert!(guide.contains(&format!("\n## {number}. ")), "guarantee {number}");
    }
    let suites = read(&root().join("tests/tests/it/main.rs"));
    let named = guide.split("`tests`: ").skip(1).filter_map(|rest| rest.split('\n').next());
    for list in named {
        for name in list.split('`').skip(1).step_by(2) {
            assert!(suites.contains(&format!("mod {name};")), "{name} is no suite");
        }
    }
}
