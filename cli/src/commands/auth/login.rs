use crate::client::credential::Credential;
use crate::client::login::Logins;
use crate::client::options::variable;
use crate::client::{Client, address, secret_file};
use crate::commands::{Context, prompt, token};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, escape::escape};
use api::wire::Whoami;
use secrecy::ExposeSecret as _;

/// Save a token to call an authority with
///
/// The token is tried first, and kept in chancery/login.json of the configuration folder, readable by you alone. On a
/// terminal it is asked for, and not shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery auth login --url https://chancery.example
  chancery auth login --token-stdin < token
  chancery auth login --token-file token")]
pub(crate) struct Args {
    /// Read the token from standard input
    #[arg(long, conflicts_with = "token_file")]
    token_stdin: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let options = &context.options;
    context.output.without_secret()?;
    let logins = Logins::of_user().ok_or_else(super::no_folder)?;
    let base = address::read(&options.url())?;
    let authority = address::name(&base);
    let token = match &options.token_file {
        _ if args.token_stdin => token::subject::from_stdin()?,
        Some(path) => secret_file::token(path, options.insecure_token_file)?,
        None if context.interactive => prompt::secret(&format!("Token for {authority}"))?,
        None => {
            let text = "no token to log in with; pipe it in and give --token-stdin, or give --token-file";
            return Err(Failure::Usage(text.to_owned()));
        }
    };
    let credential = Credential { token: token.clone(), source: "the token to be saved".to_owned() };
    let client = Client::with(options, &context.output, base, credential)?;
    let answer = client.get::<Whoami>(&["v1", "whoami"], &[]).await?;
    let actor = &answer.value.actor;
    logins.save(&authority, token.expose_secret(), actor)?;
    match context.output.format() {
        Format::Table => {
            output::print(&format!("Logged in to {authority} as {}.\n", escape(actor)))?;
        }
        Format::Json => context.output.json(answer.json.get())?,
        Format::Id | Format::Secret => {
            let id = answer.value.token.map_or_else(|| actor.clone(), |token| token.id.to_string());
            output::print(&format!("{}\n", escape(&id)))?;
        }
    }
    if variable("CHANCERY_TOKEN").is_some() {
        context.output.remark("CHANCERY_TOKEN is set, and goes before the saved log-in.");
    }
    Ok(Exit::Success)
}
