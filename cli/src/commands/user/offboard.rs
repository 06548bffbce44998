use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use api::wire::{Departure, Offboard};
use clap::builder::PossibleValuesParser;
use reqwest::Method;

/// End all memberships and sessions of a person, in every organization, at once
///
/// The tokens that the person answers for are kept, unless something else is said, and listed. Whoever is the last owner
/// of an organization stays until it has another.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery user offboard ada@example.org --tokens revoke
  chancery user offboard ID --force")]
pub(crate) struct Args {
    /// The person's id or mail address: everybody who has that is offboarded
    #[arg(value_name = "USER", value_parser = not_a_secret)]
    user: String,
    /// What becomes of the tokens that the person answers for; keep when absent
    #[arg(long, value_parser = PossibleValuesParser::new(["keep", "revoke", "hand-over"]))]
    tokens: Option<String>,
    /// The person who takes the tokens over, by id or mail address: in each organization one who could have minted them
    #[arg(long, value_name = "USER", value_parser = not_a_secret)]
    to: Option<String>,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    prompt::require_somebody(context, args.force, "the offboarding")?;
    let client = context.client()?;
    let users = super::ids(&client, &args.user).await?;
    let to = match &args.to {
        Some(text) => Some(super::id(&client, text).await?),
        None => None,
    };
    let ids = if users.len() > 1 { format!(" ({} ids)", users.len()) } else { String::new() };
    let question = format!("Offboard {}{ids} from every organization?", args.user);
    if !args.force && !prompt::confirm(&question)? {
        return Err(Failure::Cancelled);
    }
    let body = Offboard { tokens: args.tokens, to };
    for user in &users {
        let path = ["v1", "users", user, "offboard"];
        let answer = client.change::<Departure>(Method::POST, &path, &body, None).await?;
        context.output.details(&answer)?;
    }
    Ok(())
}
