//! The folder that an export is written to: its files, and the manifest that says what they hold.

use crate::failure::Failure;
use api::wire::{ExportFormat, ExportManifest, PersonalValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The manifest's own name.
const MANIFEST: &str = "manifest.json";
/// The name of the personal values.
const PERSONAL: &str = "personal.ndjson";

/// What a folder holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Of this description.
    pub(super) version: u32,
    /// Where the files came from.
    pub(super) authority: String,
    pub(super) format: ExportFormat,
    /// Whose lines; everybody's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organization: Option<Uuid>,
    pub(super) from_position: u64,
    /// The position before which the files end.
    pub(super) until_position: u64,
    pub(super) lines: u64,
    /// A checkpoint that holds the last line of the last file, as the server sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checkpoint: Option<String>,
    /// That the lines before `until_position` are the beginning of those that it has signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) consistency: Vec<String>,
    pub(super) files: Vec<Part>,
    /// The personal values, where they were taken along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) personal: Option<PersonalFile>,
}

/// The file of personal values.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PersonalFile {
    pub(super) name: String,
    pub(super) values: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// One file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) from_position: u64,
    pub(super) until_position: u64,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// A folder, and what is in it so far.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) manifest: Manifest,
}

impl Folder {
    /// Begins an export, or goes on with one of the same kind: its files are read and compared with the manifest.
    pub(super) fn open(
        path: &Path,
        resumes: bool,
        authority: String,
        (format, from): (ExportFormat, u64),
    ) -> Result<Self, Failure> {
        let file = path.join(MANIFEST);
        let shown = path.display();
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::Other(format!("cannot make the folder {shown}: {error}")))?;
        let text = match std::fs::read(&file) {
            Ok(text) if resumes => text,
            Ok(_) => {
                let text =
                    format!("{shown} holds an export; go on with it by --resume, or give another folder");
                return Err(Failure::Usage(text));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let manifest = Manifest {
                    version: 1,
                    authority,
                    format,
                    organization: None,
                    from_position: from,
                    until_position: from,
                    lines: 0,
                    checkpoint: None,
                    consistency: Vec::new(),
                    files: Vec::new(),
                    personal: None,
                };
                return Ok(Self { path: path.to_owned(), manifest });
            }
            Err(error) => return Err(Failure::Other(format!("cannot read {}: {error}", file.display()))),
        };
        let manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| Failure::Other(format!("{} is no manifest: {error}", file.display())))?;
        let folder = Self { path: path.to_owned(), manifest };
        folder.check(&authority, format)?;
        Ok(folder)
    }

    fn check(&self, authority: &str, format: ExportFormat) -> Result<(), Failure> {
        let Manifest { version, files, .. } = &self.manifest;
        let other = |what: &str| Failure::Usage(format!("{} holds an export of {what}", self.path.display()));
        if *version != 1 {
            return Err(other(&format!("version {version}; this command writes version 1")));
        }
        if self.manifest.format != format {
            return Err(other("another format; give the same --format"));
        }
        if self.manifest.authority != authority {
            return Err(other(&format!("{}, not of {authority}", self.manifest.authority)));
        }
        let mut next = self.manifest.from_position;
        for part in files {
            let found = hash(&self.path.join(&part.name));
            if part.from_position != next || found.as_deref() != Ok(&part.sha256) {
                return Err(Failure::Other(format!(
                    "{} is not what the manifest says: it was changed, or is gone; export into another folder",
                    self.path.join(&part.name).display()
                )));
            }
            next = part.until_position;
        }
        Ok(())
    }

    /// Where the next file begins.
    pub(super) fn next(&self) -> u64 {
        self.manifest.until_position
    }

    /// The file that a part is received in, until it is kept.
    pub(super) fn receive(&self, part: &ExportManifest) -> Result<Received, Failure> {
        let path = self.path.join(format!("{}.partial", name(part)));
        let failed = |error: io::Error| Failure::Other(format!("cannot write {}: {error}", path.display()));
        let file = File::create(&path).map_err(failed)?;
        Ok(Received { file: BufWriter::new(file), hash: Sha256::new(), path })
    }

    /// Keeps a file that was received whole, and says so in the manifest.
    pub(super) fn keep(&mut self, part: &ExportManifest, received: Received) -> Result<(), Failure> {
        let name = name(part);
        let failed = |error: io::Error| Failure::Other(format!("cannot write {name}: {error}"));
        let Received { file, path, .. } = received;
        file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        std::fs::rename(path, self.path.join(&name)).map_err(failed)?;
        self.manifest.organization = part.organization;
        self.manifest.until_position = part.until_position;
        self.manifest.lines += part.lines;
        self.manifest.checkpoint.clone_from(&part.checkpoint);
        self.manifest.consistency.clone_from(&part.consistency);
        let ExportManifest { from_position, until_position, lines, bytes, .. } = *part;
        self.manifest.files.push(Part {
            name,
            from_position,
            until_position,
            lines,
            bytes,
            sha256: part.sha256.clone(),
        });
        self.store()
    }

    /// Writes the personal values, whole or not at all, readable by their owner alone, and says so in the manifest.
    pub(super) fn keep_personal<'v>(
        &mut self,
        values: impl Iterator<Item = &'v PersonalValue>,
    ) -> Result<(), Failure> {
        let path = self.path.join(PERSONAL);
        let failed = |error: io::Error| Failure::Other(format!("cannot write {}: {error}", path.display()));
        let partial = self.path.join(format!("{PERSONAL}.partial"));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let (mut out, mut hash) = (BufWriter::new(file.map_err(failed)?), Sha256::new());
        let (mut count, mut bytes) = (0, 0);
        for value in values {
            let line = format!("{}\n", serde_json::to_string(value).expect("a value is plain data"));
            out.write_all(line.as_bytes()).map_err(failed)?;
            hash.update(&line);
            (count, bytes) = (count + 1, bytes + line.len() as u64);
        }
        out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        std::fs::rename(partial, &path).map_err(failed)?;
        let (name, sha256) = (PERSONAL.to_owned(), digits(hash));
        self.manifest.personal = Some(PersonalFile { name, values: count, bytes, sha256 });
        Ok(())
    }

    /// Writes the manifest, whole or not at all.
    pub(super) fn store(&self) -> Result<(), Failure> {
        let path = self.path.join(MANIFEST);
        let failed = |error: io::Error| Failure::Other(format!("cannot write {}: {error}", path.display()));
        let text = serde_json::to_string_pretty(&self.manifest).expect("a manifest is plain data");
        let partial = self.path.join(format!("{MANIFEST}.partial"));
        let mut file = File::create(&partial).map_err(failed)?;
        file.write_all(format!("{text}\n").as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(partial, &path).map_err(failed)
    }
}

