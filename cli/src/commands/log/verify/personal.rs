//! Personal values that came with an export, held against the commitments in its lines.

use super::report::CheckedPersonal;
use crate::commands::log::unreadable;
use crate::failure::Failure;
use api::wire::PersonalValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventlog::personal::{PersonalRow, decode_commitment};
use projections::audit::Summary;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// The values, and what the lines have said of them so far.
pub(super) struct Personal {
    rows: HashMap<[u8; 32], PersonalRow>,
    checked: HashSet<[u8; 32]>,
    altered: HashSet<[u8; 32]>,
    erased: HashSet<[u8; 32]>,
}

impl Personal {
    /// NDJSON, a value a line.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let mut rows = HashMap::new();
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        for (number, line) in (1..).zip(BufReader::new(file).lines()) {
            let line = line.map_err(|error| unreadable(path, &error))?;
            let (commitment, row) = read(&line).ok_or_else(|| {
                let shape = r#"{"commitment":"…","salt":"…","kind":"address","value":"…"}"#;
                Failure::Other(format!(
                    "{}: line {number} is no personal value such as {shape}",
                    path.display()
                ))
            })?;
            rows.insert(commitment, row);
        }
        let (checked, altered, erased) = (HashSet::new(), HashSet::new(), HashSet::new());
        Ok(Self { rows, checked, altered, erased })
    }

    /// Holds the values of a line against its commitments; says which are others, each where it is first met.
    pub(super) fn line(&mut self, position: u64, line: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let Ok(summary) = Summary::read(text) else { return Vec::new() };
        let mut found = Vec::new();
        for (key, commitment) in summary.named_commitments() {
            if self.checked.contains(&commitment) {
                continue;
            }
            match self.rows.get(&commitment) {
                None => drop(self.erased.insert(commitment)),
                Some(row) if row.fits(&commitment) => drop(self.checked.insert(commitment)),
                Some(_) => {
                    if self.altered.insert(commitment) {
                        found.push(format!(
                            "position {position}: {key}: the value that is kept is not the one that the line was \
                             written with"
                        ));
                    }
                }
            }
        }
        found
    }

    pub(super) fn report(self) -> CheckedPersonal {
        let count = |all: &HashSet<_>| all.len() as u64;
        let used = count(&self.checked) + count(&self.altered);
        CheckedPersonal {
            checked: count(&self.checked),
            erased: count(&self.erased),
            altered: count(&self.altered),
            unused: self.rows.len() as u64 - used,
        }
    }
}

fn read(line: &str) -> Option<([u8; 32], PersonalRow)> {
    let PersonalValue { commitment, salt, kind, value } = serde_json::from_str(line).ok()?;
    let salt = URL_SAFE_NO_PAD.decode(salt).ok()?;
    Some((decode_commitment(&commitment)?, PersonalRow { salt, kind, value }))
}
