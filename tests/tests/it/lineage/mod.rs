//! What minted what, and how all of it ends at once.

mod cascade;
mod filter;
mod tree;
