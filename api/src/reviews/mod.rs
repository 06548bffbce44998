//! Reviews of who may do what, for whoever has to confirm it.

pub(crate) mod access;
