//! The log, taken away, and what it says about access.

mod command_line;
mod files;
mod review;
mod walls;

use chancery_tests::{Actor, Answer};

/// The export of a query.
async fn export(actor: &Actor, query: &str) -> Answer {
    let answer = actor.get(&format!("/v1/audit/export?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}
