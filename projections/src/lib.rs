//! The running half of a node: the live state in memory, and the scribe that keeps it equal to the log.
//!
//! - [`Live`] is the live-token index: the fold of the log's lifecycle lines, read by everyone, written by one task.
//! - [`Scribe`] takes what is asked, decides it in order, appends what that comes to in group commits, and only then
//!   answers.
//! - [`Recorder`] appends the uses of bounded answers, which have been answered already.
//! - `sweep` finds the tokens that nobody uses any more and has them revoked.
//! - [`usage`] follows the log into a table that says when each token was last used.
//! - `tree` lets the Merkle tree follow the log, and signs its checkpoints.
//! - [`audit`] follows the log into tables that auditors ask.
//! - `history` folds the state as it stood at a moment of the past.
//! - [`snapshots`] keeps states on disk, for a start and for the past to go on from.
//! - [`replay`] folds a log anew, decides its uses again, and says where that comes out differently.
//! - [`Node`] puts them together over one log, from the start to the drain.
//!
//! Invariant: the state in [`Live`] changes only by lines that are on the log, in their order.

pub mod audit;
mod batch;
mod catch_up;
mod feed;
mod history;
mod live;
mod node;
mod people;
mod recorder;
pub mod replay;
mod scribe;
mod seal;
pub mod snapshots;
mod sweep;
mod tree;
pub mod usage;
mod work;

pub use catch_up::Fatal;
pub use history::AsOf;
pub use live::{Live, Stats};
pub use node::{Node, Options, Starting};
pub use people::erasure;
pub use recorder::Recorder;
pub use scribe::Scribe;
pub use seal::{SealKey, unseal};
pub use sweep::{Inactive, Sweep};
pub use usage::{LastUse, Moment, UsedPermissions};
pub use work::{Answered, Call, Client, Failure, Inquiry, Outcome, Outsider, Presented, Work};
