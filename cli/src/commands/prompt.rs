//! Questions to whoever sits at the terminal. Everything asked here can be given as a flag instead.

use crate::commands::Context;
use crate::failure::Failure;
use crate::output::escape::escape;
use inquire::error::InquireError;
use inquire::validator::{MinLengthValidator, ValueRequiredValidator};
use inquire::{Confirm, MultiSelect, Password, PasswordDisplayMode, Select, Text};
use secrecy::SecretString;
use std::fmt;

struct Choice<T> {
    value: T,
    label: String,
}

impl<T> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

fn choices<T>(values: Vec<T>, label: impl Fn(&T) -> String) -> Vec<Choice<T>> {
    values.into_iter().map(|value| Choice { label: escape(&label(&value)).into_owned(), value }).collect()
}

/// One of several.
pub(super) fn pick<T>(question: &str, values: Vec<T>, label: impl Fn(&T) -> String) -> Result<T, Failure> {
    let picked = Select::new(question, choices(values, label)).prompt().map_err(failure)?;
    Ok(picked.value)
}

/// One or more of several.
pub(super) fn pick_some<T>(
    question: &str,
    values: Vec<T>,
    label: impl Fn(&T) -> String,
) -> Result<Vec<T>, Failure> {
    let picked = MultiSelect::new(question, choices(values, label))
        .with_help_message("space to choose, enter when done")
        .with_validator(MinLengthValidator::new(1).with_message("at least one is needed"))
        .prompt()
        .map_err(failure)?;
    Ok(picked.into_iter().map(|choice| choice.value).collect())
}

pub(super) fn text(question: &str) -> Result<String, Failure> {
    Text::new(question)
        .with_validator(ValueRequiredValidator::new("this cannot be empty"))
        .prompt()
        .map_err(failure)
}

/// A text that is not shown while it is typed or pasted.
pub(super) fn secret(question: &str) -> Result<SecretString, Failure> {
    let text = Password::new(question)
        .with_display_mode(PasswordDisplayMode::Hidden)
        .without_confirmation()
        .prompt()
        .map_err(failure)?;
    crate::client::secret_file::parse(&text, "the answer")
}

/// Refuses what has to be confirmed where nobody is there to do it.
pub(super) fn require_somebody(context: &Context, force: bool, what: &str) -> Result<(), Failure> {
    if force || context.interactive {
        return Ok(());
    }
    let text = format!("nobody is there to confirm {what}; give --force (-f) to go on without being asked");
    Err(Failure::Usage(text))
}

/// Yes or no; no unless said otherwise.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    Confirm::new(question).with_default(false).prompt().map_err(failure)
}

fn failure(error: InquireError) -> Failure {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => Failure::Cancelled,
        other => Failure::Other(format!("cannot ask: {other}")),
    }
}
