use super::expires::time;
use super::select::{self, Among};
use crate::commands::{Context, count, not_a_secret};
use crate::failure::Failure;
use crate::output::audit::Use;

/// At most so many, unless told otherwise.
const USUAL: usize = 100;

/// List a token's uses, one by one
///
/// The newest first: each time that it was presented, and each time that it asked about another one (outcome `asked`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token uses ci --org acme
  chancery token uses ci --org acme --outcome forbidden --from 2026-11-22T00:00:00Z
  chancery token uses chyo_4fT9aQ1 --permission deployments:create --limit 1000 --json")]
pub(crate) struct Args {
    /// Its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret)]
    token: String,
    /// Only uses with this outcome: valid, asked, or the code of a refusal
    #[arg(long)]
    outcome: Option<String>,
    /// Only uses for this permission
    #[arg(long)]
    permission: Option<String>,
    /// Only uses from then on (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<String>,
    /// Only uses before then (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<String>,
    /// At most so many; 100 when absent
    #[arg(long, value_parser = count, value_name = "COUNT")]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let id = select::token(context, &client, &args.token, Among::All).await?.value.id.to_string();
    let fields = [
        ("outcome", &args.outcome),
        ("permission", &args.permission),
        ("from", &args.from),
        ("to", &args.to),
    ];
    let query: Vec<(&str, String)> =
        fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let limit = args.limit.unwrap_or(USUAL);
    let found = client.list::<Use>(&["v1", "tokens", &id, "uses"], &query, Some(limit)).await?;
    context.output.list(&found)
}
