//! The append-only log on Postgres: group commits of lines, appended on a condition, read by position.
//!
//! The invariant: **positions are zero-based, gapless and in the order of commit, a commit is in the log once
//! or not at all, and nothing in it ever changes.** Whatever contradicts it when it is read is an
//! [`Error::Corrupt`]; whatever is not known is an [`Error::OutcomeUnknown`]; neither is guessed at.
//!
//! The log knows nothing of tokens. A line is text, and all that it knows of it is whether it is a
//! *lifecycle* line, which the version counts.
//!
//! - [`Log`] reads, from a pool; [`Writer`] appends, on a connection of its own; [`Locked`] is the way out
//!   when others are always faster.
//! - [`wake`] says when to look again, [`mark`] remembers on disk how far a node has seen the log.
//! - [`tree`] is the Merkle tree over the lines, [`checkpoint`] the signed statement of its size and root.
//! - [`private`] runs a Postgres of its own for an authority that was given none.
//! - [`Clock`] and [`Random`] are where all time and randomness of the program come from.
//!
//! Every table is in the schema `chancery`; every statement stands next to the one function that runs it.

mod append;
pub mod checkpoint;
mod clock;
mod draft;
mod error;
mod faults;
mod key;
mod locked;
mod log;
mod lookups;
pub mod mark;
mod migrate;
pub mod note;
mod pages;
pub mod personal;
pub mod private;
mod random;
pub mod receipt;
mod session;
mod shared;
pub mod tree;
pub mod wake;
mod writer;

pub use checkpoint::Checkpoint;
pub use clock::Clock;
pub use draft::{Appended, Condition, Draft, Erasure, Sealed};
pub use error::Error;
#[cfg(feature = "faults")]
pub use faults::Fault;
pub use faults::{Faults, Point};
pub use key::{LogKey, LogKeys};
pub use locked::Locked;
pub use log::{Commit, Head, Log, Place, Settings};
pub use lookups::{COUNTED, Erased, LinePlace};
pub use mark::{Mark, Marker};
pub use personal::Personal;
pub use random::Random;
pub use session::RUNTIME_ROLE;
pub use tree::Tree;
pub use wake::{Waker, Wakes};
pub use writer::Writer;
