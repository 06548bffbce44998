//! Persons, whichever organizations they are members of.

pub(crate) mod erase;
pub(crate) mod list;
pub(crate) mod offboard;
pub(crate) mod show;
