use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use api::wire::{Erase, Erasure};
use reqwest::Method;

/// Delete for good what is kept about a person: mail address, name, and where the person worked from
///
/// The log stays as it is, and proves what it proved: its lines hold no such values, and what they hold in their place
/// opens to nothing any more. Open invitations to the mail address end. What others wrote, such as names of tokens, stays.
/// Somebody who is a member anywhere has to be offboarded first. Needs people:erase on the instance.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery person erase ada@example.org
  chancery person erase ID --force -j
  chancery person erase ada@example.org --dry-run")]
pub(crate) struct Args {
    /// The person's id, or a mail address, also of somebody who was invited and never came
    #[arg(value_name = "PERSON", value_parser = not_a_secret)]
    person: String,
    /// Only say what would be erased
    #[arg(long, conflicts_with = "force")]
    dry_run: bool,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if !args.dry_run {
        prompt::require_somebody(context, args.force, "the erasure")?;
    }
    let client = context.client()?;
    let path = ["v1", "users", "erase"];
    let (user, email) = if args.person.contains('@') {
        (None, Some(args.person.clone()))
    } else {
        (Some(args.person.clone()), None)
    };
    let body = Erase { user, email, dry_run: false };
    if args.dry_run || !args.force {
        let preview = Erase { dry_run: true, ..body.clone() };
        let found = client.change::<Erasure>(Method::POST, &path, &preview, None).await?;
        if args.dry_run {
            return context.output.details(&found);
        }
        let values: u64 = found.value.values.values().sum();
        let of = match found.value.organizations.len() {
            0 => String::new(),
            _ => format!(" in {}", found.value.organizations.join(", ")),
        };
        let question = format!("Erase {} for good: {values} values{of}?", args.person);
        if !prompt::confirm(&question)? {
            return Err(Failure::Cancelled);
        }
    }
    let answer = client.change::<Erasure>(Method::POST, &path, &body, None).await?;
    context.output.details(&answer)
}
