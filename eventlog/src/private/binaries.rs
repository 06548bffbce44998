//! Where the server's binaries are, and how to install them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::Error;

/// The oldest major version that the log's SQL works on.
const OLDEST: u32 = 14;

/// A folder with a usable `postgres` and `initdb`.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }
}

/// The folder of a Postgres server, 14 or later: `explicit`, else what `pg_config` names, else one on `PATH`, else
/// the newest of the folders that packages use.
pub fn find_binaries(explicit: Option<&Path>) -> Result<PathBuf, Error> {
    find(explicit, None).map(|binaries| binaries.dir)
}

/// As [`find_binaries`]; when there is none, `explicit` is not given, and this is root (or `sudo` asks for no
/// password), installs one with the platform's package manager. `announce` is told each command before it runs.
///
/// For demonstrations and tests: `chancery serve` never installs anything.
pub async fn find_or_install(
    explicit: Option<&Path>,
    announce: impl Fn(&str) + Send + 'static,
) -> Result<PathBuf, Error> {
    let missing = match find_binaries(explicit) {
        Err(missing @ Error::NotFound { .. }) => missing,
        found => return found,
    };
    let Some(manager) = Manager::here() else { return Err(missing) };
    let install = tokio::task::spawn_blocking(move || manager.install(&announce));
    install.await.expect("the installer does not panic")?;
    find_binaries(None)
}

/// As [`find_binaries`], but prefers binaries of the version that an existing cluster was made by.
pub(super) fn find(explicit: Option<&Path>, major: Option<u32>) -> Result<Binaries, Error> {
    if let Some(dir) = explicit {
        return inspect(dir).map_err(|reason| Error::BadBinaries { bin_dir: dir.to_path_buf(), reason });
    }
    let (mut found, mut unfit) = (Vec::new(), Vec::new());
    let (first, packaged) = candidates();
    for dir in first {
        sort_in(&dir, &mut found, &mut unfit);
    }
    let mut newest = Vec::new();
    for dir in packaged {
        sort_in(&dir, &mut newest, &mut unfit);
    }
    newest.sort_by_key(|binaries| std::cmp::Reverse(binaries.major));
    found.extend(newest);
    let place =
        major.and_then(|major| found.iter().position(|binaries| binaries.major == major)).unwrap_or(0);
    if place < found.len() {
        return Ok(found.swap_remove(place));
    }
    let mut looked = "looked at pg_config --bindir, PATH and the usual version folders".to_owned();
    for reason in unfit {
        looked.push_str("; ");
        looked.push_str(&reason);
    }
    Err(Error::NotFound { looked, install: advice() })
}

/// Keeps a usable folder; of an unusable one, keeps why, where there is a server at all.
fn sort_in(dir: &Path, found: &mut Vec<Binaries>, unfit: &mut Vec<String>) {
    match inspect(dir) {
        Ok(binaries) => found.push(binaries),
        Err(reason) if dir.join("postgres").is_file() => unfit.push(format!("{}: {reason}", dir.display())),
        Err(_) => {}
    }
}

