//! What an earlier server left behind: processes that still end, and files that name processes long gone.
//!
//! Everything here is right only while the data folder's lock is held: then no other node runs a server on it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::{self, Error};
use super::socket;

/// A process of a Postgres that still works in the cluster's folder: a postmaster that is shutting down, or a backend
/// of a killed one, which holds its shared memory for a moment more. Such processes are waited for, never removed.
#[cfg(target_os = "linux")]
pub(super) fn occupant(folder: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let home = fs::metadata(folder).ok()?;
    let lives_here = |pid: u32| {
        // The server's processes all have the cluster's folder as their working folder, and nothing else does but a
        // person's shell or psql.
        let Some((name, state)) = name_and_state(pid) else { return false };
        if !name.contains("postgres") || matches!(state, 'Z' | 'X') {
            return false;
        }
        fs::metadata(format!("/proc/{pid}/cwd"))
            .is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (home.dev(), home.ino()))
    };
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| lives_here(*pid))
}

/// The name of a process and its state, from `/proc/<pid>/stat`: `12 (postgres) S …`; the name may hold anything.
#[cfg(target_os = "linux")]
fn name_and_state(pid: u32) -> Option<(String, char)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (start, end) = (stat.find('(')?, stat.rfind(')')?);
    let state = stat[end + 1..].trim_start().chars().next()?;
    Some((stat.get(start + 1..end)?.to_owned(), state))
}

/// Without `/proc`, the recorded postmaster only. Without a parent-death signal it has not been told to end either.
#[cfg(not(target_os = "linux"))]
pub(super) fn occupant(folder: &Path) -> Option<u32> {
    let pid = recorded(folder)?;
    let output =
        std::process::Command::new("ps").args(["-o", "stat=,comm=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if line.starts_with('Z') || !line.contains("postgres") {
        return None;
    }
    let process = process_id(pid)?;
    // It may have ended meanwhile, which is what is wanted.
    let _ = rustix::process::kill_process(process, rustix::process::Signal::INT);
    Some(pid)
}

/// The process id in `postmaster.pid`. A single-user server writes it negative.
pub(super) fn recorded(folder: &Path) -> Option<u32> {
    let text = fs::read_to_string(folder.join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse::<i32>().ok().map(i32::unsigned_abs)
}

/// A number as a process id, where it can be one.
fn process_id(pid: u32) -> Option<rustix::process::Pid> {
    i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw)
}

/// Removes lock files that name a process which is no server of this cluster: a zombie, or one that has the number
/// by chance. Postgres itself looks only at whether a process of that number exists, and would refuse to start.
///
/// Call it only when there is no [`occupant`].
pub(super) fn remove_misleading_files(folder: &Path, socket_dir: &Path) -> Result<(), Error> {
    let exists = |pid: u32| {
        process_id(pid)
            .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    };
    // A number that is nobody's is Postgres's own business: it then also looks for shared memory still in use.
    if let Some(pid) = recorded(folder).filter(|pid| exists(*pid)) {
        tracing::info!(pid, "removing a stale postmaster.pid: its process is not this cluster's server");
        remove(&folder.join("postmaster.pid"))?;
    }
    let name = socket::file_name();
    remove(&socket_dir.join(&name))?;
    remove(&socket_dir.join(format!("{name}.lock")))
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(error::io("remove", path)(source)),
        _ => Ok(()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_proc() {
        let (_, state) = name_and_state(std::process::id()).unwrap();
        assert!(matches!(state, 'R' | 'S'), "{state}");
        assert_eq!(name_and_state(u32::MAX), None);
    }
}
