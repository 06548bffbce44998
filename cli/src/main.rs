//! The one binary: the server, and the command line of those who use one.

mod client;
mod commands;
mod failure;
mod output;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use client::options::Options;
use std::io::Write as _;
use std::process::ExitCode;

/// Issues API tokens, answers what they may do, and keeps the record of both.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, after_long_help = HELP, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    // The server's commands (`Serve`, `Demo`) stand here, and have one arm each in `run`.
    #[command(flatten)]
    Client(commands::Command),
}

/// Commands that call no authority, and so do not list how to.
const LOCAL: [&str; 4] = ["serve", "demo", "log", "completions"];

const HELP: &str = "\
The token to call with is the first found of --token-file, CHANCERY_TOKEN and the saved log-in. No \
secret is ever given as an argument, where other users of the machine could read it.

Exit codes:
  0  done
  1  failed
  2  the command line, or a value in it, is at fault
  3  `token verify`: the token may not
  4  no token, one that is not accepted, or one that may not do this
  5  not found
  6  what is there stands against it: a taken name, an ended token, another revision
  7  no answer: the server cannot be reached, or cannot answer now

Examples:
  chancery auth login --url https://chancery.example
  chancery org create acme
  chancery token mint --org acme --name ci --grant member --expires 30d
  chancery token list --org acme
  chancery token verify --token-stdin --permission deployments:create < token";

fn main() -> ExitCode {
    let read = command().try_get_matches().and_then(|matches| read(&matches));
    read.map_or_else(|error| usage(&error), run)
}

fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Client(command) => commands::run(command, cli.options).into(),
    }
}

/// Help, or what is wrong with the command line. Somebody may have typed a secret into it.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().ansi().to_string();
    // When nobody reads it, the exit code still tells.
    if error.use_stderr() {
        let _ = anstream::stderr().write_all(domain::text::mask(&text).as_bytes());
    } else {
        let _ = anstream::stdout().write_all(text.as_bytes());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn read(matches: &ArgMatches) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(matches).map_err(|error| error.format(&mut command()))
}

/// The command line. Flags of the client are not listed where they mean nothing.
fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    for name in LOCAL {
        if command.find_subcommand(name).is_some() {
            command = command.mut_subcommand(name, |local| {
                local.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg })
            });
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
        let _ = command();
    }
}
