//! The one binary of Chancery: the server and every client command.

mod demo;
mod serve;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::Write;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "chancery", version, about = "An event-sourced token authority")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node of the authority
    Serve(Box<serve::ServeArgs>),
    /// Run an authority with a sample of real use, to try things on
    Demo(demo::DemoArgs),
    /// Look after a node's log
    #[command(subcommand)]
    Log(LogCommand),
}

#[derive(Subcommand)]
enum LogCommand {
    /// Accept a database that does not contain what this node has seen
    Accept(Box<serve::ServeArgs>),
}

fn print_lines(lines: &[String]) {
    let mut out = anstream::stdout();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(*args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Log(LogCommand::Accept(args)) => serve::run_accept(*args).await,
    }
}
