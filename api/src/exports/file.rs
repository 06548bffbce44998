//! The bytes of an export, in each of its formats. The same lines always come to the same bytes, however they are read.

use super::parquet::Parquet;
use super::row::{self, COLUMNS, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::id::OrganizationId;
use eventlog::Commit;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::ops::Range;
use utoipa::ToSchema;

/// Leaf hashes of a run at most.
const RUN: usize = 256;

/// What an export is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One line of the log a line, as it is hashed.
    #[default]
    Ndjson,
    /// One row a line, under a row of names.
    Csv,
    /// The same rows.
    Parquet,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Why a line could not be written.
#[derive(Debug)]
pub(super) struct Unwritten(pub(super) String);

impl<E: fmt::Display> From<E> for Unwritten {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A file in the making. What is made is taken from it as it grows.
pub(super) struct File {
    body: Body,
    /// Whose lines are shown; none is everybody's.
    of: Option<OrganizationId>,
    lines: u64,
    run: Run,
}

/// Lines of others that follow each other, as their leaf hashes: what docs/proofs.md has in their place.
#[derive(Default)]
struct Run {
    position: u64,
    leaves: Vec<String>,
}

impl Run {
    fn add(&mut self, bytes: &mut Vec<u8>, position: u64, line: &str) {
        if self.leaves.is_empty() {
            self.position = position;
        }
        self.leaves.push(leaf_hash(line));
        if self.leaves.len() == RUN {
            self.end(bytes);
        }
    }

    fn end(&mut self, bytes: &mut Vec<u8>) {
        if !self.leaves.is_empty() {
            let leaves = std::mem::take(&mut self.leaves).join("\",\"");
            let line = format!("{{\"position\":{},\"leaves\":[\"{leaves}\"]}}\n", self.position);
            bytes.extend_from_slice(line.as_bytes());
        }
    }
}

enum Body {
    Ndjson(Vec<u8>),
    Csv(Box<csv::Writer<Vec<u8>>>),
    Parquet(Box<Parquet>),
}

impl File {
    pub(super) fn new(format: Format, of: Option<OrganizationId>) -> Result<Self, Unwritten> {
        let body = match format {
            Format::Ndjson => Body::Ndjson(Vec::new()),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(COLUMNS.iter().map(|(name, ..)| name))?;
                Body::Csv(Box::new(writer))
            }
            Format::Parquet => Body::Parquet(Box::new(Parquet::new()?)),
        };
        Ok(Self { body, of, lines: 0, run: Run::default() })
    }

    /// How many lines it shows so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Adds those lines of a commit that are within `positions`.
    pub(super) fn add(&mut self, commit: &Commit, positions: &Range<u64>) -> Result<(), Unwritten> {
        if let (Body::Ndjson(bytes), None) = (&mut self.body, self.of)
            && positions.start <= commit.first
            && commit.end() <= positions.end
        {
            bytes.extend_from_slice(commit.lines.as_bytes());
            bytes.push(b'\n');
            self.lines += u64::from(commit.count);
            return Ok(());
        }
        for (position, line) in commit.numbered().filter(|(position, _)| positions.contains(position)) {
            self.line(position, line)
                .map_err(|error| Unwritten(format!("position {position}: {}", error.0)))?;
        }
        Ok(())
    }

    fn line(&mut self, position: u64, line: &str) -> Result<(), Unwritten> {
        let is_shown = match self.of {
            None => true,
            Some(own) => row::organization(line)? == Some(own.0),
        };
        self.lines += u64::from(is_shown);
        match &mut self.body {
            Body::Ndjson(bytes) if self.of.is_none() => {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
            Body::Ndjson(bytes) if is_shown => {
                self.run.end(bytes);
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
            Body::Ndjson(bytes) => self.run.add(bytes, position, line),
            Body::Csv(_) | Body::Parquet(_) if !is_shown => {}
            Body::Csv(writer) => writer.write_record(row::read(position, line)?.iter().map(cell))?,
            Body::Parquet(writer) => writer.add(&row::read(position, line)?)?,
        }
        Ok(())
    }

    /// What has been made since the last time.
    pub(super) fn take(&mut self) -> Result<Vec<u8>, Unwritten> {
        match &mut self.body {
            Body::Ndjson(bytes) => Ok(std::mem::take(bytes)),
            Body::Csv(writer) => {
                writer.flush()?;
                let next = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
                Ok(std::mem::replace(&mut **writer, next).into_inner()?)
            }
            Body::Parquet(writer) => Ok(writer.take()),
        }
    }

    /// The rest, once all lines are in.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, Unwritten> {
        match &mut self.body {
            Body::Ndjson(bytes) => self.run.end(bytes),
            Body::Csv(_) => {}
            Body::Parquet(writer) => writer.finish()?,
        }
        self.take()
    }
}

/// The leaf of a line in the Merkle tree (RFC 6962, section 2.1), in base64.
fn leaf_hash(line: &str) -> String {
    STANDARD.encode(Sha256::new().chain_update([0]).chain_update(line).finalize())
}

/// A value in CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front.
fn cell(value: &Value<'_>) -> String {
    match value {
        Value::Absent => String::new(),
        Value::Number(number) => number.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => format!("'{text}"),
        Value::Text(text) => text.clone().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use uuid::Uuid;

    fn commit(first: u64, orgs: &[Option<u128>]) -> Commit {
        let line = |org: &Option<u128>| {
            let org = org.map(|org| format!("\"org\":\"{}\",", Uuid::from_u128(org))).unwrap_or_default();
            format!(r#"{{"v":1,"type":"X","at":"2026-11-22T10:00:00.000000Z",{org}"actor":{{"by":"x"}}}}"#)
        };
        let lines: Vec<_> = orgs.iter().map(line).collect();
        Commit {
            id: Uuid::from_u128(1),
            first,
            count: u32::try_from(orgs.len()).unwrap(),
            version: 0,
            lifecycle: 0,
            committed_at: 0,
            lines: lines.join("\n"),
        }
    }

    fn written(format: Format, of: Option<u128>, positions: &Range<u64>) -> String {
        let mut file = File::new(format, of.map(|of| OrganizationId(Uuid::from_u128(of)))).unwrap();
        for commit in [commit(4, &[None, Some(1)]), commit(6, &[Some(2), Some(1), None])] {
            file.add(&commit, positions).unwrap();
        }
        String::from_utf8(file.finish().unwrap()).unwrap()
    }

    #[test]
    fn the_whole_log_is_its_lines() {
        let all = written(Format::Ndjson, None, &(0..100));
        assert_eq!(all.lines().count(), 5);
        let cut: Vec<_> = all.lines().skip(1).take(3).collect();
        assert_eq!(written(Format::Ndjson, None, &(5..8)), cut.join("\n") + "\n");
    }

    #[test]
    fn a_part_has_its_own_lines_and_the_others_leaves() {
        let part = written(Format::Ndjson, Some(1), &(0..100));
        let all = written(Format::Ndjson, None, &(0..100));
        let all: Vec<_> = all.lines().collect();
        let run = |position: usize| {
            format!("{{\"position\":{position},\"leaves\":[\"{}\"]}}", leaf_hash(all[position - 4]))
        };
        let own = |index: usize| all[index].to_owned();
        assert_eq!(part.lines().collect::<Vec<_>>(), [run(4), own(1), run(6), own(3), run(8)]);
        assert_eq!(written(Format::Csv, Some(1), &(0..100)).lines().count(), 3);
    }

    #[test]
    fn no_cell_begins_as_a_formula() {
        for text in ["=1+1", "+1", "-1", "@a", "\tx"] {
            assert_eq!(cell(&Value::Text(Cow::Borrowed(text))), format!("'{text}"));
        }
        assert_eq!(cell(&Value::Text(Cow::Borrowed("a=b"))), "a=b");
    }
}
