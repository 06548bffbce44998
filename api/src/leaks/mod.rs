//! Secrets that were seen where they should not be.

pub(crate) mod list;
pub(crate) mod partner;
pub(crate) mod report;
