//! The HTTP API: one folder a noun, one file an endpoint.
//!
//! A handler extracts, builds what is asked, hands it to the node and renders what comes back. It decides nothing:
//! whether something is allowed is the domain's, on the state that its record is appended to.
//!
//! Invariant: no answer leaves before its record is on the log (or, where the authority is set to bounded answers,
//! before it is queued for it), and every error is a problem with a documented code.

mod admin;
pub mod app;
mod audit;
mod auth;
mod change;
pub mod edge;
mod error;
mod explain;
mod exports;
mod front;
mod history;
mod instance;
mod invitations;
mod leaks;
mod limits;
mod log;
pub mod mail;
mod members;
mod object;
mod openapi;
mod organizations;
mod paced;
mod page;
#[cfg(any(test, feature = "fuzzing"))]
pub mod parsing;
mod people;
mod policies;
mod projects;
mod respond;
mod reviews;
mod roles;
mod seats;
mod sweeps;
mod system;
mod tokens;
mod users;
mod verify;
pub mod wire;

pub use admin::AdminToken;
pub use app::{App, Options, router};
pub use front::Front;
pub use leaks::partner::PartnerKeys;
pub use limits::{Rate, Rates};
pub use mail::{MailSettings, Mailer};
pub use openapi::document;
