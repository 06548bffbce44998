use crate::commands::{Context, ends, not_a_secret, prompt};
use crate::failure::Failure;
use crate::output;
use api::wire::{Organization, Suspend};
use reqwest::Method;

/// Refuse all tokens of an organization until it is restored
///
/// On a terminal it is shown what is refused, and has to be confirmed. Where nobody can be asked, --force is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery org suspend acme --note 'under investigation'
  chancery org suspend acme --force")]
pub(crate) struct Args {
    /// Its name or id
    #[arg(value_name = "ORG", value_parser = not_a_secret)]
    organization: String,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
    /// Why, in your words
    #[arg(long, visible_alias = "reason", value_name = "TEXT")]
    note: Option<String>,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if !args.force && !context.interactive {
        let text =
            "nobody is there to confirm the suspension; give --force (-f) to suspend without being asked";
        return Err(Failure::Usage(text.to_owned()));
    }
    let client = context.client()?;
    let path = ["v1", "organizations", &args.organization];
    if !args.force {
        output::ask(&ends::what_ends(&client, &path, "organization").await?);
        if !prompt::confirm("Refuse all of its tokens until it is restored?")? {
            return Err(Failure::Cancelled);
        }
    }
    let (path, body) = ([&path[..], &["suspend"]].concat(), Suspend { note: args.note });
    let answer = client.change::<Organization>(Method::POST, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
