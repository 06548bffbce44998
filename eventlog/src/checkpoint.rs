//! Checkpoints: the signed statements of the log's size and root (C2SP tlog-checkpoint).
//!
//! Invariant: **no two checkpoints of an origin contradict each other.** A new one is signed only where a consistency
//! proof leads from the root that was signed last to the one that is about to be: that the tree has the earlier root at
//! its size is not enough, since the two may come from different stored hashes. It is stored, on the condition that the
//! last one is still the last, before anyone sees it.

use std::fmt;

use sqlx::Row as _;

use crate::note::{self, NoteError, Opened, VerifierKey};
use crate::pages::to_db;
use crate::tree::{Hash, Tree, ranges};
use crate::{Error, Log, LogKey};

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The number of lines.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a checkpoint. Extension lines are passed over.
    pub fn parse(text: &str) -> Option<Checkpoint> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, Hash::parse(lines.next()?)?);
        let number = size.parse().ok().filter(|number: &u64| number.to_string() == size)?;
        let is_whole = !origin.is_empty() && lines.all(|extension| !extension.is_empty());
        is_whole.then(|| Checkpoint { origin: origin.to_owned(), size: number, root })
    }

    /// Reads a signed checkpoint without a look at who signed it.
    pub fn of_note(note: &str) -> Option<Checkpoint> {
        Checkpoint::parse(note::split(note).ok()?.0)
    }

    /// Reads a checkpoint that one of the keys signed, under the name that is its origin.
    pub fn open<'n>(note: &'n str, keys: &[VerifierKey]) -> Result<(Checkpoint, Opened<'n>), NoteError> {
        let opened = note::open(note, keys)?;
        let checkpoint = Checkpoint::parse(opened.text)
            .ok_or(NoteError::Malformed("its text is no checkpoint: origin, size and root, a line each"))?;
        if opened.signed_by.iter().any(|key| key.name() == checkpoint.origin) {
            Ok((checkpoint, opened))
        } else {
            Err(NoteError::NotSigned(format!("a key of {}", checkpoint.origin)))
        }
    }

    /// The checkpoint with the signatures of the keys.
    pub fn sign<'k>(&self, keys: impl IntoIterator<Item = &'k LogKey>) -> String {
        note::sign(&self.to_string(), &self.origin, keys)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)
    }
}

/// The last checkpoint of an origin, as it was published.
pub async fn last(log: &Log, origin: &str) -> Result<Option<String>, Error> {
    const DOING: &str = "reading the last checkpoint";
    let reading =
        sqlx::query("SELECT note FROM chancery.checkpoints WHERE origin = $1").bind(origin.to_owned());
    let rows = log.run(DOING, reading).await?;
    rows.first().map(|row| row.try_get(0)).transpose().map_err(|error| Error::from_sqlx(DOING, &error))
}

/// Signs the tree as it stands, if it has grown since the last checkpoint or another set of keys signs now, and stores
/// that; says the last checkpoint there is then. `seen` is another that must not be contradicted: one that this node
/// remembers, whatever the database says.
pub async fn advance(
    log: &Log,
    tree: &Tree,
    origin: &str,
    keys: &[&LogKey],
    seen: Option<&Checkpoint>,
) -> Result<Option<String>, Error> {
    let last_note = last(log, origin).await?;
    let stored = last_note.as_deref().map(|note| read(origin, note)).transpose()?;
    let size = tree.size().await?;
    let earlier: Vec<&Checkpoint> =
        stored.iter().chain(seen).filter(|earlier| earlier.origin == origin).collect();
    if earlier.iter().any(|earlier| earlier.size > size) {
        // The tree is being made anew: nothing is signed before it holds all that was signed.
        return Ok(last_note);
    }
    let proofs: Vec<_> = earlier.iter().map(|earlier| ranges::consistency(earlier.size, size)).collect();
    let wanted: Vec<_> = std::iter::once(0..size).chain(proofs.iter().flatten().cloned()).collect();
    let hashes = tree.roots(&wanted).await?;
    let (root, mut rest) = hashes.split_first().expect("the root of the whole is asked for");
    for (earlier, proof) in earlier.iter().zip(&proofs) {
        let (proof, others) = rest.split_at(proof.len());
        rest = others;
        goes_on(earlier, size, *root, proof)?;
    }
    let root = *root;
    let next = Checkpoint { origin: origin.to_owned(), size, root }.sign(keys.iter().copied());
    if last_note.as_ref() == Some(&next)
        || !store(log, origin, size, &next, stored.map(|stored| stored.size)).await?
    {
        // Nothing has changed (Ed25519 signs the same text alike), or another node was faster.
        return last(log, origin).await;
    }
    Ok(Some(next))
}

/// Refuses a tree of `to` lines that a consistency proof does not lead to from an earlier checkpoint.
fn goes_on(earlier: &Checkpoint, to: u64, root: Hash, proof: &[Hash]) -> Result<(), Error> {
    let found = match earlier.size {
        0 => return Ok(()),
        same if same == to => Some((root, root)),
        from => ranges::roots_of_consistency(from, to, earlier.root, proof),
    };
    let found = match found {
        Some(found) if found == (earlier.root, root) => return Ok(()),
        Some((before, after)) if before == earlier.root => {
            format!("their proof leads to {after} at size {to}, where the tree has {root}")
        }
        Some((before, _)) => format!("their proof leads to {before} at size {}", earlier.size),
        None => "their proof has not the length of one".to_owned(),
    };
    Err(Error::Inconsistent {
        origin: earlier.origin.clone(),
        size: earlier.size,
        signed: earlier.root.to_string(),
        to,
        found,
    })
}

fn read(origin: &str, note: &str) -> Result<Checkpoint, Error> {
    Checkpoint::of_note(note).filter(|checkpoint| checkpoint.origin == origin).ok_or_else(|| {
        Error::corrupt(format!("what chancery.checkpoints holds of {origin} is no checkpoint of it"))
    })
}

/// Stores a checkpoint if the last one still has the size that it had.
async fn store(log: &Log, origin: &str, size: u64, note: &str, last: Option<u64>) -> Result<bool, Error> {
    let storing = sqlx::query(
        "INSERT INTO chancery.checkpoints AS known (origin, size, note) VALUES ($1, $2, $3)
         ON CONFLICT (origin) DO UPDATE SET size = EXCLUDED.size, note = EXCLUDED.note WHERE known.size = $4
         RETURNING 1",
    )
    .bind(origin.to_owned())
    .bind(to_db(size))
    .bind(note.to_owned())
    .bind(last.map(to_db));
    Ok(!log.run("storing a checkpoint", storing).await?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_has_one_text() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.to_string(), text);
        assert_eq!(Checkpoint::parse(&format!("{text}extension\n")), Some(checkpoint));
        for bad in [
            text.replace("20852163", "020852163"),
            text.replace("20852163", "+1"),
            text.replace("CsU", "Cs"),
            text.trim_end().to_owned(),
            format!("\n{text}"),
            format!("{text}\n"),
        ] {
            assert_eq!(Checkpoint::parse(&bad), None, "{bad}");
        }
    }
}
