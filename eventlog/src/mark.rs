//! A node's mark: how far it has seen the log, on its own disk, so that it notices a database that went
//! backwards.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::Row;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::pages::to_db;
use crate::{Error, Log};

/// The file's name in its folder.
const FILE: &str = "mark";

/// How often a mark that moves is written.
const PERIOD: Duration = Duration::from_secs(1);

/// How far a node has seen the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The size of the log.
    pub size: u64,
    /// The id of the commit that ends there; nil at size 0.
    pub commit: Uuid,
    /// The origin of the log's checkpoints: another origin is another log.
    pub origin: String,
    /// The last checkpoint that the node signed or saw, as it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

impl Mark {
    /// Reads the mark of a folder; none if the node never wrote one there.
    pub fn load(folder: &Path) -> Result<Option<Mark>, Error> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&path, &error)),
        };
        // A mark is written whole or not at all, so one that cannot be read was damaged: it must not count as
        // none.
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Error::File { path, reason: format!("not a mark: {error}") })
    }

    /// Writes the mark so that a crash leaves either the old one or this one. Blocks for two flushes of the
    /// disk.
    pub fn store(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        self.replace(folder, &path).map_err(|error| failed(&path, &error))
    }

    fn replace(&self, folder: &Path, path: &Path) -> io::Result<()> {
        let temporary = folder.join(".mark.new");
        let mut file = File::create(&temporary)?;
        serde_json::to_writer(&mut file, self)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    }
}

/// Refuses a database that does not contain what the mark remembers: the commit with that id, ending exactly
/// there. What came after the mark may be anything.
pub async fn check(mark: &Mark, log: &Log) -> Result<(), Error> {
    const DOING: &str = "comparing with the node's mark";
    if mark.size == 0 {
        return Ok(());
    }
    let row = sqlx::query(
        "SELECT head.size, marked.first + marked.count, there.id
         FROM chancery.log_head AS head
         LEFT JOIN chancery.commits AS marked ON marked.id = $1
         LEFT JOIN LATERAL (
             SELECT id FROM chancery.commits WHERE first < $2 ORDER BY first DESC LIMIT 1
         ) AS there ON true",
    )
    .bind(mark.commit)
    .bind(to_db(mark.size))
    .fetch_one(&mut *log.acquire().await?)
    .await
    .map_err(|error| Error::from_sqlx(DOING, &error))?;
    let read = || Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    let (size, end, there): (i64, Option<i64>, Option<Uuid>) =
        read().map_err(|error| Error::from_sqlx(DOING, &error))?;
    let found = match (end, there) {
        (Some(end), _) if end == to_db(mark.size) && size >= end => return Ok(()),
        (Some(end), _) if size < end => {
            format!("its head stands at {size}, before the end of that commit at {end}")
        }
        (Some(end), _) => format!("that commit ends at {end}"),
        (None, _) if size < to_db(mark.size) => format!("it has {size} lines and not that commit"),
        (None, Some(there)) => format!("it has {size} lines, and commit {there} in that commit's place"),
        (None, None) => format!("it has {size} lines and not that commit"),
    };
    Err(Error::WentBackwards {
        remembered: format!("this node's mark is size {} with commit {} at its end", mark.size, mark.commit),
        found,
    })
}

/// Keeps a folder's mark up to date: at most once a second while it moves, and when it is stopped.
#[derive(Debug)]
pub struct Marker {
    latest: watch::Sender<Option<Mark>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Marker {
    /// Starts a task that writes to `folder`, which must exist. Call it inside a runtime.
    pub fn start(folder: impl Into<PathBuf>) -> Marker {
        let (latest, receiver) = watch::channel(None);
        let task = tokio::spawn(keep(folder.into(), receiver));
        Marker { latest, task }
    }

    /// The log has been seen this far. Only remembers it: costs no I/O.
    pub fn moved(&self, mark: Mark) {
        self.latest.send_replace(Some(mark));
    }

    /// Writes what has not been written and ends.
    pub async fn stop(self) -> Result<(), Error> {
        drop(self.latest);
        self.task.await.map_err(|error| Error::File { path: FILE.into(), reason: error.to_string() })?
    }
}

/// A disk that fails is said once and tried again: a node without a fresh mark still serves, it only notices
/// less.
async fn keep(folder: PathBuf, mut latest: watch::Receiver<Option<Mark>>) -> Result<(), Error> {
    let mut failing = false;
    loop {
        let last = latest.changed().await.is_err();
        let mark = latest.borrow_and_update().clone();
        let written = match mark {
            Some(mark) => write(&folder, mark).await,
            None => Ok(()),
        };
        match written {
            Err(error) if last => return Err(error),
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "the node's mark cannot be written");
            }
            Err(_) => {}
            Ok(()) => failing = false,
        }
        if last {
            return Ok(());
        }
        // Cut short by the end, because a shutdown should not wait for the period. On a clone, so that a mark
        // that comes meanwhile still counts as new.
        let mut ending = latest.clone();
        let _ = timeout(PERIOD, ending.wait_for(|_| false)).await;
    }
}

async fn write(folder: &Path, mark: Mark) -> Result<(), Error> {
    let folder = folder.to_owned();
    let path = folder.join(FILE);
    tokio::task::spawn_blocking(move || mark.store(&folder))
        .await
        .map_err(|error| Error::File { path, reason: error.to_string() })?
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::File { path: path.to_owned(), reason: error.to_string() }
}
