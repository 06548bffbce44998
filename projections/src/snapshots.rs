//! Snapshots of the state on disk, in the node's folder: a start and a look at the past go on from the last of them
//! that is not later, rather than from the first line.
//!
//! A snapshot is never more than what the log folds to. It is made by a fold of its own, read back and compared before
//! it counts, read only by a build with the same fold, and used only if the commit that it ends with is on the log. So
//! all of them can be thrown away at any time, and one that is damaged is: what they say is then folded again.

use crate::catch_up::Fatal;
use blake3::Hasher;
use domain::state::{Comparison, FOLD, State, TokenFrame, Unpacking};
use domain::time::Timestamp;
use eventlog::Log;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use uuid::Uuid;

/// Their folder in the node's.
const FOLDER: &str = "snapshots";
/// How many are kept. They lie evenly along the log, so what is folded to reach a moment is at most so large a part of
/// all its lifecycle events.
const KEPT: u64 = 8;
/// Bytes of the largest frame that is believed.
const MOST_BYTES: u32 = 1 << 30;
/// Bytes that are made room for before they are read: a damaged length must not take all memory.
const USUAL_BYTES: usize = 1 << 24;
/// Frames that wait to be added while others are read.
const WAITING: usize = 4;
/// What a file begins with.
const MAGIC: &str = "chancery snapshot";

/// Where on the log a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// What wrote it.
    fold: String,
    /// Lifecycle events.
    pub version: u64,
    /// Lines, up to the end of the last lifecycle commit.
    pub size: u64,
    /// That commit; nil before the first.
    pub commit: Uuid,
    /// The time of the last lifecycle event, in microseconds.
    last_at: i64,
}

impl Taken {
    /// Of a state that stands for the log up to the end of a lifecycle commit.
    pub fn of(state: &State, size: u64, commit: Uuid) -> Self {
        let (version, last_at) = (state.version(), state.last_at().micros());
        Self { fold: FOLD.to_owned(), version, size, commit, last_at }
    }

    /// The time of the last lifecycle event.
    pub fn last_at(&self) -> Timestamp {
        Timestamp::from_micros(self.last_at)
    }
}

/// Writes a state as a snapshot. Every revocation of it has to be marked.
pub fn write(taken: &Taken, state: &State, to: &mut impl Write) -> io::Result<()> {
    let head = format!("{MAGIC}\n{}\n", serde_json::to_string(taken)?);
    to.write_all(head.as_bytes())?;
    for (place, frame) in (0..).zip(state.frames()) {
        let length = u32::try_from(frame.len()).ok().filter(|length| *length <= MOST_BYTES);
        let length = length.ok_or_else(|| io::Error::other("a frame is too large"))?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(hash(&head, place, &frame).as_bytes())?;
        to.write_all(&frame)?;
    }
    Ok(())
}

/// What a frame is checked by: it cannot stand in another's place, nor in another file.
fn hash(head: &str, place: u64, frame: &[u8]) -> blake3::Hash {
    let mut hasher = Hasher::new();
    hasher.update(head.as_bytes()).update(&place.to_le_bytes()).update(frame);
    hasher.finalize()
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A snapshot that is read.
struct Frames<R> {
    from: R,
    head: String,
    taken: Taken,
    next: u64,
}

impl<R: BufRead> Frames<R> {
    fn begin(mut from: R) -> io::Result<Self> {
        let mut head = String::new();
        for _ in 0..2 {
            from.by_ref().take(4_096).read_line(&mut head)?;
        }
        let text = head.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix('\n'));
        let taken: Taken = serde_json::from_str(text.ok_or_else(|| damaged("this is no snapshot"))?)?;
        if taken.fold != FOLD {
            return Err(damaged("another build wrote it"));
        }
        Ok(Self { from, head, taken, next: 0 })
    }

    /// The next frame; none at the end.
    fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.from.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let (mut length, mut expected) = ([0; 4], [0; 32]);
        self.from.read_exact(&mut length)?;
        self.from.read_exact(&mut expected)?;
        let length = u32::from_le_bytes(length);
        let mut frame = Vec::with_capacity(USUAL_BYTES.min(length as usize));
        self.from.by_ref().take(u64::from(length.min(MOST_BYTES))).read_to_end(&mut frame)?;
        if hash(&self.head, self.next, &frame) != expected {
            return Err(damaged("a frame is not what was written"));
        }
        self.next += 1;
        Ok(Some(frame))
    }

    fn first(&mut self) -> io::Result<Vec<u8>> {
        self.frame()?.ok_or_else(|| damaged("it has no frame"))
    }
}

/// Reads a snapshot: one thread reads tokens while another puts them into their tables.
pub fn read(from: impl BufRead + Send) -> io::Result<(Taken, State)> {
    let not_a_frame = || damaged("a frame is none of this build's");
    let mut frames = Frames::begin(from)?;
    let taken = frames.taken.clone();
    let mut unpacking = Unpacking::begin(&frames.first()?).ok_or_else(not_a_frame)?;
    let reader = unpacking.reader();
    let (sender, receiver) = sync_channel::<io::Result<TokenFrame>>(WAITING);
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Some(frame) = frames.frame().transpose() {
                let tokens = frame.and_then(|frame| reader.read(&frame).ok_or_else(not_a_frame));
                // The other side stops at the first error.
                if sender.send(tokens).is_err() {
                    return;
                }
            }
        });
        receiver.into_iter().try_for_each(|tokens| tokens.map(|tokens| unpacking.add(tokens)))
    })?;
    let state = unpacking.finish().ok_or_else(|| damaged("tokens are missing"))?;
    let is_of_it = state.version() == taken.version && state.last_at() == taken.last_at();
    if is_of_it { Ok((taken, state)) } else { Err(damaged("its head is another one's")) }
}

