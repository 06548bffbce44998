//! The token that a question is about, which is not the one that the call is made with.

use crate::client::options::variable;
use crate::client::secret_file;
use crate::commands::{Context, prompt};
use crate::failure::Failure;
use secrecy::SecretString;
use std::io::Read as _;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// No text of a token is longer; what is piped in by mistake is not read to its end.
const MOST: u64 = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Subject {
    /// Read the token in question from standard input
    #[arg(long)]
    token_stdin: bool,
    /// Read the token in question from a file
    #[arg(long, value_name = "FILE", conflicts_with = "token_stdin")]
    subject_file: Option<PathBuf>,
}

impl Subject {
    /// Whether a flag says where it is.
    pub(super) fn is_given(&self) -> bool {
        self.token_stdin || self.subject_file.is_some()
    }

    pub(in crate::commands) fn read(&self, context: &Context) -> Result<SecretString, Failure> {
        if let Some(path) = &self.subject_file {
            return secret_file::token(path, context.options.insecure_token_file).map_err(at_fault);
        }
        if self.token_stdin {
            return from_stdin();
        }
        if let Some(text) = variable("CHANCERY_SUBJECT_TOKEN") {
            return secret_file::parse(&text, "CHANCERY_SUBJECT_TOKEN").map_err(at_fault);
        }
        if context.interactive { prompt::secret("Token in question").map_err(at_fault) } else { from_stdin() }
    }
}

/// A token on standard input.
pub(in crate::commands) fn from_stdin() -> Result<SecretString, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MOST).read_to_string(&mut text);
    read.map_err(|error| Failure::Other(format!("cannot read standard input: {error}")))?;
    secret_file::parse(&text, "standard input").map_err(at_fault)
}

/// It is not who calls that is at fault, but what was handed in.
fn at_fault(failure: Failure) -> Failure {
    match failure {
        Failure::NoCredential(text) => Failure::Usage(text),
        other => other,
    }
}
