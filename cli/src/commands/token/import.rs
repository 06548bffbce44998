//! `token import`: keys that were issued elsewhere, from a file.

mod file;

use crate::client::Client;
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output::escape::plain;
use crate::output::progress::Progress;
use crate::output::{self, Format};
use api::wire::{Import, ImportAnswer, ImportKey, Scope};
use file::{Row, Rows};
use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;

/// Keys of one request: a second or so of work, and well within the size of a body.
const BATCH: usize = 500;
/// Bytes of one request.
const BATCH_BYTES: usize = 512 * 1024;

/// Import keys that were issued elsewhere, by their hashes
///
/// Their texts are in force from then on, and `token rotate` gives each a secret of this authority. The file is CSV
/// with a header, or NDJSON (`.ndjson`, `.jsonl`); its columns are name, hash, algorithm (sha256 or blake3), grants
/// (separated by spaces or `;`), organization, project, expires_at, not_before, created_at, owner, description,
/// networks and metadata. Without organization and project, --org and --project say where. Each line is decided by
/// itself; what is wrong with one is said with its number, and the rest goes on. Run it again after a break: what is
/// imported already is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery token import keys.csv --org acme --dry-run
  chancery token import keys.ndjson --org acme --algorithm sha256 --grant member")]
pub(crate) struct Args {
    /// The file, CSV or NDJSON
    file: PathBuf,
    /// Only say what would come of it
    #[arg(long)]
    dry_run: bool,
    /// By what keys were hashed whose line does not say it: sha256 or blake3
    #[arg(long)]
    algorithm: Option<String>,
    /// What keys may do whose line does not say it: ROLE or ROLE@PROJECT; may be repeated
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
}

/// What has come of the file so far.
#[derive(Default, serde::Serialize)]
struct Tally {
    imported: u64,
    known: u64,
    refused: u64,
}

/// Lines on their way.
#[derive(Default)]
struct Batch {
    keys: Vec<ImportKey>,
    lines: Vec<u64>,
    bytes: usize,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let client = context.client()?;
    let mut rows = Rows::open(&args.file)?;
    let (mut tally, mut batch) = (Tally::default(), Batch::default());
    let mut progress = Progress::new(rows.length(), context.options.quiet);
    // The same hash twice is most likely a mistake, and at a dry run nobody else would see it.
    let mut seen: HashMap<String, u64> = HashMap::new();
    while let Some((line, row)) = rows.next() {
        let key = row.and_then(|row| complete(context, &args, row)).and_then(|key| {
            match seen.insert(key.hash.clone(), line) {
                None => Ok(key),
                Some(first) => Err(format!("the hash stands in line {first} already")),
            }
        });
        match key {
            Ok(key) => batch.add(line, key),
            Err(reason) => refuse(&mut tally, &mut progress, line, &reason),
        }
        if batch.is_full() {
            send(&client, &args, &mut batch, &mut tally, &mut progress).await?;
        }
        progress.reach(rows.position());
    }
    send(&client, &args, &mut batch, &mut tally, &mut progress).await?;
    progress.finish();
    say(context, &args, &tally)?;
    Ok(if tally.refused == 0 { Exit::Success } else { Exit::Failed })
}

impl Batch {
    fn add(&mut self, line: u64, key: ImportKey) {
        self.bytes += serde_json::to_vec(&key).map_or(0, |json| json.len() + 1);
        self.keys.push(key);
        self.lines.push(line);
    }

    fn is_full(&self) -> bool {
        self.keys.len() >= BATCH || self.bytes >= BATCH_BYTES
    }
}

async fn send(
    client: &Client,
    args: &Args,
    batch: &mut Batch,
    tally: &mut Tally,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let Batch { keys, lines, .. } = std::mem::take(batch);
    if keys.is_empty() {
        return Ok(());
    }
    let body = Import { items: keys, dry_run: args.dry_run };
    // An import that was done is found done when it is asked for again, so that it needs no key of its own.
    let answer = client.ask::<ImportAnswer>(&["v1", "tokens", "import"], &body).await.inspect_err(|_| {
        progress.finish();
    })?;
    for (line, outcome) in lines.into_iter().zip(answer.value.items) {
        match (&*outcome.status, outcome.problem) {
            ("imported", _) => tally.imported += 1,
            ("known", _) => tally.known += 1,
            (_, problem) => {
                let reason = problem
                    .map_or_else(|| "refused".to_owned(), |problem| problem.detail.unwrap_or(problem.title));
                refuse(tally, progress, line, &reason);
            }
        }
    }
    Ok(())
}

fn refuse(tally: &mut Tally, progress: &mut Progress, line: u64, reason: &str) {
    tally.refused += 1;
    progress.clear();
    // When nobody reads it, the exit code still tells.
    let _ = writeln!(anstream::stderr(), "line {line}: {}", plain(reason));
}

/// A line with what the command line says for all of them.
fn complete(context: &Context, args: &Args, row: Row) -> Result<ImportKey, String> {
    let own = |text: Option<String>| text.filter(|text| !text.is_empty());
    let missing = |what: &str, flag: &str| format!("{what} is missing; add it, or give {flag}");
    let organization = own(row.organization).or_else(|| context.options.organization());
    let project = own(row.project).or_else(|| context.options.project());
    let scope = if row.instance {
        Scope { instance: Some(true), ..Scope::default() }
    } else {
        let organization = organization.ok_or_else(|| missing("the organization", "--org"))?;
        Scope { organization: Some(organization), project, instance: None }
    };
    let grants = if row.grants.is_empty() { args.grants.clone() } else { row.grants };
    if grants.is_empty() {
        return Err(missing("what it may do (grants)", "--grant"));
    }
    let algorithm = own(row.algorithm).or_else(|| args.algorithm.clone());
    Ok(ImportKey {
        name: own(row.name).ok_or("the name is missing")?,
        hash: own(row.hash).ok_or("the hash is missing")?,
        algorithm: algorithm.ok_or_else(|| missing("the algorithm", "--algorithm"))?,
        scope,
        grants,
        description: own(row.description),
        metadata: row.metadata,
        not_before: own(row.not_before),
        expires_at: own(row.expires_at),
        allowed_networks: row.networks,
        owner: own(row.owner),
        created_at: own(row.created_at),
    })
}

fn say(context: &Context, args: &Args, tally: &Tally) -> Result<(), Failure> {
    if context.output.format() == Format::Json {
        let json = serde_json::to_string(tally).expect("numbers can be written");
        return context.output.json(&json);
    }
    let would = if args.dry_run { "would be imported" } else { "imported" };
    let Tally { imported, known, refused } = tally;
    output::print(&format!("{imported} {would}, {known} known already, {refused} refused\n"))
}
