//! Roles of one's own, and what a token may do explained.

mod command_line;
mod escalation;
mod explain;
mod life;
mod limits;
mod nodes;

use chancery_tests::{Actor, Answer};
use serde_json::{Value, json};

const ROLES: &str = "/v1/organizations/acme/roles";

/// Defines a role that is held in `acme` or its projects.
async fn define(actor: &Actor, name: &str, level: &str, permissions: &[&str]) -> Answer {
    actor.post(ROLES, json!({"name": name, "level": level, "permissions": permissions})).await
}

fn role(name: &str) -> String {
    format!("{ROLES}/{name}")
}

fn acme() -> Value {
    json!({"organization": "acme"})
}
