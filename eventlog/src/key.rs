//! The key that signs checkpoints of the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::{Error, Random};

/// An Ed25519 key pair (RFC 8032), kept in a file as the base64 of its 32-byte seed.
pub struct LogKey(SigningKey);

impl LogKey {
    /// Reads the key of a file, or makes one where there is none. Only the file's owner may be able to read it.
    pub fn load_or_create(path: &Path, random: &Random) -> Result<LogKey, Error> {
        match fs::metadata(path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                Err(failed(path, &"others than its owner can read it; make it 0600"))
            }
            Ok(_) => LogKey::load(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => LogKey::create(path, random),
            Err(error) => Err(failed(path, &error)),
        }
    }

    fn load(path: &Path) -> Result<LogKey, Error> {
        let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
        let seed = STANDARD.decode(text.trim()).ok().and_then(|seed| <[u8; 32]>::try_from(seed).ok());
        let seed = seed.ok_or_else(|| failed(path, &"it does not hold the base64 of a 32-byte seed"))?;
        Ok(LogKey(SigningKey::from_bytes(&seed)))
    }

    /// A key that is lost half-written would be a log that nobody can sign: it is on the disk before it is used.
    fn create(path: &Path, random: &Random) -> Result<LogKey, Error> {
        let key = LogKey(SigningKey::from_bytes(&random.bytes()));
        let partial = path.with_extension("new");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(STANDARD.encode(key.0.to_bytes()).as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&partial, path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| failed(path, &error))?;
        Ok(key)
    }

    /// The public key, base64.
    pub fn public(&self) -> String {
        STANDARD.encode(self.0.verifying_key().to_bytes())
    }

    /// Signs a message (RFC 8032).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// The keys that a node holds: the one of its file, the one that a rotation puts in its place, and the one before.
///
/// Which of them sign is said by the log. A rotation is cut off at any point without loss: the next key is on the disk
/// before the log names it, and files change their names only after.
pub struct LogKeys {
    path: PathBuf,
    known: Mutex<Vec<Arc<LogKey>>>,
}

impl LogKeys {
    /// The keys beside a file.
    pub fn beside(path: impl Into<PathBuf>) -> LogKeys {
        LogKeys { path: path.into(), known: Mutex::default() }
    }

    /// The key with this public key; none if this node does not hold it. A file that is put there later is found.
    pub fn find(&self, public: &str) -> Option<Arc<LogKey>> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let of = |known: &[Arc<LogKey>]| known.iter().find(|key| key.public() == public).cloned();
        if let Some(found) = of(&known) {
            return Some(found);
        }
        let files = [self.path.clone(), self.file("next"), self.file("before")];
        *known = files.iter().filter_map(|file| LogKey::load(file).ok().map(Arc::new)).collect();
        of(&known)
    }

    /// The key that a rotation has in store: the one of a rotation that was cut off, or a new one.
    pub fn next(&self, random: &Random) -> Result<LogKey, Error> {
        LogKey::load_or_create(&self.file("next"), random)
    }

    /// The next key takes the place of the one of the file, which is kept beside it. Done once, however often.
    pub fn rotated(&self) -> Result<(), Error> {
        let (next, before) = (self.file("next"), self.file("before"));
        if !next.exists() {
            return Ok(());
        }
        if self.path.exists() {
            fs::rename(&self.path, &before).map_err(|error| failed(&self.path, &error))?;
        }
        fs::rename(&next, &self.path).map_err(|error| failed(&next, &error))?;
        let synced = self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all());
        synced.map_err(|error| failed(&self.path, &error))
    }

    fn file(&self, role: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{role}"));
        name.into()
    }
}

fn failed(path: &Path, reason: &impl ToString) -> Error {
    Error::File { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log-key");
        let made = LogKey::load_or_create(&path, &Random::seeded(1)).unwrap().public();
        assert_eq!(LogKey::load_or_create(&path, &Random::seeded(2)).unwrap().public(), made);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(LogKey::load_or_create(&path, &Random::seeded(3)).is_err());
    }
}
