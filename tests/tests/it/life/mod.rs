//! A token's whole life, and that of the organizations and projects it acts in.

mod lists;
mod networks;
mod organizations;
mod rotation;
mod times;
mod tokens;
