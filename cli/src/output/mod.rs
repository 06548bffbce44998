//! What commands print: data to standard output, everything else to standard error.
//!
//! A command prints its data once, when it has all of it: whoever reads along gets one whole document or nothing.

pub(crate) mod escape;
mod people;
pub(crate) mod progress;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod times;

use crate::client::Answer;
use crate::failure::Failure;
use crate::output::escape::{indent_json, plain};
use crate::output::rows::Row;
use clap::ValueEnum;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

/// The shape of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// The server's JSON, for programs
    Json,
    /// Only the secret that was made, for scripts
    Secret,
    /// Only ids, one a line, for scripts
    Id,
}

/// Where and how a command prints.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    /// Whether a person looks at standard output.
    terminal: bool,
    /// Whether a person looks at standard error.
    person: bool,
}

impl Output {
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self {
            format,
            quiet,
            terminal: std::io::stdout().is_terminal(),
            person: std::io::stderr().is_terminal(),
        }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Refuses `--output secret` before anything is asked of a server, where no secret can come of it.
    pub(crate) fn without_secret(&self) -> Result<(), Failure> {
        match self.format {
            Format::Secret => {
                Err(Failure::Usage("--output secret is for mint, narrow and rotate".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// One thing, as a row.
    pub(crate) fn row<T: Row>(&self, answer: &Answer<T>) -> Result<(), Failure> {
        match self.format {
            Format::Table => print(&self.table(std::slice::from_ref(answer))),
            _ => self.one(answer),
        }
    }

    /// One thing, with all that is known of it.
    pub(crate) fn details<T: Row>(&self, answer: &Answer<T>) -> Result<(), Failure> {
        match self.format {
            Format::Table => print(&table::pairs(&answer.value.details(times::now()))),
            _ => self.one(answer),
        }
    }

    fn one<T: Row>(&self, answer: &Answer<T>) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Json => self.json(answer.json.get()),
            Format::Id => print(&format!("{}\n", answer.value.id())),
            Format::Secret => match answer.value.secret() {
                Some(secret) => print(&format!("{secret}\n")),
                None => Err(Failure::Other("the server no longer has the secret to hand out".to_owned())),
            },
        }
    }

    /// Several things.
    pub(crate) fn list<T: Row>(&self, answers: &[Answer<T>]) -> Result<(), Failure> {
        match self.format {
            Format::Table => print(&self.table(answers)),
            Format::Json => {
                let items: Vec<&str> = answers.iter().map(|answer| answer.json.get()).collect();
                self.json(&format!("[{}]", items.join(",")))
            }
            Format::Id => {
                let ids: Vec<String> = answers.iter().map(|answer| answer.value.id()).collect();
                print(&lines(&ids))
            }
            Format::Secret => self.without_secret(),
        }
    }

    /// A token that has just been given a secret.
    pub(crate) fn minted(&self, answer: &Answer<api::wire::Token>) -> Result<(), Failure> {
        let missing = "The server no longer has the secret to hand out. Rotate the token to have a new one.";
        self.with_secret(answer, "Store the secret now; it is not shown again.", missing)
    }

    /// Something that came with a secret, or says why it did not.
    pub(crate) fn with_secret<T: Row>(
        &self,
        answer: &Answer<T>,
        advice: &str,
        missing: &str,
    ) -> Result<(), Failure> {
        if self.format != Format::Table {
            return self.one(answer);
        }
        let mut text = self.table(std::slice::from_ref(answer));
        if let Some(secret) = answer.value.secret() {
            text.push_str("\nSECRET  ");
            text.push_str(&escape::escape(secret));
            text.push('\n');
        }
        print(&text)?;
        match answer.value.secret() {
            Some(_) => self.hint(advice),
            None => self.remark(missing),
        }
        Ok(())
    }

    /// One JSON document: as it is for programs, indented for people.
    pub(crate) fn json(&self, json: &str) -> Result<(), Failure> {
        if self.terminal { print(&format!("{}\n", indent_json(json))) } else { print(&format!("{json}\n")) }
    }

    fn table<T: Row>(&self, answers: &[Answer<T>]) -> String {
        let rows = answers.iter().map(|answer| answer.value.cells(times::now())).collect();
        table::columns(T::COLUMNS, rows, self.terminal)
    }

    /// What whoever runs the command should know, to standard error, unless it is to be quiet.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            // A remark that cannot be written is no reason to fail.
            let _ = writeln!(anstream::stderr(), "{}", plain(text));
        }
    }

    /// A remark that is only of use to a person.
    pub(crate) fn hint(&self, text: &str) {
        if self.person {
            self.remark(text);
        }
    }
}

/// Data, to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
        Err(error) => Err(Failure::Other(format!("cannot write the output: {error}"))),
    }
}

/// What a question is about; it is said however quiet, as the answer depends on it.
pub(crate) fn ask(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", plain(text));
}

/// One a line.
pub(crate) fn lines(items: &[String]) -> String {
    items.iter().flat_map(|item| [item.as_str(), "\n"]).collect()
}
