//! The pure heart of the authority: what may happen, and what has.
//!
//! [`decide::decide`] turns a command into events, or refuses it; [`state::State::apply`] folds events into the
//! state that the next decision stands on; [`verify::verify`] answers whether a token may do a thing. Events become
//! lines in [`mod@line`].
//!
//! Invariant: nothing here reads a clock, a random source, a file or a socket. Now, new ids and hashes are fields of
//! what comes in, so the same log always folds to the same state and every decision can be made again.

pub mod authority;
pub mod census;
pub mod contents;
pub mod decide;
pub mod event;
pub mod explain;
pub mod history;
pub mod id;
pub mod import;
pub mod line;
pub mod lineage;
#[cfg(test)]
mod model;
pub mod name;
pub mod needs;
pub mod network;
mod pack;
#[cfg(any(test, feature = "fuzzing"))]
pub mod parsing;
pub mod people;
#[cfg(test)]
mod people_histories;
pub mod permission;
pub mod policy;
pub mod preview;
pub mod query;
pub mod rejection;
pub mod replay;
pub mod review;
pub mod role;
pub mod scope;
pub mod secret;
pub mod state;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod verify;
