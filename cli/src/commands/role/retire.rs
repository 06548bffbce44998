use super::Owner;
use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use crate::output;
use api::wire::{RetiredRole, Role};

/// End a role
///
/// A role that live tokens hold goes only with a --replacement, which takes its place in all of them at once. On a
/// terminal it has to be confirmed. Where nobody can be asked, --force is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery role retire deployer --org acme
  chancery role retire deployer --org acme --replacement project-writer --force")]
pub(crate) struct Args {
    #[command(flatten)]
    owner: Owner,
    /// Its name
    #[arg(value_parser = not_a_secret)]
    name: String,
    /// What its holders have from then on in its place
    #[arg(long, value_name = "ROLE", value_parser = not_a_secret)]
    replacement: Option<String>,
    /// Ask for no confirmation
    #[arg(short, long)]
    force: bool,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    args.owner.check(context)?;
    if !args.force && !context.interactive {
        return Err(Failure::Usage(
            "nobody is there to confirm that the role ends; give --force (-f) to retire it without being asked"
                .to_owned(),
        ));
    }
    let client = context.client()?;
    let organization = args.owner.organization(context, &client).await?;
    let path = super::path(organization.as_deref(), Some(&args.name));
    if !args.force {
        let role = client.get::<Role>(&path, &[]).await?.value;
        let (tokens, members) = (role.holders.unwrap_or_default(), role.members.unwrap_or_default());
        let permissions = role.permissions.join(", ");
        output::ask(&format!("  {}: {permissions} ({tokens} live tokens, {members} members)", role.name));
        let question = match &args.replacement {
            Some(replacement) => format!("Retire this role, with {replacement} in its place?"),
            None => "Retire this role?".to_owned(),
        };
        if !prompt::confirm(&output::escape::escape(&question))? {
            return Err(Failure::Cancelled);
        }
    }
    let query: Vec<(&str, String)> =
        args.replacement.into_iter().map(|replacement| ("replacement", replacement)).collect();
    let answer = client.end::<RetiredRole>(&path, &query, args.if_revision).await?;
    context.output.row(&answer)
}
