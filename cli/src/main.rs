//! The one binary: the server, and the command line of those who use one.

mod client;
mod commands;
mod demo;
mod failure;
mod output;
mod serve;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use client::options::Options;
use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// Run a node of the authority
    #[command(display_order = 0)]
    Serve(Box<serve::ServeArgs>),
    /// Run an authority with a sample of real use, to try things on
    #[command(display_order = 0)]
    Demo(demo::DemoArgs),
    /// Prove what is on the log, and look after a node's
    #[command(subcommand, display_order = 0)]
    Log(LogCommand),
    #[command(flatten)]
    Client(commands::Command),
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Accept a database that does not contain what this node has seen
    ///
    /// For a database that was restored from a backup, or that failed over without its tail: what this node answered
    /// since then is undone by going on. The acceptance is itself an event on the log. Stop the node first; the flags
    /// are those of `serve`.
    Accept(Box<serve::ServeArgs>),
    /// Let another key sign the log's checkpoints
    ///
    /// Makes the key beside the present one, enrolls it on the log, and puts it in the place of the present one, which is
    /// kept beside it and signs on until the overlap is over. Run again, it goes on where it was cut off. Stop the node
    /// first; the flags are those of `serve`.
    RotateKey(Box<serve::RotateKeyArgs>),
    #[command(flatten)]
    Client(commands::log::Command),
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
  3  `token verify`, `explain`: the token may not
  4  no token, one that is not accepted, or one that may not do this
  5  not found
  6  what is there stands against it: a taken name, an ended token, a held role, another revision
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
        Command::Serve(args) => run_server(serve::run(*args)),
        Command::Demo(args) => run_server(demo::run(args)),
        Command::Log(LogCommand::Accept(args)) => run_server(serve::run_accept(*args)),
        Command::Log(LogCommand::RotateKey(args)) => run_server(serve::run_rotate_key(*args)),
        Command::Log(LogCommand::Client(command)) => {
            commands::run(commands::Command::Log(command), cli.options).into()
        }
    }
}

/// Runs a command of the server's on all cores. What it ends with is said in one line, without secrets.
fn run_server(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %domain::text::mask(&panic.to_string()), "a bug: this should not have happened");
    }));
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(command));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            let _ = writeln!(anstream::stderr(), "chancery: {}", domain::text::mask(&text));
            ExitCode::FAILURE
        }
    }
}

/// Says something on standard output. When nobody reads it, the server goes on all the same.
fn print_lines(lines: &[String]) {
    let mut out = anstream::stdout();
    for line in lines {
        let _ = writeln!(out, "{line}");
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
