//! The flags that every client command takes.

use crate::output::Format;
use clap::Args;
use std::path::PathBuf;

/// Where `chancery serve` listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:7070";

/// Which authority, as whom, about what, and how the answer is printed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Options {
    /// The authority [env: CHANCERY_URL] [default: http://127.0.0.1:7070]
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,

    /// Call with the token in this file; before CHANCERY_TOKEN and the saved log-in
    ///
    /// The file holds nothing but the token. One that others can read is refused.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Take a --token-file (or --subject-file) that others can read
    #[arg(long, global = true)]
    pub(crate) insecure_token_file: bool,

    /// Send tokens in cleartext to a host other than this one
    #[arg(long, global = true)]
    pub(crate) insecure_http: bool,

    /// Trust the certificates in this PEM file as well as the system's [env: CHANCERY_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// The organization, by name or id [env: CHANCERY_ORG]
    #[arg(short = 'o', long = "org", visible_alias = "organization", global = true, value_name = "ORG")]
    pub(crate) org: Option<String>,

    /// The project of the organization, by name or id [env: CHANCERY_PROJECT]
    #[arg(short, long, global = true)]
    pub(crate) project: Option<String>,

    /// What is printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,

    /// The same as --output json
    #[arg(short, long, global = true, conflicts_with = "output")]
    pub(crate) json: bool,

    /// Print no remarks, only data and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Say on standard error what each call was answered with
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// Read from a log of at least this position (a `Chancery-Position`)
    #[arg(long, global = true, value_name = "POSITION", hide_short_help = true)]
    pub(crate) at_least: Option<u64>,

    /// Repeat an earlier change under its key: it has one effect
    ///
    /// A change whose outcome stayed unknown names its key. Without this, each change gets a key of its own.
    #[arg(long, global = true, value_name = "KEY", hide_short_help = true)]
    pub(crate) idempotency_key: Option<String>,
}

impl Options {
    // The variables are read here and not by the parser, which would count them among what was typed: in the usage
    // of an error, and where two flags exclude each other.

    /// The authority's address.
    pub(crate) fn url(&self) -> String {
        given(self.url.clone(), "CHANCERY_URL").unwrap_or_else(|| DEFAULT_URL.to_owned())
    }

    /// A file of further certificates to trust.
    pub(crate) fn ca_file(&self) -> Option<PathBuf> {
        self.ca_file.clone().or_else(|| std::env::var_os("CHANCERY_CA_FILE").map(PathBuf::from))
    }

    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }

    /// The organization that the command line or the environment names. An empty flag takes the variable back.
    pub(crate) fn organization(&self) -> Option<String> {
        given(self.org.clone(), "CHANCERY_ORG")
    }

    /// The project that the command line or the environment names.
    pub(crate) fn project(&self) -> Option<String> {
        given(self.project.clone(), "CHANCERY_PROJECT")
    }
}

fn given(flag: Option<String>, name: &str) -> Option<String> {
    match flag {
        Some(flag) => Some(flag).filter(|text| !text.is_empty()),
        None => variable(name),
    }
}

/// The value of an environment variable. One that is set and empty counts as absent.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
