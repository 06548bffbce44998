//! What organizations allow their tokens, and the end of those that nobody uses.

mod command_line;
mod races;
mod settings;
mod sweeps;

const POLICY: &str = "/v1/organizations/acme/policy";
const SWEEP: &str = "/v1/organizations/acme/sweep";
