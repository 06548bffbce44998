use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use api::wire::{Departure, RemoveMember};
use clap::builder::PossibleValuesParser;
use reqwest::Method;

/// Remove a member from the organization and all its projects or, with --project, from that
///
/// The person's sessions lose at once what they held through it. The tokens that the person answers for are kept,
/// unless something else is said, and listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery member remove ada@example.org --org acme
  chancery member remove ada@example.org --org acme --tokens revoke --force
  chancery member remove ada@example.org --org acme --tokens hand-over --to grace@example.org")]
pub(crate) struct Args {
    /// The person's id or mail address
    #[arg(value_name = "USER", value_parser = not_a_secret)]
    user: String,
    /// What becomes of the tokens that the person answers for; keep when absent
    #[arg(long, value_parser = PossibleValuesParser::new(["keep", "revoke", "hand-over"]))]
    tokens: Option<String>,
    /// The member who takes the tokens over, by id or mail address: one who could have minted them all
    #[arg(long, value_name = "USER", value_parser = not_a_secret)]
    to: Option<String>,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
    /// Only if the role is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    prompt::require_somebody(context, args.force, "the removal")?;
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let user = super::id(&client, &organization, &args.user).await?;
    let to = match &args.to {
        Some(text) => Some(super::id(&client, &organization, text).await?),
        None => None,
    };
    let project = context.options.project();
    let place =
        project.as_deref().map_or_else(|| organization.clone(), |name| format!("{organization}/{name}"));
    if !args.force && !prompt::confirm(&format!("Remove {} from {place}?", args.user))? {
        return Err(Failure::Cancelled);
    }
    let path = ["v1", "organizations", &organization, "members", &user, "remove"];
    let body = RemoveMember { project, tokens: args.tokens, to };
    let answer = client.change::<Departure>(Method::POST, &path, &body, args.if_revision).await?;
    context.output.details(&answer)
}
