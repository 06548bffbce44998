//! x
pub mod private;
