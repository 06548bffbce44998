//! The manifest of an export: its files, and the checkpoint that holds its last line.

use super::super::read;
use super::audit::Kept;
use crate::failure::Failure;
use eventlog::note::VerifierKey;
use eventlog::tree::Hash;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What is read of it: as `chancery audit export` writes it, or as the server answers it, without files.
#[derive(Deserialize)]
pub(super) struct Manifest {
    format: String,
    until_position: u64,
    checkpoint: Option<String>,
    #[serde(default)]
    consistency: Vec<String>,
    #[serde(default)]
    files: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    name: String,
}

impl Manifest {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let manifest: Self = serde_json::from_str(&read(path)?)
            .map_err(|error| Failure::Other(format!("{} is no manifest: {error}", path.display())))?;
        if manifest.format != "ndjson" {
            let text = format!(
                "{} is of an export in {}; only the exact lines, ndjson, can be checked",
                path.display(),
                manifest.format
            );
            return Err(Failure::Usage(text));
        }
        Ok(manifest)
    }

    /// The files that it lists, which are beside it.
    pub(super) fn files(&self, path: &Path) -> Result<Vec<PathBuf>, Failure> {
        let file = |part: &Part| {
            let is_plain = Path::new(&part.name).file_name().is_some_and(|name| name == part.name.as_str());
            let elsewhere = || {
                let text = format!("{} lists {:?}, which is not beside it", path.display(), part.name);
                Failure::Other(text)
            };
            is_plain.then(|| path.with_file_name(&part.name)).ok_or_else(elsewhere)
        };
        self.files.iter().map(file).collect()
    }

    /// Its checkpoint, to be held against the lines that it lists; none where it came without one.
    pub(super) fn kept(&self, path: &Path, keys: &[VerifierKey]) -> Result<Option<Kept>, Failure> {
        let Some(note) = self.checkpoint.as_deref().filter(|_| self.until_position > 0) else {
            return Ok(None);
        };
        let kept = super::believed(path, note, keys)?;
        let proof: Option<Vec<Hash>> = self.consistency.iter().map(|hash| Hash::parse(hash)).collect();
        let proof = proof.ok_or_else(|| {
            Failure::Other(format!("{}: its `consistency` is no list of hashes in base64", path.display()))
        })?;
        Ok(Some(kept.through(self.until_position, proof)))
    }
}
