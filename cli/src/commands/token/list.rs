use super::expires;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::Token;
use clap::builder::PossibleValuesParser;

/// List tokens
///
/// Those that you may read: of everything, of an organization and its projects (--org), or of one project (--org and
/// --project). Live ones, unless told otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token list --org acme
  chancery token list --org acme --status revoked --sort -created --limit 20
  chancery token list --expiring-before 2027-01-31T00:00:00Z --json
  chancery token list --prefix chyo_4fT9 --all")]
pub(crate) struct Args {
    /// Live, expired or revoked ones, or all
    #[arg(long, value_parser = PossibleValuesParser::new(["live", "expired", "revoked", "all"]))]
    status: Option<String>,
    /// The same as --status all
    #[arg(short, long, conflicts_with = "status")]
    all: bool,
    /// Only tokens of this level
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(["instance", "organization", "project"]))]
    scope: Option<String>,
    /// Only the one with this name
    #[arg(long)]
    name: Option<String>,
    /// Only those whose secret begins like this
    #[arg(long, value_parser = not_a_secret)]
    prefix: Option<String>,
    /// Only those minted by this actor, or by the token with this id
    #[arg(long, value_name = "ACTOR")]
    created_by: Option<String>,
    /// Only those that expire before then (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = expires::time)]
    expiring_before: Option<String>,
    /// Only those that hold this role
    #[arg(long)]
    role: Option<String>,
    /// Only those last used, or minted and never used, earlier than then (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = expires::time)]
    unused_since: Option<String>,
    /// By created, name, expires or last_used; with - in front, the largest first. -created when absent
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<String>,
    /// At most so many; all when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    // An organization of the environment says where one works; it does not hide what was asked for by name.
    let is_of_instance = args.scope.as_deref() == Some("instance");
    let organization =
        if is_of_instance { context.options.org.clone() } else { context.options.organization() };
    let project = if is_of_instance { context.options.project.clone() } else { context.options.project() };
    let client = context.client()?;
    let organization = match (organization, &project) {
        (None, Some(_)) => Some(context.organization(&client).await?),
        (organization, _) => organization,
    };
    let status = if args.all { Some("all".to_owned()) } else { args.status.clone() };
    let fields = [
        ("organization", &organization),
        ("project", &project),
        ("status", &status),
        ("scope", &args.scope),
        ("name", &args.name),
        ("prefix", &args.prefix),
        ("created_by", &args.created_by),
        ("expiring_before", &args.expiring_before),
        ("role", &args.role),
        ("unused_since", &args.unused_since),
        ("sort", &args.sort),
    ];
    let query: Vec<(&str, String)> =
        fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let found = client.list::<Token>(&["v1", "tokens"], &query, args.limit).await?;
    context.output.list(&found)
}
