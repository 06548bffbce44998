//! Organizations that are suspended and restored; organizations and projects that are deleted.

mod command_line;
mod deletion;
mod projects;
mod races;
mod suspension;
