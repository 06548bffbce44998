//! The key that signs checkpoints of the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;

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
