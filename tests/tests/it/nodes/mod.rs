//! Several nodes on one log.

mod linear;
mod races;
mod revocation;
mod usage;
