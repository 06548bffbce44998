use crate::commands::Context;
use crate::failure::Failure;
use api::wire::User;

/// List all persons of the instance, in the order of their first coming
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  chancery user list")]
pub(crate) struct Args {
    /// At most so many; all when absent
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    limit: Option<usize>,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    context.output.list(&client.list::<User>(&["v1", "users"], &[], args.limit).await?)
}
