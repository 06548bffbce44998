//! Who may do what: each route with each credential, what would escalate, and what is hidden.

mod credentials;
mod escalation;
mod hidden;
mod permissions;
pub(crate) mod routes;
