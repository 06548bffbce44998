use crate::client::{Broken, Client};
use crate::commands::Context;
use crate::failure::{Exit, Failure};
use crate::output::progress::Progress;
use crate::output::{Format, print, table};
use crate::serve::read_url;
use domain::state::State;
use eventlog::{Clock, Log};
use projections::replay::{Compared, Difference, LiveState, Replay, Report, RowDifference, Table, replay};
use projections::snapshots;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much of a file is read at once.
const PAGE: usize = 8 * 1024 * 1024;
/// What a run of leaf hashes begins with, in the place of lines that are not handed out.
const LEAVES: &str = "{\"position\":";
/// Connections to the database: one page is read while another one's addresses are.
const CONNECTIONS: u32 = 2;
/// Uses that people are shown; JSON has them all, up to a thousand.
const SHOWN: usize = 20;

/// Fold the log anew and decide every recorded use again
///
/// From export files with the whole log, without any server or database; or from a database, of which nothing is
/// changed and whose audit and usage views are held against the log as well. Each use that comes out differently is
/// reported with its position, each row that is not what the log says with its key. Exits with 1 if there is one, and if
/// the log does not fold.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit replay export-1.ndjson export-2.ndjson
  zstd -dc export.ndjson.zst | chancery audit replay -
  DATABASE_URL=postgres://auditor@db/chancery chancery audit replay
  chancery audit replay --live --database-url postgres://auditor@db/chancery")]
pub(crate) struct Args {
    /// Files of the log's exact lines, the first one first; - is standard input. Without any, --database-url is read
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The Postgres that holds the log
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Compare the folded state, whole, with what the node at --url has in memory: of the same version as this program
    #[arg(long)]
    live: bool,
    /// Of a database, leave the audit and usage views as they are: they need the right to read chancery_views
    #[arg(long)]
    no_views: bool,
    /// Threads [default: as many as there are cores]
    #[arg(long, value_name = "COUNT", value_parser = crate::commands::count)]
    threads: Option<usize>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let clock = Clock::new(0);
    let begun = clock.monotonic();
    let mut replaying = args.threads.map_or_else(Replay::default, Replay::new);
    if args.live {
        replaying = replaying.against(live_state(context).await?);
    }
    if args.no_views {
        replaying = replaying.without_views();
    }
    let (report, state) = match (&args.files[..], args.database_url.filter(|url| !url.is_empty())) {
        ([], Some(url)) => from_database(context, &clock, replaying, &url).await?,
        ([], None) => {
            let text = "nothing to replay: name export files, - for standard input, or --database-url";
            return Err(Failure::Usage(text.to_owned()));
        }
        (files, _) => from_files(context, &clock, replaying, files)?,
    };
    if report.lines == 0 {
        return Err(Failure::Other("there is no line to replay".to_owned()));
    }
    let took = clock.monotonic().saturating_sub(begun);
    match context.output.format() {
        Format::Json => context.output.json(&json(&report, &state).to_string())?,
        _ => print(&text(&report, &state, took))?,
    }
    Ok(if report.is_sound() { Exit::Success } else { Exit::Failed })
}

/// The state of the node that is called. It is asked for first, so that the log has come to its version.
async fn live_state(context: &Context) -> Result<State, Failure> {
    let client = Client::connect(&context.options, &context.output)?;
    let mut bytes = Vec::new();
    client.download(&["v1", "audit", "state"], &[], &mut bytes).await.map_err(|broken| match broken {
        Broken::Cut(message) => Failure::Unavailable(message),
        Broken::Failed(failure) => failure,
    })?;
    let (_, state) = snapshots::read(&*bytes).map_err(|error| {
        Failure::Other(format!("the node's state cannot be read: {error}; it is to be of the same version"))
    })?;
    Ok(state)
}

/// A bar for people; programs get nothing but the report.
fn progress(context: &Context, whole: u64) -> Progress {
    Progress::new(whole, context.options.quiet || context.output.format() == Format::Json)
}

