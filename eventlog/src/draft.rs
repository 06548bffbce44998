//! What is to be appended, and on what condition.

use std::fmt;

use uuid::Uuid;

use crate::{Error, Head, Personal, Place};

/// A group commit that has not happened yet. Its id is chosen before it is sent and never used for other
/// lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The commit's id.
    pub id: Uuid,
    /// Its lines, separated by newlines, without one at the end.
    pub lines: String,
    /// The number of its lines.
    pub count: u32,
    /// How many of them are lifecycle lines.
    pub lifecycle: u32,
    /// The personal values whose commitments the lines carry. One that is stored already stays as it is.
    pub personal: Vec<Personal>,
    /// Answers to keep sealed for a while. A key that is stored already gets the new box; no key twice in a
    /// draft.
    pub sealed: Vec<Sealed>,
    /// The personal values that go with it, in the same statement. Such a draft seals nothing, and is appended under the
    /// head's lock or on the condition of a size.
    pub erases: Option<Erasure>,
}

/// Which personal values are erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Values of these persons: some with the line, the rest by [`Log::erase_some`](crate::Log::erase_some).
    pub persons: Vec<Uuid>,
    /// The values behind these commitments, all of them with the line.
    pub values: Vec<[u8; 32]>,
}

/// An answer that may have to be handed out again, sealed under a key that the server does not have.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What it is found by.
    pub key: Vec<u8>,
    /// The sealed bytes.
    pub contents: Vec<u8>,
    /// When it may be deleted: microseconds since the Unix epoch.
    pub until: i64,
}

/// The bytes are sealed, but they are nobody's business either.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("bytes", &self.contents.len())
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// What must still be true of the head for a draft to be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The last commit with lifecycle lines is this one (nil at the start): uses may have come in between.
    LastLifecycle(Uuid),
    /// Nothing at all has come in since the log had this size.
    Size(u64),
    /// None.
    Always,
}

impl Condition {
    /// Whether the condition is false on a head that is at least as new as the one it was taken from: then it
    /// stays false for ever, because a commit's id never comes back and the size only grows.
    pub(crate) fn failed_for_good(self, head: &Head) -> bool {
        match self {
            Condition::LastLifecycle(id) => head.last_lifecycle != id,
            Condition::Size(size) => head.size > size,
            Condition::Always => false,
        }
    }
}

/// The answer to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The draft is in the log, once, here.
    Committed(Place),
    /// The condition did not hold; the draft is not in the log and will not be.
    ConditionFailed,
}

impl Draft {
    /// Refuses what the database would refuse or, worse, keep: counts that are not the lines' own.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let invalid = |what: String| Err(Error::Invalid { what: format!("draft {}: {what}", self.id) });
        let lines = memchr::memchr_iter(b'\n', self.lines.as_bytes()).count() as u64 + 1;
        if self.lines.is_empty() || u64::from(self.count) != lines {
            return invalid(format!("{} lines are announced, {lines} are there", self.count));
        }
        if i32::try_from(self.count).is_err() {
            return invalid(format!("{} lines are more than a commit may have", self.count));
        }
        if self.lifecycle > self.count {
            return invalid(format!("{} lifecycle lines of {} lines", self.lifecycle, self.count));
        }
        if self.erases.is_some() && !self.sealed.is_empty() {
            return invalid("an erasure seals nothing".into());
        }
        if self.id.is_nil() {
            return invalid("the nil id stands for the start of the log".into());
        }
        if memchr::memchr(0, self.lines.as_bytes()).is_some() {
            return invalid("U+0000 cannot be stored; escape it or refuse it earlier".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(lines: &str, count: u32, lifecycle: u32) -> Draft {
        let id = Uuid::from_u128(7);
        Draft { id, lines: lines.into(), count, lifecycle, personal: vec![], sealed: vec![], erases: None }
    }

    #[test]
    fn a_draft_must_add_up() {
        assert_eq!(draft("a\nb", 2, 1).check(), Ok(()));
        for wrong in [
            draft("a\nb", 3, 0),
            draft("a\nb\n", 2, 0),
            draft("", 1, 0),
            draft("", 0, 0),
            draft("a", 1, 2),
            draft("a\0", 1, 0),
        ] {
            assert!(matches!(wrong.check(), Err(Error::Invalid { .. })), "{wrong:?}");
        }
    }
}
