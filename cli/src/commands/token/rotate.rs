use super::expires;
use super::select::{self, Among};
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Rotate, Token};
use reqwest::Method;

/// Give a token another secret
///
/// The token stays what it is; the new secret is printed this once. The old one ends at once, unless --overlap lets
/// both be used for a while.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token rotate ci --org acme --overlap 1h
  chancery token rotate 0193506a-6f0e-7c1a-8a39-0d5be2c9a1f4 --output secret > token")]
pub(crate) struct Args {
    /// Its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret)]
    token: String,
    /// How long the old secret stays valid, at most 7d
    #[arg(long, value_name = "DURATION", value_parser = expires::duration)]
    overlap: Option<String>,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let id = select::id(context, &client, &args.token, Among::Live).await?;
    let path = ["v1", "tokens", &id, "rotate"];
    let body = Rotate { overlap: args.overlap };
    let answer = client.change::<Token>(Method::POST, &path, &body, args.if_revision).await?;
    context.output.minted(&answer)
}
