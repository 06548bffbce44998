//! What the suites share: a throw-away Postgres, a database a test, nodes inside the test's own process, actors that
//! speak HTTP to them, and the built binary as a child.
//!
//! Invariant: nothing here waits for a fixed time. What has to come is waited for by a position of the log or polled
//! with a bound, and a test owns the clock and the randomness of every node that it starts itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actor;
mod binary;
mod cluster;
mod database;
mod fixtures;
mod node;
mod proxy;
mod raw;
pub mod scale;
mod sse;
mod wait;
mod wire;

pub use actor::{Actor, Answer, Call};
pub use binary::{Binary, Exited, chancery};
pub use cluster::{POSTGRES, postgres_program};
pub use database::{Database, Entry, entries};
pub use fixtures::{Minted, Tenants, World};
pub use node::{ADMIN, NodeOptions, START, TestNode, clock};
pub use proxy::{Cut, Proxy, Way};
pub use raw::raw;
pub use scale::{Choices, Seed};
pub use sse::{Sse, SseEvent};
pub use wait::{eventually, eventually_async, within};
pub use wire::{Reply, Wire};
