use super::expires::Expires;
use super::particulars::Metadata;
use super::select::{self, Among};
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Token, UpdateToken};
use reqwest::Method;

/// Change a token's name, description, grants, expiry or metadata
///
/// What is not given stays. Grants are given all at once: those that are not named are taken away.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token update ci --org acme --description 'Builds and deploys'
  chancery token update ci --org acme --grant member --grant project-writer@web
  chancery token update ci --org acme --expires 90d --if-revision 3")]
pub(crate) struct Args {
    /// Its id, its name, or how its secret begins (at most 12 characters)
    #[arg(value_parser = not_a_secret)]
    token: String,
    /// The new name
    #[arg(long)]
    name: Option<String>,
    /// The new description; empty removes it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A role that it holds from now on: ROLE, or ROLE@PROJECT; may be repeated
    #[arg(long = "grant", alias = "role", value_name = "GRANT")]
    grants: Vec<String>,
    /// When it ends: 30d from now, 12h, a time (RFC 3339), or never
    #[arg(short = 'x', long, visible_alias = "expiration", value_name = "WHEN")]
    expires: Option<Expires>,
    #[command(flatten)]
    metadata: Metadata,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let says_something = args.name.is_some()
        || args.description.is_some()
        || !args.grants.is_empty()
        || args.expires.is_some()
        || args.metadata.is_given();
    if !says_something {
        return Err(Failure::Usage(
            "nothing to change; give --name, --description, --grant, --expires, --metadata or --metadata-file"
                .to_owned(),
        ));
    }
    let (expires_in, expires_at) = Expires::fields(args.expires);
    let body = UpdateToken {
        name: args.name,
        description: args.description,
        metadata: args.metadata.read()?,
        grants: Some(args.grants).filter(|grants| !grants.is_empty()),
        expires_in,
        expires_at,
    };
    let client = context.client()?;
    let id = select::id(context, &client, &args.token, Among::Live).await?;
    let path = ["v1", "tokens", &id];
    let answer = client.change::<Token>(Method::PATCH, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
