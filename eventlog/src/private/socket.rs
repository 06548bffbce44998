//! The folder of the server's socket: short, whatever the data folder's length, and nobody else's.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::account::Account;
use super::error::Error;

/// The longest path of a socket, without the closing zero: 107 bytes on Linux, 103 on macOS and the BSDs.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The port, which on a socket is a part of a file's name only.
pub(super) const PORT: u16 = 5432;

/// The socket's name in its folder.
pub(super) fn file_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// Makes, or finds again, the socket folder of a data folder: mode 0700, owned by the user that Postgres runs as.
pub(super) fn prepare(account: &Account, data_dir: &Path) -> Result<PathBuf, Error> {
    let hash = Sha256::digest(data_dir.as_os_str().as_bytes());
    let mut name = String::new();
    for byte in &hash[..8] {
        use std::fmt::Write as _;
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    let mut tried = Vec::new();
    for folder in candidates(account, &name) {
        match make(account, &folder) {
            Ok(()) => return Ok(folder),
            Err(reason) => tried.push(format!("{}: {reason}", folder.display())),
        }
    }
    Err(Error::NoSocketFolder { tried: tried.join("; ") })
}

/// `/run` for root; `/tmp` for others, since a log-in's runtime folder goes when its owner logs out.
fn candidates(account: &Account, name: &str) -> Vec<PathBuf> {
    let temporary = Path::new("/tmp").join(format!("chancery-{}-{name}", account.uid));
    if account.switches() {
        return vec![Path::new("/run/chancery").join(name), temporary];
    }
    let runtime =
        std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let runtime = runtime.map(|folder| folder.join(format!("chancery-{name}")));
    std::iter::once(temporary).chain(runtime).collect()
}

/// Makes one folder, or says why it will not do.
fn make(account: &Account, folder: &Path) -> Result<(), String> {
    let length = folder.join(file_name()).as_os_str().len();
    if length > LONGEST {
        return Err(format!("a socket in it would have a path of {length} bytes, {LONGEST} are allowed"));
    }
    let parent = folder.parent().ok_or("it has no parent")?;
    if account.switches() && parent == Path::new("/run/chancery") {
        create(parent, 0o755)?;
    }
    check_parent(parent)?;
    create(folder, 0o700)?;
    let say = |source: std::io::Error| source.to_string();
    // Opened without following a link, and judged and changed by what was opened: nothing planted is ever touched.
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(folder)
        .map_err(|source| format!("it is not a folder of its own ({source})"))?;
    let metadata = open.metadata().map_err(say)?;
    // Root's own, when a start was cut off before it handed the folder over.
    let ours = metadata.uid() == account.uid || (account.switches() && metadata.uid() == 0);
    if !ours {
        return Err(format!("it belongs to the user id {}, not to {:?}", metadata.uid(), account.name));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("its mode is {:o}, it must be 700", metadata.mode() & 0o7777));
    }
    account.own(&open, folder, 0o700).map_err(|error| error.to_string())
}

fn create(folder: &Path, mode: u32) -> Result<(), String> {
    match DirBuilder::new().mode(mode).create(folder) {
        Err(source) if source.kind() != ErrorKind::AlreadyExists => Err(source.to_string()),
        _ => Ok(()),
    }
}

/// Refuses a parent in which somebody else could put another folder in this one's place.
fn check_parent(parent: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(parent).map_err(|source| format!("{}: {source}", parent.display()))?;
    let me = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || (metadata.uid() != 0 && metadata.uid() != me) {
        return Err(format!("{} is not a folder of root's or one's own", parent.display()));
    }
    if metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
        return Err(format!("{} can be written by others and is not sticky", parent.display()));
    }
    Ok(())
}
