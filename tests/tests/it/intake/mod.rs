//! What comes in from outside: reports of leaks, and more calls than there should be.

mod leaks;
mod rates;
