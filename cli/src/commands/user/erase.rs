use crate::client::Answer;
use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use api::wire::{Erase, Erasure};
use reqwest::Method;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Of more values than these, the server says only that they are more.
const COUNTED: u64 = 10_000;

/// Delete for good what is kept about a person: mail address, name, and where the person worked from
///
/// The log stays as it is, and proves what it proved: its lines hold no such values, and what they hold in their place
/// opens to nothing any more. Open invitations to the mail address end. What others wrote, such as names of tokens,
/// stays. Somebody who is a member anywhere has to be offboarded first. By id, the mail address is followed to other
/// invitations only if the person has shown to receive mail there. By mail address, members who have not shown that
/// lose the address and nothing else. Needs people:erase on the instance.
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
        let values = if found.value.more || values > COUNTED {
            format!("at least {values}")
        } else {
            values.to_string()
        };
        let of = match found.value.organizations.len() {
            0 => String::new(),
            _ => format!(" in {}", found.value.organizations.join(", ")),
        };
        let question = format!("Erase {} for good: {values} values{of}?", args.person);
        if !prompt::confirm(&question)? {
            return Err(Failure::Cancelled);
        }
    }
    let mut answer = client.change::<Erasure>(Method::POST, &path, &body, None).await?;
    while answer.value.more && !client.has_own_key() {
        let next = client.change::<Erasure>(Method::POST, &path, &body, None).await?;
        answer = together(&answer.value, &next.value)?;
    }
    context.output.details(&answer)
}

/// What two steps of one erasure come to.
fn together(before: &Erasure, next: &Erasure) -> Result<Answer<Erasure>, Failure> {
    let union = |before: &[Uuid], next: &[Uuid]| -> Vec<Uuid> {
        before.iter().chain(next).copied().collect::<BTreeSet<_>>().into_iter().collect()
    };
    let organizations = before.organizations.iter().chain(&next.organizations).cloned();
    let mut values = before.values.clone();
    for (kind, count) in &next.values {
        *values.entry(kind.clone()).or_default() += count;
    }
    let value = Erasure {
        dry_run: false,
        users: union(&before.users, &next.users),
        invitations: before.invitations + next.invitations,
        organizations: organizations.collect::<BTreeSet<_>>().into_iter().collect(),
        values,
        members: union(&before.members, &next.members),
        more: next.more,
    };
    let json = serde_json::value::to_raw_value(&value)
        .map_err(|error| Failure::Other(format!("the answer cannot be written: {error}")))?;
    Ok(Answer { value, json })
}
