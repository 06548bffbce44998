//! x
pub mod edge;
