//! Chancery's benchmark: every figure is a ratio to a ceiling or a peer in the same run.
//!
//! `cargo bench --package chancery-tests --bench authority -- [PART…]`; without a part, all of them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "it prints figures, or stops"
)]
#![expect(clippy::cast_precision_loss, reason = "figures are quoted to three digits")]
#![expect(clippy::disallowed_methods, clippy::unchecked_time_subtraction, reason = "it measures real time")]

mod audit;
mod cascade;
mod load;
mod log;
mod measure;
mod replay;
mod rivals;
mod scale;
mod stand;
mod sweep;
mod verify;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTS: [&str; 10] =
    ["verify", "batch", "snapshot", "append", "bytes", "scale", "sweep", "cascade", "replay", "audit"];

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve-bare"] => rivals::bare().await,
        ["serve-peer", url, connections] => rivals::peer(url, connections.parse().unwrap()).await,
        [..] if arguments.iter().all(|part| PARTS.contains(part)) => {
            println!("{}\n", measure::machine());
            for part in if arguments.is_empty() { &PARTS[..] } else { &arguments } {
                match *part {
                    "verify" => verify::rounds().await,
                    "batch" => verify::batch().await,
                    "snapshot" => verify::snapshot().await,
                    "append" => log::append().await,
                    "bytes" => log::bytes().await,
                    "sweep" => sweep::run().await,
                    "cascade" => cascade::run().await,
                    "replay" => replay::run().await,
                    "audit" => audit::run().await,
                    _ => scale::run().await,
                }
            }
        }
        _ => {
            println!("parts: {}", PARTS.join(", "));
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
