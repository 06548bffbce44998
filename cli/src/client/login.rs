//! The saved log-ins: one file, for its owner alone, a token for each authority.

use crate::client::secret_file;
use crate::failure::Failure;
use eventlog::Random;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where log-ins are kept.
#[derive(Debug)]
pub(crate) struct Logins {
    folder: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Saved {
    /// By the URL of the authority.
    #[serde(default)]
    logins: BTreeMap<String, Login>,
}

#[derive(Serialize, Deserialize)]
struct Login {
    token: String,
    /// Who it was when it was saved, for whoever reads the file.
    actor: String,
}

impl Logins {
    /// In the user's configuration folder; none where there is no such thing.
    pub(crate) fn of_user() -> Option<Self> {
        let configured =
            std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = configured.or_else(|| Some(std::env::home_dir()?.join(".config")))?;
        Some(Self { folder: folder.join("chancery") })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("login.json")
    }

    /// The token saved for an authority.
    pub(crate) fn find(&self, authority: &str) -> Result<Option<SecretString>, Failure> {
        let mut saved = self.read()?;
        Ok(saved.logins.remove(authority).map(|login| SecretString::from(login.token)))
    }

    pub(crate) fn save(&self, authority: &str, token: &str, actor: &str) -> Result<(), Failure> {
        let mut saved = self.read()?;
        saved.logins.insert(authority.to_owned(), Login { token: token.to_owned(), actor: actor.to_owned() });
        self.write(&saved)
    }

    /// Forgets the log-in of an authority, and says whether there was one.
    pub(crate) fn forget(&self, authority: &str) -> Result<bool, Failure> {
        let mut saved = self.read()?;
        if saved.logins.remove(authority).is_none() {
            return Ok(false);
        }
        if saved.logins.is_empty() {
            fs::remove_file(self.file()).map_err(|error| failed("remove", &self.file(), &error))?;
        } else {
            self.write(&saved)?;
        }
        Ok(true)
    }

    fn read(&self) -> Result<Saved, Failure> {
        let file = self.file();
        if !file.exists() {
            return Ok(Saved::default());
        }
        let text = secret_file::read(&file, false, "")?;
        // What is wrong with it is not repeated: it may be a part of a token.
        serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Failure::Other(format!(
                "{} cannot be read (line {line}, column {column}); remove it and log in again",
                file.display()
            ))
        })
    }

    /// Written beside it and renamed, so that it is never half there, nor ever readable by others.
    fn write(&self, saved: &Saved) -> Result<(), Failure> {
        let file = self.file();
        let fail = |error: std::io::Error| failed("write", &file, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(fail)?;
        let unique = u64::from_ne_bytes(Random::system().bytes());
        let beside = self.folder.join(format!(".login-{unique:016x}"));
        let text = serde_json::to_vec_pretty(saved).expect("texts can be written as JSON");
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut out| out.write_all(&text).and_then(|()| out.sync_all()))
            .and_then(|()| fs::rename(&beside, &file));
        written.map_err(|error| {
            // The rest of what failed; there is nothing to do if it cannot be removed either.
            let _ = fs::remove_file(&beside);
            fail(error)
        })
    }
}

fn failed(what: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure::Other(format!("cannot {what} {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn log_ins_are_kept_by_authority_and_for_their_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins { folder: home.path().join("config/chancery") };
        let find = |authority| logins.find(authority).unwrap().map(|token| token.expose_secret().to_owned());
        assert_eq!(find("http://a"), None);
        assert!(!logins.forget("http://a").unwrap());

        logins.save("http://a", "first", "admin-token").unwrap();
        logins.save("http://b", "second", "admin-token").unwrap();
        logins.save("http://a", "third", "admin-token").unwrap();
        assert_eq!((mode(&logins.folder), mode(&logins.file())), (0o700, 0o600));
        assert_eq!(
            (find("http://a").as_deref(), find("http://b").as_deref()),
            (Some("third"), Some("second"))
        );

        assert!(logins.forget("http://a").unwrap());
        assert_eq!((find("http://a"), find("http://b").as_deref()), (None, Some("second")));
        assert!(logins.forget("http://b").unwrap());
        assert_eq!(fs::read_dir(&logins.folder).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_damaged_or_public_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins { folder: home.path().to_owned() };
        logins.save("http://a", "secret", "admin-token").unwrap();
        fs::set_permissions(logins.file(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(logins.find("http://a").unwrap_err().message().contains("chmod 600"));
        fs::set_permissions(logins.file(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(logins.file(), "{\"logins\": {\"http://a\": \"secret\"}}").unwrap();
        let message = logins.find("http://a").err().unwrap().message();
        assert!(message.contains("log in again") && !message.contains("secret"), "{message}");
    }
}
