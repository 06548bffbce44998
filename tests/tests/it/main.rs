//! The black-box suites: one binary, a module a topic, a database a test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod life;
