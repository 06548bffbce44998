use crate::client::{Answer, Client};
use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use crate::output::Format;
use api::wire::{Sweep, SweptToken};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Revoke the tokens that went unused for longer than the policy allows, now
///
/// The authority does so every hour by itself. On a terminal the tokens are shown and have to be confirmed. Where nobody
/// can be asked, --force is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org sweep acme --dry-run
  chancery org sweep acme --force
  chancery org sweep --instance --dry-run")]
pub(crate) struct Args {
    /// The organization's name or id; that of --org when absent
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: Option<String>,
    /// The instance's own tokens
    #[arg(long, conflicts_with = "organization")]
    instance: bool,
    /// Only show what would be revoked
    #[arg(long)]
    dry_run: bool,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if !args.dry_run && !args.force && !context.interactive {
        let text = "nobody is there to confirm the sweep; give --force (-f) to revoke without being asked, or --dry-run";
        return Err(Failure::Usage(text.to_owned()));
    }
    let client = context.client()?;
    let organization = match args.organization {
        _ if args.instance => None,
        Some(organization) => Some(organization),
        None => Some(context.organization(&client).await?),
    };
    let path = match &organization {
        Some(organization) => vec!["v1", "organizations", organization, "sweep"],
        None => vec!["v1", "instance", "sweep"],
    };
    let client = &client;
    if !args.force {
        let found = client.ask::<Found>(&path, &Sweep { dry_run: true }).await?;
        if args.dry_run || found.value.count == 0 {
            return show(context, client, found);
        }
        let count = found.value.count;
        context.output.list(&client.items::<SweptToken>(found.value.tokens)?)?;
        if !prompt::confirm(&format!("Revoke {count} tokens for good?"))? {
            return Err(Failure::Cancelled);
        }
    }
    let swept = client.ask::<Found>(&path, &Sweep { dry_run: args.dry_run }).await?;
    show(context, client, swept)
}

/// What a sweep is about, with the JSON of each token.
#[derive(Debug, Deserialize)]
struct Found {
    count: u64,
    tokens: Vec<Box<RawValue>>,
}

fn show(context: &Context, client: &Client, found: Answer<Found>) -> Result<(), Failure> {
    if context.output.format() == Format::Json {
        return context.output.json(found.json.get());
    }
    let Found { count, tokens } = found.value;
    let tokens = client.items::<SweptToken>(tokens)?;
    context.output.list(&tokens)?;
    if tokens.len() as u64 != count {
        context.output.remark(&format!("These are the first {} of {count} tokens.", tokens.len()));
    }
    Ok(())
}
