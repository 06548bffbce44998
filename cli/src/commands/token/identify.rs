use super::subject::Subject;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Identify, Page, Token};
use secrecy::ExposeSecret as _;
use serde_json::value::RawValue;

/// Find whose token a text is
///
/// By the whole text, from standard input (--token-stdin), a file (--subject-file) or CHANCERY_SUBJECT_TOKEN, or by
/// how it begins (--prefix). It is not counted as a use of the token that is found. The exit code is 5 when there is
/// none that you may read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token identify --token-stdin < found-in-a-log
  chancery token identify --prefix chyo_4fT9aQ1")]
pub(crate) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// How it begins, 5 to 12 characters
    #[arg(long, value_parser = not_a_secret)]
    prefix: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let body = match args.prefix {
        Some(_) if args.subject.is_given() => {
            let text = "--prefix cannot be combined with --token-stdin or --subject-file";
            return Err(Failure::Usage(text.to_owned()));
        }
        Some(prefix) => Identify { prefix: Some(prefix), token: None },
        None => {
            let text = args.subject.read(context)?;
            Identify { token: Some(text.expose_secret().to_owned()), prefix: None }
        }
    };
    let client = context.client()?;
    let page = client.ask::<Page<Box<RawValue>>>(&["v1", "tokens", "identify"], &body).await?;
    let found = client.items::<Token>(page.value.items)?;
    if found.is_empty() {
        return Err(Failure::NotFound("no token that you may read has or had this text".to_owned()));
    }
    context.output.list(&found)
}
