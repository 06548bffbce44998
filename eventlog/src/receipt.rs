//! Receipts: that a line is on the log, in a file that needs no server to be checked (C2SP tlog-proof).

use std::fmt;

use thiserror::Error;

use crate::Checkpoint;
use crate::note::{NoteError, VerifierKey};
use crate::tree::{Hash, ranges};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A checkpoint, and the proof that a line is in its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The line's position.
    pub position: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub proof: Vec<Hash>,
    /// The checkpoint, as it was published.
    pub note: String,
}

/// Why a receipt proves nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReceiptError {
    /// Its checkpoint is not believed.
    #[error("its checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The proof leads elsewhere.
    #[error(
        "it does not prove that line at position {position}: the checkpoint's root is {signed}, the proof's {found}"
    )]
    OtherRoot {
        /// The position that it names.
        position: u64,
        /// The root that was signed.
        signed: String,
        /// What the line and the proof come to; none where the proof has not the length that it must have.
        found: String,
    },
}

impl Receipt {
    /// Reads a receipt. Extra data is passed over: nothing proves it.
    pub fn parse(text: &str) -> Option<Receipt> {
        let (head, note) = text.split_once("\n\n")?;
        let mut lines = head.split('\n').peekable();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        lines.next_if(|line| line.starts_with("extra "));
        let index = lines.next()?.strip_prefix("index ")?;
        let position = index.parse().ok().filter(|position: &u64| position.to_string() == index)?;
        let proof = lines.map(Hash::parse).collect::<Option<_>>()?;
        Some(Receipt { position, proof, note: note.to_owned() })
    }

    /// The checkpoint that proves a line with this leaf hash to be on the log.
    pub fn check(&self, leaf: Hash, keys: &[VerifierKey]) -> Result<Checkpoint, ReceiptError> {
        let (checkpoint, _) = Checkpoint::open(&self.note, keys)?;
        let found = ranges::root_of_inclusion(leaf, self.position, checkpoint.size, &self.proof);
        if found == Some(checkpoint.root) {
            return Ok(checkpoint);
        }
        let found = found.map_or_else(|| "none".to_owned(), |root| root.to_string());
        Err(ReceiptError::OtherRoot { position: self.position, signed: checkpoint.root.to_string(), found })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.position)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf_hash;
    use crate::{LogKey, Random};

    #[test]
    fn a_receipt_proves_its_line_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let key = LogKey::load_or_create(&folder.path().join("log-key"), &Random::seeded(1)).unwrap();
        let leaves = ["a", "b", "c"].map(|line| leaf_hash(line.as_bytes()));
        let root = leaves.iter().copied().collect::<crate::tree::Frontier>().root();
        let note = Checkpoint { origin: "log.example".to_owned(), size: 3, root }.sign([&key]);
        let receipt = Receipt { position: 1, proof: vec![leaves[0], leaves[2]], note };
        let text = receipt.to_string();
        assert_eq!(Receipt::parse(&text), Some(receipt.clone()));
        assert_eq!(Receipt::parse(&text.replace("index", "extra AAAA\nindex")), Some(receipt.clone()));
        let keys = [VerifierKey::new("log.example", &key.public()).unwrap()];
        assert_eq!(receipt.check(leaves[1], &keys).unwrap().size, 3);
        for (moved, leaf) in [(1, leaves[0]), (0, leaves[1]), (2, leaves[1]), (9, leaves[1])] {
            let moved = Receipt { position: moved, ..receipt.clone() };
            assert!(matches!(moved.check(leaf, &keys), Err(ReceiptError::OtherRoot { .. })));
        }
        for bad in [
            text.replace("@v1", "@v2"),
            text.replace("index 1", "index 01"),
            text.replace("index 1\n", ""),
            text.replacen("\n\n", "\n", 1),
        ] {
            assert!(Receipt::parse(&bad).is_none_or(|bad| bad.check(leaves[1], &keys).is_err()), "{bad}");
        }
    }
}
