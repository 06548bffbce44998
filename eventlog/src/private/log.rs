//! The server's log file, kept to a bounded size.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::binaries::tail;

/// Past this size the log is copied to `postgres.log.1` and begun anew, so both together stay near twice this.
const LARGEST: u64 = 16 * 1024 * 1024;

/// `<data_dir>/postgres.log`, which the server's standard error goes to: a file rather than a pipe, so that the
/// server's last words are kept when the node dies first.
#[derive(Debug, Clone)]
pub(super) struct Log {
    path: PathBuf,
}

impl Log {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join("postgres.log") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for the server, and says where the server's words will begin.
    pub(super) fn open(&self) -> std::io::Result<(File, u64)> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&self.path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }

    /// The end of what was written from a place on.
    pub(super) fn tail_from(&self, start: u64) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(start.min(length).max(length.saturating_sub(8_192))))?;
            let mut bytes = Vec::new();
            file.take(8_192).read_to_end(&mut bytes)?;
            Ok(tail(&String::from_utf8_lossy(&bytes), 2_000).to_owned())
        };
        read().unwrap_or_else(|source| format!("(the log cannot be read: {source})"))
    }

    /// Begins it anew when it is too long. The server has it open for appending, so it is emptied in place; lines
    /// written between the copy and the emptying are lost, which a bounded log may.
    pub(super) fn trim(&self) -> std::io::Result<()> {
        if std::fs::metadata(&self.path)?.len() <= LARGEST {
            return Ok(());
        }
        std::fs::copy(&self.path, self.path.with_extension("log.1"))?;
        OpenOptions::new().write(true).open(&self.path)?.set_len(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_log_that_is_too_long_is_begun_anew_and_its_tail_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path());
        let (mut file, start) = log.open().unwrap();
        assert_eq!(start, 0);
        file.write_all(b"first words\n").unwrap();
        log.trim().unwrap();
        assert_eq!(log.tail_from(0), "first words");
        file.set_len(LARGEST).unwrap();
        file.write_all(b"last words\n").unwrap();
        log.trim().unwrap();
        file.write_all(b"after\n").unwrap();
        assert_eq!(log.tail_from(0), "after");
        let aside = std::fs::metadata(dir.path().join("postgres.log.1")).unwrap();
        assert!(aside.len() > LARGEST);
    }
}