async fn from_database(
    context: &Context,
    clock: &Clock,
    replaying: Replay,
    url: &str,
) -> Result<(Report, State), Failure> {
    let options = read_url(url).map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let log =
        Log::connect(options, CONNECTIONS).await.map_err(|error| Failure::Unavailable(error.to_string()))?;
    let (begun, mut bar) = (clock.monotonic(), None);
    let ended = replay(&log, replaying, |done, whole| {
        let took = clock.monotonic().saturating_sub(begun);
        let bar = bar.get_or_insert_with(|| progress(context, whole));
        let beside = bar.pace(done, done, took);
        bar.reach_with(done, || beside);
    });
    let ended = ended.await;
    if let Some(bar) = &mut bar {
        bar.finish();
    }
    ended.map_err(|error| Failure::Other(format!("the log does not replay: {error}")))
}

fn from_files(
    context: &Context,
    clock: &Clock,
    mut replaying: Replay,
    files: &[PathBuf],
) -> Result<(Report, State), Failure> {
    // How much comes from standard input, nobody knows.
    let sizes: Option<u64> = files.iter().map(|file| Some(std::fs::metadata(file).ok()?.len())).sum();
    let mut bar = sizes.map(|whole| progress(context, whole));
    let (begun, mut done) = (clock.monotonic(), 0);
    for file in files {
        let cannot = |error: &dyn std::fmt::Display| Failure::Other(format!("{}: {error}", file.display()));
        let mut input = open(file).map_err(|error| cannot(&error))?;
        let mut buffer = Vec::new();
        loop {
            let before = buffer.len();
            let read = input.by_ref().take(PAGE as u64).read_to_end(&mut buffer);
            let read = read.map_err(|error| cannot(&error))?;
            let is_end = read == 0;
            let newline = buffer[before..].iter().rposition(|byte| *byte == b'\n').map(|at| before + at);
            // The last line need not have a newline.
            let (end, next) = match newline {
                Some(at) => (at, at + 1),
                None if is_end => (before, before),
                None => continue,
            };
            if end > 0 {
                let lines = std::str::from_utf8(&buffer[..end]).map_err(|error| cannot(&error))?;
                if lines.starts_with(LEAVES) || lines.contains("\n{\"position\":") {
                    return Err(cannot(
                        &"this is one organization's part: a replay needs every line of the log",
                    ));
                }
                let page = replaying.read(lines).map_err(|error| cannot(&error))?;
                replaying.take(&page).map_err(|error| cannot(&error))?;
            }
            buffer.drain(..next);
            done += read as u64;
            if let Some(bar) = &mut bar {
                let took = clock.monotonic().saturating_sub(begun);
                let beside = bar.pace(done, replaying.position(), took);
                bar.reach_with(done, || beside);
            }
            if is_end {
                break;
            }
        }
    }
    if let Some(bar) = &mut bar {
        bar.finish();
    }
    replaying.finish().map_err(|error| Failure::Other(error.to_string()))
}

fn open(file: &Path) -> std::io::Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    if file.is_dir() {
        return Err(std::io::Error::new(ErrorKind::IsADirectory, "a file is needed, and this is a folder"));
    }
    Ok(Box::new(File::open(file)?))
}

fn root(report: &Report) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(report.root)
}

fn json(report: &Report, state: &State) -> serde_json::Value {
    let view = |difference: &Difference| {
        serde_json::json!({
            "position": difference.position,
            "token": difference.token,
            "recorded": difference.recorded,
            "decided": difference.decided,
        })
    };
    serde_json::json!({
        "lines": report.lines,
        "version": report.lifecycle,
        "root": root(report),
        "tokens": state.tokens().len(),
        "live": report.live.as_ref().map(|live| match live {
            LiveState::Same(version) => serde_json::json!({"version": version, "same": true}),
            LiveState::Different(version, what) => {
                serde_json::json!({"version": version, "same": false, "difference": what})
            }
            LiveState::NotReached(version) => serde_json::json!({"version": version, "same": null}),
        }),
        "uses": {
            "all": report.uses(),
            "same": report.same,
            "standing": report.standing,
            "admin": report.admin_uses,
            "without_address": report.without_address,
            "too_far_back": report.too_far_back,
            "differing": report.differing,
        },
        "differences": report.differences.iter().map(view).collect::<Vec<_>>(),
        "views": report.views.as_ref().map(views_json),
    })
}

