use crate::client::credential::Credential;
use crate::client::login::Logins;
use crate::client::{Client, address};
use crate::commands::{Context, auth, not_a_secret, prompt, token};
use crate::failure::Failure;
use api::wire::{AcceptInvitation, Token};
use reqwest::Method;
use secrecy::ExposeSecret as _;

/// Become a member, and have a session of 24 hours
///
/// The invitation's text is asked for, or read from standard input: it is a secret, and accepted once. What is printed
/// is the session.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery invite accept --url https://chancery.example --name 'Ada Lovelace' --save
  chancery invite accept --invitation-stdin --output secret < invitation > session
  chancery invite accept --join --invitation-stdin < invitation")]
pub(crate) struct Args {
    /// Read the invitation's text from standard input
    #[arg(long)]
    invitation_stdin: bool,
    /// Your name
    #[arg(long, value_name = "TEXT", value_parser = not_a_secret)]
    name: Option<String>,
    /// Accept as the person whose session commands call with, instead of as a new one
    #[arg(long)]
    join: bool,
    /// Save the session as the log-in
    #[arg(long)]
    save: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let options = &context.options;
    let base = address::read(&options.url())?;
    let text = if args.invitation_stdin {
        token::subject::from_stdin()?
    } else if context.interactive {
        prompt::secret("Invitation")?
    } else {
        let text = "no invitation to accept; pipe its text in and give --invitation-stdin";
        return Err(Failure::Usage(text.to_owned()));
    };
    let authority = address::name(&base);
    let client = if args.join {
        context.client()?
    } else {
        // The invitation is what the call is made with.
        let credential = Credential { token: text.clone(), source: "the invitation".to_owned() };
        Client::with(options, &context.output, base, credential)?
    };
    let body = AcceptInvitation { invitation: text.expose_secret().to_owned(), name: args.name };
    let path = ["v1", "invitations", "accept"];
    let answer = client.change::<Token>(Method::POST, &path, &body, None).await?;
    if let Some(session) = answer.value.secret.as_deref().filter(|_| args.save) {
        let logins = Logins::of_user().ok_or_else(auth::no_folder)?;
        logins.save(&authority, session, &answer.value.created_by)?;
        context.output.remark(&format!("Logged in to {authority} as {}.", answer.value.created_by));
    }
    context.output.minted(&answer)
}
