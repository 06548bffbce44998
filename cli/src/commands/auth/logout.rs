use crate::client::address;
use crate::client::login::Logins;
use crate::commands::Context;
use crate::failure::{Exit, Failure};

/// Nothing is asked of the server: a log-in can be forgotten when it no longer answers.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let authority = address::name(&address::read(&context.options.url())?);
    let logins = Logins::of_user().ok_or_else(super::no_folder)?;
    if logins.forget(&authority)? {
        context.output.remark(&format!("Logged out of {authority}."));
        context.output.hint("The token itself is still in force; `chancery token revoke` ends it.");
    } else {
        context.output.remark(&format!("There is no log-in saved for {authority}."));
    }
    Ok(Exit::Success)
}