/// What is in a folder, or what is wrong with it.
fn inspect(dir: &Path) -> Result<Binaries, String> {
    let dir = std::path::absolute(dir).map_err(|source| source.to_string())?;
    for name in ["postgres", "initdb"] {
        if !dir.join(name).is_file() {
            return Err(format!("it has no file `{name}`"));
        }
    }
    let text = output_of(Command::new(dir.join("postgres")).arg("--version"))?;
    let major = major_of(&text).ok_or_else(|| format!("`postgres --version` says {text:?}"))?;
    if major < OLDEST {
        return Err(format!("it is Postgres {major}, {OLDEST} or later is needed"));
    }
    Ok(Binaries { dir, major })
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` or `… 18beta1`.
fn major_of(text: &str) -> Option<u32> {
    let (_, version) = text.split_once("(PostgreSQL) ")?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

/// Where binaries may be: first the folders that somebody chose, in order, then those that packages use.
fn candidates() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut first = Vec::new();
    if let Ok(bindir) = output_of(Command::new("pg_config").arg("--bindir")) {
        first.push(PathBuf::from(bindir));
    }
    first.extend(search_path());
    let mut packaged = Vec::new();
    for (parent, prefix, rest) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/lib", "postgresql", "bin"),
        ("/usr/lib64", "postgresql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/usr/local", "pgsql", "bin"),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                packaged.push(entry.path().join(rest));
            }
        }
    }
    (first, packaged)
}

fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// What a command writes, trimmed, or why it failed.
fn output_of(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| source.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{}: {}", output.status, tail(&String::from_utf8_lossy(&said), 600)))
}

/// The last whole characters of a text, about `most` bytes.
pub(super) fn tail(text: &str, most: usize) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// A platform's package manager and how it installs the Postgres server.
#[derive(Debug, Clone, Copy)]
struct Manager {
    program: &'static str,
    install: &'static [&'static str],
    /// Fetches the package lists, which a fresh machine does not have.
    refresh: &'static [&'static str],
    /// Homebrew refuses root, so it is named but never run.
    as_root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        install: &["install", "--yes", "--no-install-recommends", "postgresql"],
        refresh: &["update"],
        as_root: true,
    },
    Manager {
        program: "dnf",
        install: &["install", "--assumeyes", "postgresql-server"],
        refresh: &["makecache"],
        as_root: true,
    },
    Manager { program: "apk", install: &["add", "postgresql"], refresh: &["update"], as_root: true },
    Manager {
        program: "pacman",
        install: &["--sync", "--needed", "--noconfirm", "postgresql"],
        refresh: &["--sync", "--refresh"],
        as_root: true,
    },
    Manager { program: "brew", install: &["install", "postgresql@17"], refresh: &["update"], as_root: false },
];

impl Manager {
    /// The first package manager on `PATH`.
    fn here() -> Option<Self> {
        let folders = search_path();
        MANAGERS.into_iter().find(|manager| folders.iter().any(|dir| dir.join(manager.program).is_file()))
    }

    /// Installs the server, with the package lists fetched anew when the first try fails.
    fn install(self, announce: &dyn Fn(&str)) -> Result<(), Error> {
        let Err(_) = self.run(self.install, announce) else { return Ok(()) };
        self.run(self.refresh, announce)?;
        self.run(self.install, announce)
    }

    fn run(self, arguments: &[&str], announce: &dyn Fn(&str)) -> Result<(), Error> {
        let root = rustix::process::geteuid().is_root();
        let mut words = vec![self.program];
        words.extend(arguments);
        if self.as_root && !root {
            words.splice(0..0, ["sudo", "-n"]);
        }
        let line = words.join(" ");
        announce(&line);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env("DEBIAN_FRONTEND", "noninteractive");
        match output_of(&mut command) {
            Ok(_) => Ok(()),
            Err(reason) => Err(Error::Install { command: line, reason }),
        }
    }
}

/// The command that a person would type to install the server here.
fn advice() -> String {
    let Some(manager) = Manager::here() else {
        return "use the system's package manager; the package is usually named postgresql or postgresql-server".into();
    };
    let sudo = if manager.as_root && !rustix::process::geteuid().is_root() { "sudo " } else { "" };
    let short = manager.install.iter().filter(|word| !word.starts_with("--") || **word == "--sync");
    let words: Vec<&str> = short.copied().collect();
    format!("`{sudo}{} {}`", manager.program, words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_packages_write_them() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn a_named_folder_without_a_server_is_refused_by_name() {
        let refused = find_binaries(Some(Path::new("/nonexistent/bin"))).unwrap_err().to_string();
        assert!(refused.contains("/nonexistent/bin") && refused.contains("`postgres`"), "{refused}");
    }

    #[test]
    fn what_is_missing_names_the_command_and_the_other_way() {
        let text = Error::NotFound { looked: "looked".into(), install: advice() }.to_string();
        assert!(text.contains("DATABASE_URL") && text.contains("postgres"), "{text}");
    }

    #[test]
    fn an_install_that_fails_is_tried_again_with_fresh_lists_and_every_command_is_announced() {
        let run = |program| {
            let manager = Manager { program, install: &["install"], refresh: &["update"], as_root: false };
            let said = std::cell::RefCell::new(Vec::new());
            let outcome = manager.install(&|command| said.borrow_mut().push(command.to_owned()));
            (outcome, said.into_inner())
        };
        let (outcome, said) = run("true");
        outcome.unwrap();
        assert_eq!(said, ["true install"]);
        let (outcome, said) = run("false");
        assert!(outcome.unwrap_err().to_string().contains("`false update` did not install Postgres"));
        assert_eq!(said, ["false install", "false update"]);
    }

    #[test]
    fn the_tail_ends_on_whole_characters() {
        assert_eq!(tail("aéb", 2), "b");
        assert_eq!(tail(" short ", 100), "short");
    }
}
