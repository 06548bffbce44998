//! What comes in from outside: keys of elsewhere, reports of leaks, and more calls than there should be.

mod import;
mod leaks;
mod rates;
