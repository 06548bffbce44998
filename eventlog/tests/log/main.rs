//! The log against a real Postgres that the tests start themselves, a database a test.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as the tests do")]

mod ambiguity;
mod appending;
mod guarding;
mod marks;
mod migrating;
mod outages;
mod reading;
#[path = "../support/mod.rs"]
mod support;
mod tree;
mod waking;
