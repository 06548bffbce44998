//! Several nodes on one log.

mod races;
mod revocation;
