//! The client's commands: one folder a noun, one file a command.
//!
//! A command reads its flags, asks where it may, makes its call and hands the answer to the output. It decides nothing
//! that the server decides.

mod audit;
mod auth;
mod completions;
mod ends;
mod explain;
mod invite;
mod leak;
pub(crate) mod log;
mod member;
mod org;
mod project;
mod prompt;
mod role;
mod token;
mod user;
mod whoami;

use crate::client::Client;
use crate::client::options::Options;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use api::wire::Organization;
use clap::Subcommand;
use std::io::IsTerminal as _;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Organizations
    #[command(subcommand, visible_alias = "organization", alias = "orgs")]
    Org(org::Command),
    /// Projects of an organization
    #[command(subcommand, alias = "projects")]
    Project(project::Command),
    /// Roles: what tokens that hold them may do
    #[command(subcommand, alias = "roles")]
    Role(role::Command),
    /// Invitations to become a member
    #[command(subcommand, visible_alias = "invitation", alias = "invitations")]
    Invite(invite::Command),
    /// Members of an organization and its projects
    #[command(subcommand, alias = "members")]
    Member(member::Command),
    /// Persons, whichever organizations they are members of
    #[command(subcommand, visible_alias = "person", aliases = ["users", "persons", "people"])]
    User(user::Command),
    /// Tokens, from their minting to their end
    #[command(subcommand, alias = "tokens")]
    Token(token::Command),
    /// Ask whether a token, or a draft of one, would be allowed to do something, and why
    Explain(explain::Args),
    /// Secrets that were seen where they should not be
    #[command(subcommand, alias = "leaks")]
    Leak(leak::Command),
    /// What the log proves; beside the commands of a node's own, in `chancery log`
    #[command(skip)]
    Log(log::Command),
    /// What happened, who did it, and when
    #[command(subcommand)]
    Audit(audit::Command),
    /// Log in and out
    #[command(subcommand)]
    Auth(auth::Command),
    /// Show who the token belongs to that commands call with, and what it may do
    Whoami,
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// What every command works with.
struct Context {
    options: Options,
    output: Output,
    /// Whether somebody is there to be asked.
    interactive: bool,
}

/// Runs a command to its end.
pub(crate) fn run(command: Command, options: Options) -> Exit {
    let output = Output::new(options.format(), options.quiet);
    let interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let context = Context { options, output, interactive };
    // One call at a time needs one thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(&context, command)),
        Err(error) => Err(Failure::Other(format!("cannot start: {error}"))),
    };
    ended.unwrap_or_else(|failure| {
        failure.report();
        failure.exit()
    })
}

async fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Org(command) => org::run(context, command).await,
        Command::Project(command) => project::run(context, command).await,
        Command::Role(command) => role::run(context, command).await,
        Command::Invite(command) => invite::run(context, command).await,
        Command::Member(command) => member::run(context, command).await,
        Command::User(command) => user::run(context, command).await,
        Command::Token(command) => token::run(context, command).await,
        Command::Explain(args) => explain::run(context, args).await,
        Command::Leak(command) => leak::run(context, command).await,
        Command::Log(command) => log::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::Auth(command) => auth::run(context, command).await,
        Command::Whoami => whoami::run(context).await,
        Command::Completions(args) => completions::run(&args),
    }
}

impl Context {
    fn client(&self) -> Result<Client, Failure> {
        Client::connect(&self.options, &self.output)
    }

    /// The organization that a command is about: named, or picked by whoever is there.
    async fn organization(&self, client: &Client) -> Result<String, Failure> {
        match self.options.organization() {
            Some(organization) => Ok(organization),
            None if self.interactive => {
                let found = organizations(client).await?;
                if found.is_empty() {
                    let text = "there is no organization that this token may list; name one with --org";
                    return Err(Failure::Usage(text.to_owned()));
                }
                prompt::pick("Organization", found, Clone::clone)
            }
            None => Err(Failure::Usage(
                "no organization is named; give --org (-o), or set CHANCERY_ORG".to_owned(),
            )),
        }
    }
}

/// The names of all organizations that the caller may list.
async fn organizations(client: &Client) -> Result<Vec<String>, Failure> {
    let found = client.list::<Organization>(&["v1", "organizations"], &[], None).await?;
    Ok(found.into_iter().map(|answer| answer.value.name).collect())
}

/// A name or id as an argument. A secret is refused there: it would be seen by others, and kept by the shell.
fn not_a_secret(text: &str) -> Result<String, String> {
    if !domain::secret::is_well_formed(text) {
        return Ok(text.to_owned());
    }
    let help = "this is the secret of a token, and arguments are visible to others: rotate the token. To find whose a \
                secret is, pipe it to `chancery token identify --token-stdin`";
    Err(help.to_owned())
}

/// How many, at least one.
fn count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number from 1 up is needed".to_owned())
}
