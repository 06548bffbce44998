use super::expires::Expires;
use super::particulars::Particulars;
use crate::client::Client;
use crate::commands::{Context, prompt};
use crate::failure::Failure;
use api::wire::{NewToken, Scope, Token};
use domain::role::{self, Level};
use reqwest::Method;

/// Mint a token
///
/// Its scope is the instance (--instance), an organization (--org) or a project in it (--org and --project). The
/// secret is printed this once. On a terminal, what is missing is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token mint --org acme --name ci --grant member --expires 30d
  chancery token mint --org acme --project web --name cd --grant project-writer --network 10.0.0.0/8
  chancery token mint --org acme --name bot --grant project-writer@web --grant project-reader@api
  chancery token mint --instance --name auditor --grant instance-auditor --expires never
  chancery token mint --org acme --name ci --grant member --output secret > token")]
pub(crate) struct Args {
    /// A token of the whole instance
    #[arg(long)]
    instance: bool,
    #[command(flatten)]
    particulars: Particulars,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let Args { instance, particulars } = args;
    check(context, instance, &particulars)?;
    let metadata = particulars.metadata.read()?;
    let client = context.client()?;
    let scope = scope(context, &client, instance).await?;
    let name = match particulars.name {
        Some(name) => name,
        None => prompt::text("Name")?,
    };
    let grants = if particulars.grants.is_empty() { ask_grants(&scope)? } else { particulars.grants };
    let (expires_in, expires_at) = Expires::fields(particulars.expires);
    let body = NewToken {
        name,
        description: particulars.description,
        scope,
        grants,
        expires_in,
        expires_at,
        not_before: particulars.not_before,
        allowed_networks: particulars.networks,
        metadata,
    };
    let answer = client.change::<Token>(Method::POST, &["v1", "tokens"], &body, None).await?;
    context.output.minted(&answer)
}

/// Everything that is missing or does not go together, before anything is asked of anybody.
fn check(context: &Context, instance: bool, particulars: &Particulars) -> Result<(), Failure> {
    let options = &context.options;
    for (flag, value) in [("--org", &options.org), ("--project", &options.project)] {
        if instance && value.as_ref().is_some_and(|value| !value.is_empty()) {
            return Err(Failure::Usage(format!("--instance cannot be combined with {flag}")));
        }
    }
    if context.interactive {
        return Ok(());
    }
    let mut missing = Vec::new();
    if !instance && options.organization().is_none() {
        missing.push("a scope (--org or CHANCERY_ORG, or --instance)");
    }
    if particulars.name.is_none() {
        missing.push("--name");
    }
    if particulars.grants.is_empty() {
        missing.push("--grant");
    }
    if missing.is_empty() { Ok(()) } else { Err(Failure::Usage(format!("missing: {}", missing.join(", ")))) }
}

async fn scope(context: &Context, client: &Client, instance: bool) -> Result<Scope, Failure> {
    if instance {
        return Ok(Scope { instance: Some(true), ..Scope::default() });
    }
    let organization = Some(context.organization(client).await?);
    Ok(Scope { organization, project: context.options.project(), instance: None })
}

/// Among the built-in roles of the scope; others can be given as flags.
fn ask_grants(scope: &Scope) -> Result<Vec<String>, Failure> {
    let level = match (&scope.organization, &scope.project) {
        (_, Some(_)) => Level::Project,
        (Some(_), None) => Level::Organization,
        (None, None) => Level::Instance,
    };
    let roles = role::built_in().filter(|role| role.level == level).map(|role| role.name.to_string());
    prompt::pick_some("Grants", roles.collect(), Clone::clone)
}
