use crate::client::Client;
use crate::commands::Context;
use crate::commands::token::subject::Subject;
use crate::failure::Failure;
use api::wire::LeakReport;
use secrecy::ExposeSecret as _;

/// Report that a secret was seen where it should not be
///
/// The secret comes from standard input (--token-stdin), a file (--subject-file) or CHANCERY_SUBJECT_TOKEN, never from
/// an argument: its token is revoked with everything that it minted. A hash (--hash) only flags the token. No log-in is
/// needed; the answer is the same whether there is such a token or not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery leak report --token-stdin --source 'a build log' --found-at https://ci.example/7 < found
  chancery leak report --hash f4f87426fdd55078e3a9bbb2d35656974268b321c70bfc1d452387eb3010eb29")]
pub(crate) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// BLAKE3 of the secret, 64 hexadecimal digits, instead of the secret
    #[arg(long, conflicts_with_all = ["token_stdin", "subject_file"])]
    hash: Option<String>,
    /// Where it was seen, in your words
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Where exactly; nobody fetches it
    #[arg(long, value_name = "URL")]
    found_at: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let token = match args.hash {
        Some(_) => None,
        None => Some(args.subject.read(context)?.expose_secret().to_owned()),
    };
    let report = LeakReport { token, hash: args.hash, source: args.source, url: args.found_at };
    let client = Client::connect_or_anonymous(&context.options, &context.output)?;
    client.tell(&["v1", "leaks"], &report).await?;
    context.output.hint("Taken. If there is such a token, its owners see the report.");
    Ok(())
}
