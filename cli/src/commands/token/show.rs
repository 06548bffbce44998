use super::select::{self, Among};
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;

/// Show a token
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token show 0193506a-6f0e-7c1a-8a39-0d5be2c9a1f4
  chancery token show ci --org acme
  chancery token show chyo_4fT9aQ1")]
pub(crate) struct Args {
    /// Its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret)]
    token: String,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    context.output.details(&select::token(context, &client, &args.token, Among::All).await?)
}
