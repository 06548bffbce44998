//! Rebuilds the crate when a migration is added: the embedded list is read when the macro expands.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
