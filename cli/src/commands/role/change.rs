use super::Owner;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use api::wire::{Role, RoleChange};
use reqwest::Method;

/// Change what a role may do, at once for all that hold it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery role change deployer --org acme --add deployments:read --remove projects:read
  chancery role change deployer --org acme --permission 'deployments:*' --if-revision 17")]
pub(crate) struct Args {
    #[command(flatten)]
    owner: Owner,
    /// Its name
    #[arg(value_parser = not_a_secret)]
    name: String,
    /// What it may do from now on, all of it; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION", conflicts_with_all = ["add", "remove"])]
    permissions: Vec<String>,
    /// What it may do as well; may be repeated
    #[arg(long, value_name = "PERMISSION")]
    add: Vec<String>,
    /// What it may no longer do, as it stands in the role; may be repeated
    #[arg(long, value_name = "PERMISSION")]
    remove: Vec<String>,
    /// Only if it is still at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    args.owner.check(context)?;
    if args.permissions.is_empty() && args.add.is_empty() && args.remove.is_empty() {
        let text = "nothing to change; give --permission, --add or --remove";
        return Err(Failure::Usage(text.to_owned()));
    }
    let client = context.client()?;
    let organization = args.owner.organization(context, &client).await?;
    let permissions = Some(args.permissions).filter(|permissions| !permissions.is_empty());
    let body = RoleChange { permissions, add: args.add, remove: args.remove };
    let path = super::path(organization.as_deref(), Some(&args.name));
    let answer = client.change::<Role>(Method::PATCH, &path, &body, args.if_revision).await?;
    context.output.row(&answer)
}
