//! A token's whole life, and that of the organizations and projects it acts in.

mod tokens;
