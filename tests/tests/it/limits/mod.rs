//! What a request may be, and what becomes of one that may not.

mod pasted;
mod requests;
mod values;
