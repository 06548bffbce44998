//! What stands between the socket and the router, and knows of tokens only how a secret is masked: connections and
//! their limits, TLS, who the client is, request ids, problem details, and the pages that document them.
//!
//! [`serve()`] owns the socket side and [`Stack::wrap`] the request side. Their invariant: every request that
//! hyper could parse gets exactly one answer with an `X-Request-Id`, and every error among them is a
//! [`Problem`] with a documented code. (What hyper itself refuses, because it is not HTTP or its head is too
//! large, is answered by hyper with a bare 400, 414 or 431, or over HTTP/2 with a protocol error, before any
//! of this runs.)

mod activity;
pub mod client;
pub mod codes;
mod connection;
pub mod context;
pub mod docs;
pub mod error_pages;
pub mod extract;
pub(crate) mod mask;
pub mod metrics;
pub mod problem;
pub mod serve;
pub mod stack;
pub mod tls;

pub use client::{ClientAddress, TrustedProxies};
pub(crate) use connection::Ending;
pub use context::{RequestContext, RequestId, RequestIds};
pub use problem::Problem;
pub use serve::{Connection, Ended, Limits, Options, serve};
pub use stack::{Clock, Hide, Stack, Stacked};
pub use tls::Tls;
