//! Chancery's data folder and the lock on it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::account::Account;
use super::error::{self, Error};

/// Held by one node at a time. The kernel lets go of it when the node dies, however it dies.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of a data folder, or says who holds it.
    pub(super) fn take(data_dir: &Path) -> Result<Self, Error> {
        let path = data_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { data_dir: data_dir.to_path_buf(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(error::io("lock", &path)(source)),
        }
        file.set_len(0).map_err(error::io("empty", &path))?;
        writeln!(file, "{}", std::process::id()).map_err(error::io("write", &path))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// Unlocks by name rather than by closing: a child between fork and exec still has the file open.
    fn drop(&mut self) {
        // Closing it is the other way to let go, so a failure costs at most that moment.
        let _ = self.file.unlock();
    }
}

/// The process id that the holder wrote, for people.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(16).read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Makes the data folder where it is missing, and answers its real path.
///
/// When Postgres runs as another user, that user must be able to pass through to its own folder inside, so the data
/// folder (and whatever is made above it) may be entered by others, but not listed: what is secret in it is 0600.
pub(super) fn make_data_dir(data_dir: &Path, account: &Account) -> Result<PathBuf, Error> {
    let mode = if account.switches() { 0o711 } else { 0o700 };
    let absolute = std::path::absolute(data_dir).map_err(error::io("find", data_dir))?;
    let mut missing: Vec<&Path> = absolute.ancestors().take_while(|folder| !folder.exists()).collect();
    while let Some(folder) = missing.pop() {
        match DirBuilder::new().mode(mode).create(folder) {
            Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error::io("create", folder)(source));
            }
            Err(_) => {}
            // Said again, because the umask may have taken bits away.
            Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(mode))
                .map_err(error::io("change the mode of", folder))?,
        }
    }
    let real = std::fs::canonicalize(&absolute).map_err(error::io("find", data_dir))?;
    let metadata = std::fs::metadata(&real).map_err(error::io("read", &real))?;
    if !metadata.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
        return Err(error::io("use as the data folder", &real)(source));
    }
    let mode = metadata.mode() & 0o7777;
    if account.switches() && metadata.uid() == 0 && mode & 0o011 != 0o011 {
        tracing::info!(data_dir = %real.display(), user = account.name, "letting Postgres's user pass through the data folder");
        std::fs::set_permissions(&real, Permissions::from_mode(mode | 0o011))
            .map_err(error::io("change the mode of", &real))?;
    }
    Ok(real)
}
