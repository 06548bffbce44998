use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Member, SetMemberRole};
use reqwest::Method;

/// Give a member another role in the organization or, with --project, a first or another one in that
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery member set-role ada@example.org admin --org acme
  chancery member set-role ID project-writer --org acme --project web")]
pub(crate) struct Args {
    /// The person's id or mail address
    #[arg(value_name = "USER", value_parser = not_a_secret)]
    user: String,
    /// The role
    #[arg(value_name = "ROLE", value_parser = not_a_secret)]
    role: String,
    /// Only if the role is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let user = super::id(&client, &organization, &args.user).await?;
    let path = ["v1", "organizations", &organization, "members", &user];
    let body = SetMemberRole { role: args.role, project: context.options.project() };
    let answer = client.change::<Member>(Method::PATCH, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
