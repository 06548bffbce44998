use super::select::{self, Among};
use crate::commands::{Context, count, not_a_secret};
use crate::failure::Failure;
use api::wire::AuditEvent;

/// Show what happened to a token
///
/// The newest first, with what ended or suspended it from outside: the revocation of a token that it descends from, the
/// deletion of its project, the suspension of its organization.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token history 0193506a-6f0e-7c1a-8a39-0d5be2c9a1f4
  chancery token history ci --org acme --json")]
pub(crate) struct Args {
    /// Its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret)]
    token: String,
    /// The oldest first
    #[arg(long)]
    oldest: bool,
    /// At most so many
    #[arg(long, value_parser = count, value_name = "COUNT")]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let id = select::token(context, &client, &args.token, Among::All).await?.value.id.to_string();
    let order = args.oldest.then(|| ("order", "oldest".to_owned()));
    let query: Vec<_> = order.into_iter().collect();
    let found = client.list::<AuditEvent>(&["v1", "tokens", &id, "history"], &query, args.limit).await?;
    context.output.list(&found)
}
