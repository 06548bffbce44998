use crate::commands::{Context, not_a_secret, prompt};
use crate::failure::Failure;
use api::wire::{Invitation, NewInvitation};
use reqwest::Method;

/// Invite somebody to an organization or, with --project, to a project of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery invite create --org acme --email ada@example.org --role member
  chancery invite create --org acme --project web --email ada@example.org --role project-writer --expires 2d
  chancery invite create --org acme --email ada@example.org --role owner --output secret > invitation")]
pub(crate) struct Args {
    /// The mail address
    #[arg(long, value_name = "ADDRESS", value_parser = not_a_secret)]
    email: Option<String>,
    /// What the member will hold: a role of the organization or, with --project, of the project
    #[arg(long, value_name = "ROLE", value_parser = not_a_secret)]
    role: Option<String>,
    /// How long it can be accepted, such as 12h or 30d; 7d when absent
    #[arg(long, value_name = "DURATION", visible_alias = "expiration")]
    expires: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if !context.interactive && (args.email.is_none() || args.role.is_none()) {
        return Err(Failure::Usage("missing: give --email and --role".to_owned()));
    }
    let client = context.client()?;
    let organization = context.organization(&client).await?;
    let ask = |given: Option<String>, what| given.map_or_else(|| prompt::text(what), Ok);
    let body = NewInvitation {
        email: ask(args.email, "Mail address")?,
        role: ask(args.role, "Role")?,
        project: context.options.project(),
        expires_in: args.expires,
    };
    let path = ["v1", "organizations", &organization, "invitations"];
    let answer = client.change::<Invitation>(Method::POST, &path, &body, None).await?;
    super::given(context, &answer)
}