fn views_json(views: &Compared) -> serde_json::Value {
    let table = |table: &Table| {
        serde_json::json!({
            "table": table.name,
            "position": table.position,
            "rows": table.rows,
            "differing": table.differing,
        })
    };
    let row = |row: &RowDifference| {
        serde_json::json!({
            "table": row.table,
            "key": row.key,
            "expected": row.expected,
            "found": row.found,
        })
    };
    serde_json::json!({
        "tables": views.tables.iter().map(table).collect::<Vec<_>>(),
        "differences": views.differences.iter().map(row).collect::<Vec<_>>(),
    })
}

fn live(live: &LiveState) -> String {
    match live {
        LiveState::Same(version) => format!("the same at version {version}"),
        LiveState::Different(version, what) => format!("DIFFERENT at version {version}: {what}"),
        LiveState::NotReached(version) => {
            format!("not compared: these lines end before its version {version}")
        }
    }
}

fn text(report: &Report, state: &State, took: Duration) -> String {
    let rate = u128::from(report.lines) * 1_000 / took.as_millis().max(1);
    let some = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    let mut text = table::pairs(&[
        ("LINES", format!("{} in {:.1} s, {rate} a second", report.lines, took.as_secs_f64())),
        ("VERSION", report.lifecycle.to_string()),
        ("ROOT", root(report)),
        ("TOKENS", state.tokens().len().to_string()),
        ("LIVE STATE", report.live.as_ref().map(live).unwrap_or_default()),
        ("USES", report.uses().to_string()),
        ("  THE SAME", report.same.to_string()),
        ("  CALLS OF THE API, IN FORCE", some(report.standing)),
        ("  OF THE ADMIN TOKEN", some(report.admin_uses)),
        ("  WITHOUT THEIR ADDRESS", some(report.without_address)),
        ("  TOO FAR BACK", some(report.too_far_back)),
        ("  DIFFERENT", report.differing.to_string()),
    ]);
    if !report.differences.is_empty() {
        let row = |difference: &Difference| {
            plain([
                difference.position.to_string(),
                difference.token.clone(),
                difference.recorded.to_owned(),
                difference.decided.clone(),
            ])
        };
        let rows = report.differences.iter().take(SHOWN).map(row).collect();
        text.push('\n');
        text.push_str(&table::columns(&["POSITION", "TOKEN", "RECORDED", "DECIDED"], rows, false));
    }
    if let Some(views) = &report.views {
        views_text(views, &mut text);
    }
    text
}

fn views_text(views: &Compared, text: &mut String) {
    let table = |table: &Table| {
        plain([
            table.name.to_owned(),
            table.position.to_string(),
            table.rows.to_string(),
            table.differing.to_string(),
        ])
    };
    text.push('\n');
    let rows = views.tables.iter().map(table).collect();
    text.push_str(&table::columns(&["TABLE", "POSITION", "ROWS", "DIFFERENT"], rows, false));
    if views.differences.is_empty() {
        return;
    }
    let row = |row: &RowDifference| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "no such row".to_owned());
        plain([row.table.to_owned(), row.key.clone(), value(&row.expected), value(&row.found)])
    };
    text.push('\n');
    let rows = views.differences.iter().map(row).collect();
    text.push_str(&table::columns(&["TABLE", "ROW", "EXPECTED", "FOUND"], rows, false));
}

fn plain<const N: usize>(cells: [String; N]) -> Vec<(String, table::Tone)> {
    cells.map(|cell| (cell, table::Tone::Plain)).to_vec()
}
