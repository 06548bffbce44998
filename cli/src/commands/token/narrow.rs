use super::expires::Expires;
use super::particulars::Particulars;
use crate::commands::{Context, prompt};
use crate::failure::Failure;
use api::wire::{NarrowToken, Token};
use reqwest::Method;

/// Mint a token that can do no more than the one that you call with, and ends with it
///
/// Every holder of a token may. Without --grant it holds all that the caller's holds, without --expires it lasts as
/// long.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token narrow --name one-job --grant project-reader@web --expires 1h
  chancery token narrow --name one-job --expires 10m --output secret > token")]
pub(crate) struct Args {
    #[command(flatten)]
    particulars: Particulars,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let particulars = args.particulars;
    let (expires_in, expires_at) = Expires::fields(particulars.expires);
    if expires_at == Some(None) {
        return Err(Failure::Usage(
            "--expires never: a narrowed token ends with the one it is of".to_owned(),
        ));
    }
    let metadata = particulars.metadata.read()?;
    let name = match particulars.name {
        Some(name) => name,
        None if context.interactive => prompt::text("Name")?,
        None => return Err(Failure::Usage("missing: --name".to_owned())),
    };
    let body = NarrowToken {
        name,
        description: particulars.description,
        grants: Some(particulars.grants).filter(|grants| !grants.is_empty()),
        expires_in,
        expires_at: expires_at.flatten(),
        not_before: particulars.not_before,
        allowed_networks: particulars.networks,
        metadata,
    };
    let client = context.client()?;
    let answer = client.change::<Token>(Method::POST, &["v1", "tokens", "narrow"], &body, None).await?;
    context.output.minted(&answer)
}
