//! The one binary: the server, and the command line of those who use one.

mod client;
mod commands;
mod failure;
mod output;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use client::options::Options;
use std::process::ExitCode;

/// Issues API tokens, answers what they may do, and keeps the record of both.
#[derive(Debug, Parser)]
#[command(name = "chancery", version, after_long_help = HELP, propagate_version = true, subcommand_required = true)]
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
The token to call with is the first found of --token-file, CHANCERY_TOKEN and the saved log-in. No secret is ever
given as an argument, where other users of the machine could read it.

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
    let matches = command().get_matches();
    let cli = read(&matches).unwrap_or_else(|error| error.exit());
    run(cli)
}

fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Command::Client(command) => commands::run(command, cli.options).into(),
    }
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