/// A file on its way, and the hash of what came.
pub(super) struct Received {
    file: BufWriter<File>,
    hash: Sha256,
    path: PathBuf,
}

impl Received {
    /// The SHA-256 of what came so far.
    pub(super) fn sha256(&self) -> String {
        digits(self.hash.clone())
    }
}

impl Write for &mut Received {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn name(part: &ExportManifest) -> String {
    let ending = match part.format {
        ExportFormat::Ndjson => "ndjson",
        ExportFormat::Csv => "csv",
        ExportFormat::Parquet => "parquet",
    };
    format!("log-{:012}-{:012}.{ending}", part.from_position, part.until_position)
}

fn hash(path: &Path) -> Result<String, ()> {
    let mut file = File::open(path).map_err(drop)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).map_err(drop)? {
            0 => return Ok(digits(hash)),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn digits(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u64, to: u64, text: &str) -> ExportManifest {
        ExportManifest {
            format: ExportFormat::Ndjson,
            organization: None,
            from_position: from,
            until_position: to,
            size: 9,
            lines: to - from,
            bytes: text.len() as u64,
            sha256: digits(Sha256::new().chain_update(text)),
            checkpoint: None,
            consistency: Vec::new(),
        }
    }

    #[test]
    fn a_folder_is_gone_on_with_only_as_it_was_left() {
        let home = tempfile::tempdir().unwrap();
        let open = |resumes, format| Folder::open(home.path(), resumes, "http://a".to_owned(), (format, 0));
        let mut folder = open(false, ExportFormat::Ndjson).unwrap();
        let first = part(0, 2, "one\ntwo\n");
        let mut received = folder.receive(&first).unwrap();
        (&mut received).write_all(b"one\ntwo\n").unwrap();
        assert_eq!(received.sha256(), first.sha256);
        folder.keep(&first, received).unwrap();
        assert!(open(false, ExportFormat::Ndjson).is_err(), "it is there already");
        assert!(open(true, ExportFormat::Csv).is_err(), "it is of another format");
        assert_eq!(open(true, ExportFormat::Ndjson).unwrap().next(), 2);
        std::fs::write(home.path().join(name(&first)), "one\ntwO\n").unwrap();
        assert!(open(true, ExportFormat::Ndjson).is_err(), "a file was changed");
    }
}
