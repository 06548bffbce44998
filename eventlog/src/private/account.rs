//! The operating system's user that Postgres runs as, and the commands run as that user.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::error::{self, Error};

/// The user that Postgres runs as. As root that is another user, because Postgres refuses to run as root.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    /// The user of this process, who connects.
    pub(super) node: String,
    /// The identity to take on; none when this process is that user already.
    switch: Option<Identity>,
}

#[derive(Debug, Clone)]
struct Identity {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Account {
    /// The user to run Postgres as: `wanted`, or `postgres` when this is root. Never makes a user.
    pub(super) fn resolve(wanted: Option<&str>) -> Result<Self, Error> {
        let uid = rustix::process::geteuid().as_raw();
        let node = id("-un", None)?.ok_or(Error::NamelessUser { uid })?;
        if uid != 0 {
            return match wanted {
                Some(wanted) if wanted != node => {
                    Err(Error::UserNeedsRoot { wanted: wanted.to_owned(), current: node })
                }
                _ => Ok(Self { name: node.clone(), uid, node, switch: None }),
            };
        }
        let name = wanted.unwrap_or("postgres").to_owned();
        let missing = || Error::NoUser { user: name.clone() };
        // A name that starts with a dash would be read as an option.
        if name.starts_with('-') {
            return Err(missing());
        }
        let number = |flag| -> Result<u32, Error> {
            id(flag, Some(&name))?.and_then(|text| text.parse().ok()).ok_or_else(missing)
        };
        let identity = Identity { uid: number("-u")?, gid: number("-g")?, groups: groups(&name)? };
        if identity.uid == 0 {
            return Err(Error::UserIsRoot { user: name });
        }
        Ok(Self { name, uid: identity.uid, node, switch: Some(identity) })
    }

    /// Whether Postgres runs as another user than this process, which is then root.
    pub(super) fn switches(&self) -> bool {
        self.switch.is_some()
    }

    /// A command that runs as this user, in `folder`, and is sent `at_parents_death` when the calling *thread* ends.
    ///
    /// The environment is emptied: it may hold secrets of the node, which Postgres's user could read, and `PG*`
    /// variables meant for another server.
    pub(super) fn command(&self, program: &Path, folder: &Path, at_parents_death: Signal) -> Command {
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).process_group(0);
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let (switch, folder) = (self.switch.clone(), c_path(folder));
        let parent = rustix::process::getpid();
        let before_exec = move || {
            if let Some(identity) = &switch {
                take_on(identity)?;
            }
            // Entered as the new user, so that a folder this user may not enter is found out.
            rustix::process::chdir(folder.as_c_str())?;
            // After the change of user, which clears it.
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(at_parents_death))?;
            #[cfg(not(target_os = "linux"))]
            let _ = at_parents_death;
            // The parent may have died before the signal was asked for; then nobody would ever send it.
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        };
        #[expect(unsafe_code, reason = "a parent-death signal can only be asked for by the child itself")]
        // SAFETY: between fork and exec the closure makes system calls only: it allocates nothing, takes no lock and
        // builds errors from their numbers. What it reads was made before the fork.
        unsafe {
            command.pre_exec(before_exec);
        }
        command
    }

    /// Refuses data that this user cannot reach, naming the highest folder that stands in the way.
    ///
    /// The check is to run `program` in the folder, which is right for access lists and network file systems too.
    pub(super) fn check_reach(&self, program: &Path, data_dir: &Path) -> Result<(), Error> {
        let enter = |folder: &Path| -> io::Result<()> {
            let mut command = self.command(program, folder, Signal::KILL);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
        };
        enter(Path::new("/")).map_err(|source| Error::CannotRun {
            program: program.to_path_buf(),
            user: self.name.clone(),
            source,
        })?;
        if enter(data_dir).is_ok() {
            return Ok(());
        }
        let mut ancestors: Vec<&Path> = data_dir.ancestors().collect();
        ancestors.reverse();
        let ancestor = ancestors.into_iter().find(|ancestor| enter(ancestor).is_err()).unwrap_or(data_dir);
        Err(Error::Unsearchable {
            ancestor: ancestor.to_path_buf(),
            user: self.name.clone(),
            data_dir: data_dir.to_path_buf(),
        })
    }

    /// Gives an open file or folder to this user, with `mode`.
    pub(super) fn own(&self, file: &std::fs::File, path: &Path, mode: u32) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt as _;
        if let Some(identity) = &self.switch {
            std::os::unix::fs::fchown(file, Some(identity.uid), Some(identity.gid))
                .map_err(error::io("change the owner of", path))?;
        }
        file.set_permissions(std::fs::Permissions::from_mode(mode))
            .map_err(error::io("change the mode of", path))
    }
}

/// Takes on another user's identity for good: groups first, while that is still allowed.
fn take_on(identity: &Identity) -> io::Result<()> {
    let check = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    #[expect(unsafe_code, reason = "the standard library cannot set supplementary groups")]
    // SAFETY: the pointer and the length are those of a live vector; the other calls take numbers only.
    unsafe {
        check(libc::setgroups(identity.groups.len() as _, identity.groups.as_ptr()))?;
        check(libc::setgid(identity.gid))?;
        check(libc::setuid(identity.uid))
    }
}

/// The supplementary groups of a user, by which a folder may be open to it.
fn groups(name: &str) -> Result<Vec<u32>, Error> {
    let text = id("-G", Some(name))?.unwrap_or_default();
    Ok(text.split_whitespace().filter_map(|group| group.parse().ok()).collect())
}

/// What `id` says, which asks every source of users that the machine has. None when there is no such user.
fn id(flag: &str, name: Option<&str>) -> Result<Option<String>, Error> {
    let output = Command::new("id")
        .arg(flag)
        .args(name)
        .stdin(Stdio::null())
        .output()
        .map_err(error::io("run", &PathBuf::from("id")))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok((output.status.success() && !text.is_empty()).then_some(text))
}

/// A path as the system calls take it.
fn c_path(path: &Path) -> std::ffi::CString {
    use std::os::unix::ffi::OsStrExt as _;
    std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path that was opened holds no zero byte")
}
