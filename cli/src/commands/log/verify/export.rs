//! Exports as they are read: NDJSON of exact lines, with runs of leaf hashes where lines are another organization's.

use super::super::unreadable;
use crate::failure::Failure;
use eventlog::tree::{Hash, leaf_hash};
use serde::Deserialize;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;

/// The most bytes of a line of an export.
const LONGEST: u64 = 128 * 1024;

/// The files of an export, one after another.
pub(super) struct Export {
    files: VecDeque<(PathBuf, BufReader<File>)>,
    length: u64,
    read: u64,
    buffer: Vec<u8>,
    /// Leaf hashes of the run that was read last.
    run: VecDeque<Hash>,
    /// The position of the next line.
    next: u64,
}

/// What stands at a position.
pub(super) struct Entry<'a> {
    pub(super) position: u64,
    pub(super) leaf: Hash,
    pub(super) content: Content<'a>,
}

pub(super) enum Content<'a> {
    Line(&'a [u8]),
    /// Only the hash is there.
    Hash,
    /// A run that says that it begins elsewhere.
    Displaced(u64),
}

/// Lines whose content is not handed out: their leaf hashes, from a position on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    position: u64,
    leaves: Vec<String>,
}

impl Export {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let (mut files, mut length) = (VecDeque::new(), 0);
        for path in paths {
            let fail = |error| unreadable(path, &error);
            let file = File::open(path).map_err(fail)?;
            length += file.metadata().map_err(fail)?.len();
            files.push_back((path.clone(), BufReader::with_capacity(1 << 20, file)));
        }
        Ok(Self { files, length, read: 0, buffer: Vec::new(), run: VecDeque::new(), next: 0 })
    }

    /// Bytes of all files.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that were read.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        let position = self.next;
        if let Some(leaf) = self.run.pop_front() {
            self.next += 1;
            return Ok(Some(Entry { position, leaf, content: Content::Hash }));
        }
        loop {
            let Some((path, reader)) = self.files.front_mut() else { return Ok(None) };
            self.buffer.clear();
            let read = reader.take(LONGEST).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|error| unreadable(path, &error))? as u64;
            self.read += read;
            if read == 0 {
                self.files.pop_front();
                continue;
            }
            if read == LONGEST {
                let text = format!("{}: what stands after position {position} is no line", path.display());
                return Err(Failure::Other(text));
            }
            break;
        }
        let length = self.buffer.strip_suffix(b"\n").map_or(self.buffer.len(), <[u8]>::len);
        self.buffer.truncate(length);
        self.next += 1;
        if !self.buffer.starts_with(b"{\"position\":") {
            let line = &self.buffer[..];
            return Ok(Some(Entry { position, leaf: leaf_hash(line), content: Content::Line(line) }));
        }
        let (begins, leaf) = self.read_run(position)?;
        let content = if begins == position { Content::Hash } else { Content::Displaced(begins) };
        Ok(Some(Entry { position, leaf, content }))
    }

    /// Where the run in the buffer begins, and its first hash; the others wait.
    fn read_run(&mut self, position: u64) -> Result<(u64, Hash), Failure> {
        let run: Option<Run> = serde_json::from_slice(&self.buffer).ok();
        let leaves = run.as_ref().map(|run| run.leaves.iter().map(|leaf| Hash::parse(leaf)).collect());
        let first = |leaves: &mut VecDeque<Hash>| leaves.pop_front();
        match (run, leaves) {
            (Some(run), Some(Some(mut leaves))) if !run.leaves.is_empty() => {
                let leaf = first(&mut leaves).expect("the run is not empty");
                self.run = leaves;
                Ok((run.position, leaf))
            }
            _ => Err(Failure::Other(format!(
                "the run of leaf hashes at position {position} cannot be read; it is \
                 {{\"position\":{position},\"leaves\":[\"<base64>\",…]}}"
            ))),
        }
    }
}
