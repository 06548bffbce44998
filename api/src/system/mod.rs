//! What keeps a node running in somebody's production: health and metrics.

pub(crate) mod health;
pub(crate) mod metrics;