/// Whether a snapshot says what a state is.
fn is_of(from: impl BufRead, state: &State) -> io::Result<bool> {
    let mut frames = Frames::begin(from)?;
    let Some(mut comparison) = Comparison::begin(state, &frames.first()?) else { return Ok(false) };
    while let Some(frame) = frames.frame()? {
        if !comparison.goes_on(&frame) {
            return Ok(false);
        }
    }
    Ok(comparison.is_whole())
}

/// The snapshots of a node.
pub(crate) struct Snapshots {
    folder: PathBuf,
    /// Sorted by version.
    taken: Mutex<Vec<Taken>>,
}

impl Snapshots {
    /// Those in a node's folder. What is none, or another build's, is deleted. Blocks.
    pub(crate) fn open(folder: &Path) -> Self {
        let folder = folder.join(FOLDER);
        let mut taken: Vec<Taken> = Vec::new();
        // Where the folder is not there yet, there are none.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match open(&path).and_then(Frames::begin).map(|frames| frames.taken) {
                Ok(found) if path == place(&folder, found.version) => taken.push(found),
                _ => drop(fs::remove_file(path)),
            }
        }
        taken.sort_unstable_by_key(|taken| taken.version);
        Self { folder, taken: Mutex::new(taken) }
    }

    /// The version of the last one, 0 without any.
    pub(crate) fn last_version(&self) -> u64 {
        self.taken.lock().last().map_or(0, |taken| taken.version)
    }

    /// The state of the last snapshot that fits, if its commit is on the log and it can be read. One that is not of use
    /// is deleted, and the one before it is tried.
    pub(crate) async fn load(
        &self,
        log: &Log,
        fits: impl Fn(&Taken) -> bool,
    ) -> Result<Option<(Taken, State)>, Fatal> {
        loop {
            let found = self.taken.lock().iter().rev().find(|taken| fits(taken)).cloned();
            let Some(taken) = found else { return Ok(None) };
            let commit = log.commit_before(taken.size).await?;
            if commit.is_none_or(|commit| commit.id != taken.commit || commit.end() != taken.size) {
                self.forget(&taken, "the log does not contain its last commit");
                continue;
            }
            let path = place(&self.folder, taken.version);
            let read = tokio::task::spawn_blocking(move || read(open(&path)?)).await;
            match read.map_err(|_| Fatal::Panicked("reading of a snapshot"))? {
                Ok((found, state)) if found == taken => return Ok(Some((found, state))),
                Ok(_) => self.forget(&taken, "another one has taken its place"),
                Err(error) => self.forget(&taken, &error.to_string()),
            }
        }
    }

    /// Stores a state, reads it back, and deletes one that is no longer needed. Blocks.
    pub(crate) fn store(&self, taken: Taken, state: &State) -> Result<(), eventlog::Error> {
        let failed =
            |error: io::Error| eventlog::Error::File { path: self.folder.clone(), reason: error.to_string() };
        self.write(&taken, state).map_err(failed)?;
        self.add(taken);
        Ok(())
    }

    fn write(&self, taken: &Taken, state: &State) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let (partial, path) = (self.folder.join(".new"), place(&self.folder, taken.version));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(taken, state, &mut file)?;
        drop(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        if !is_of(open(&partial)?, state)? {
            fs::remove_file(&partial)?;
            return Err(damaged("what was written does not read as what was folded"));
        }
        fs::rename(partial, path)
    }

    fn add(&self, taken: Taken) {
        let mut all = self.taken.lock();
        all.retain(|other| other.version != taken.version);
        let after = all.partition_point(|other| other.version < taken.version);
        all.insert(after, taken);
        while all.len() as u64 > KEPT {
            let least = closest(&all);
            let _ = fs::remove_file(place(&self.folder, all.remove(least).version));
        }
    }

    /// Deletes a snapshot that is of no use.
    fn forget(&self, taken: &Taken, why: &str) {
        tracing::warn!(version = taken.version, why, "a snapshot of the state is thrown away");
        self.taken.lock().retain(|other| other != taken);
        let _ = fs::remove_file(place(&self.folder, taken.version));
    }
}

/// Of several, the one without which the longest way from one to the next is the shortest. The last one stays.
fn closest(all: &[Taken]) -> usize {
    let before = |index: usize| index.checked_sub(1).map_or(0, |before| all[before].version);
    (0..all.len() - 1).min_by_key(|index| all[index + 1].version - before(*index)).unwrap_or(0)
}

/// How many lifecycle events after the last snapshot the next one is due.
pub(crate) fn due_after(version: u64, least: u64) -> u64 {
    least.max(version / KEPT)
}

fn place(folder: &Path, version: u64) -> PathBuf {
    folder.join(format!("{version:020}"))
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 20, File::open(path)?))
}
