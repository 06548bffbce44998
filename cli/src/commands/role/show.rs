use super::Owner;
use crate::client::Answer;
use crate::commands::{Context, not_a_secret};
use crate::failure::Failure;
use crate::output::rows::Row as _;
use crate::output::{self, Format, table, times};
use api::wire::{Role, Token};

/// Show a role, and which live tokens hold it
///
/// With --json, the role alone; `chancery token list --role` lists who holds it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery role show deployer --org acme
  chancery role show instance-auditor --instance")]
pub(crate) struct Args {
    #[command(flatten)]
    owner: Owner,
    /// Its name
    #[arg(value_parser = not_a_secret)]
    name: String,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    args.owner.check(context)?;
    let client = context.client()?;
    let organization = args.owner.organization(context, &client).await?;
    let role = client.get::<Role>(&super::path(organization.as_deref(), Some(&args.name)), &[]).await?;
    if context.output.format() != Format::Table || role.value.holders.unwrap_or_default() == 0 {
        return context.output.details(&role);
    }
    let mut query = vec![("role", args.name.clone())];
    query.extend(organization.map(|organization| ("organization", organization)));
    let holders: Vec<Answer<Token>> = client.list(&["v1", "tokens"], &query, None).await?;
    let rows = holders.iter().map(|answer| answer.value.cells(times::now())).collect();
    let details = table::pairs(&role.value.details(times::now()));
    output::print(&format!("{details}\n{}", table::columns(Token::COLUMNS, rows, false)))
}
