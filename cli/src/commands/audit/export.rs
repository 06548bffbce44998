use super::folder::Folder;
use crate::client::{Broken, Client};
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::progress::Progress;
use crate::output::{self, Format};
use api::wire::{ExportFormat, ExportManifest, PersonalValues};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How often a file is asked for that does not come whole.
const ATTEMPTS: u32 = 5;
/// The pause after the first attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// Write the log or, with --org, an organization's part of it to files
///
/// Files of up to 100,000 lines, and `manifest.json`, which says their positions, lines and SHA-256. What is received is
/// compared with what the server says of it. The manifest holds a checkpoint, with which `chancery log verify --manifest`
/// checks the files without a server. An export that was cut off, or that is to go up to now, is gone on with by
/// --resume: the files that are there are checked and kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chancery audit export --out log
  chancery audit export --organization acme --format parquet --out acme
  chancery audit export --out log --resume")]
pub(crate) struct Args {
    /// As what: the exact lines, or one row a line
    #[arg(long, value_name = "FORMAT", default_value = "ndjson")]
    format: Kind,
    /// The folder, which is made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The first position
    #[arg(long, value_name = "POSITION", default_value_t = 0, conflicts_with = "resume")]
    from_position: u64,
    /// The position to end before; the end of the log when absent
    #[arg(long, value_name = "POSITION")]
    until_position: Option<u64>,
    /// Go on with what is in the folder
    #[arg(long)]
    resume: bool,
    /// Take the personal values of the lines along as well, in personal.ndjson
    #[arg(long)]
    personal: bool,
}

/// A format, as the flag names it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Ndjson,
    Csv,
    Parquet,
}

impl Kind {
    fn format(self) -> ExportFormat {
        match self {
            Self::Ndjson => ExportFormat::Ndjson,
            Self::Csv => ExportFormat::Csv,
            Self::Parquet => ExportFormat::Parquet,
        }
    }
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let client = context.client()?;
    let mut folder =
        Folder::open(&args.out, args.resume, client.authority(), (args.format.format(), args.from_position))?;
    let organization = context.options.organization();
    let organization = organization.as_deref();
    let begins = folder.next();
    let mut progress = None;
    let mut end = args.until_position;
    while end.is_none_or(|end| folder.next() < end) {
        let part = describe(&client, args, organization, folder.next(), end).await?;
        if folder.manifest.organization != part.organization && !folder.manifest.files.is_empty() {
            let text =
                "the folder holds an export of another part; give the same --organization, or another folder";
            return Err(Failure::Usage(text.to_owned()));
        }
        // Each call is on the log itself: without an end that is fixed there would be none.
        let end = *end.get_or_insert(part.size);
        if part.from_position == part.until_position {
            break;
        }
        let bar = progress
            .get_or_insert_with(|| Progress::new(end - begins, context.output.format() != Format::Table));
        fetch(&client, (args, organization), &part, &mut folder).await?;
        bar.reach(folder.next() - begins);
    }
    if let Some(mut progress) = progress {
        progress.finish();
    }
    if args.personal {
        personal(&client, organization, &mut folder).await?;
    }
    folder.store()?;
    let manifest = &folder.manifest;
    if manifest.checkpoint.is_none() {
        let until = manifest.until_position;
        context.output.remark(&format!(
            "no checkpoint holds the last line, none was signed in time: `chancery log checkpoint --at-least {until}`"
        ));
    }
    match context.output.format() {
        Format::Table => output::print(&format!(
            "{} lines of {} at positions {} to {} in {} files; {}\n",
            manifest.lines,
            organization.unwrap_or("the whole log"),
            manifest.from_position,
            manifest.until_position,
            manifest.files.len(),
            args.out.join("manifest.json").display()
        )),
        Format::Json | Format::Id | Format::Secret => {
            context.output.json(&serde_json::to_string(manifest).expect("a manifest is plain data"))
        }
    }
}

fn query(args: &Args, organization: Option<&str>, from: u64, to: Option<u64>) -> Vec<(&'static str, String)> {
    let format = match args.format {
        Kind::Ndjson => "ndjson",
        Kind::Csv => "csv",
        Kind::Parquet => "parquet",
    };
    let mut query = vec![("format", format.to_owned()), ("from_position", from.to_string())];
    query.extend(to.map(|to| ("until_position", to.to_string())));
    query.extend(organization.map(|organization| ("organization", organization.to_owned())));
    query
}

/// Receives the personal values of all lines in the folder, as they are kept now.
async fn personal(client: &Client, organization: Option<&str>, folder: &mut Folder) -> Result<(), Failure> {
    let (mut from, until) = (folder.manifest.from_position, folder.manifest.until_position);
    let mut values = BTreeMap::new();
    while from < until {
        let mut query = vec![("from_position", from.to_string()), ("until_position", until.to_string())];
        query.extend(organization.map(|organization| ("organization", organization.to_owned())));
        let path = ["v1", "audit", "export", "personal"];
        let some = client.get::<PersonalValues>(&path, &query).await?.value;
        if some.until_position <= from {
            return Err(Failure::Other(format!("the server gave no values from position {from} on")));
        }
        from = some.until_position;
        values.extend(some.items.into_iter().map(|value| (value.commitment.clone(), value)));
    }
    folder.keep_personal(values.values())
}

/// What the next file will be.
async fn describe(
    client: &Client,
    args: &Args,
    organization: Option<&str>,
    from: u64,
    end: Option<u64>,
) -> Result<ExportManifest, Failure> {
    let to = end.map(|end| end.min(from + FILE));
    let path = ["v1", "audit", "export", "manifest"];
    Ok(client.get::<ExportManifest>(&path, &query(args, organization, from, to)).await?.value)
}

/// Positions of a file, the most that the server describes at once.
const FILE: u64 = 100_000;

/// Receives a file, again if it did not come as it was described.
async fn fetch(
    client: &Client,
    (args, organization): (&Args, Option<&str>),
    part: &ExportManifest,
    folder: &mut Folder,
) -> Result<(), Failure> {
    let mut pause = PAUSE;
    for attempt in 1.. {
        let mut received = folder.receive(part)?;
        let path = ["v1", "audit", "export"];
        let problem = match client
            .download(
                &path,
                &query(args, organization, part.from_position, Some(part.until_position)),
                &mut received,
            )
            .await
        {
            Ok(()) if received.sha256() == part.sha256 => return folder.keep(part, received),
            Ok(()) => "what came is not what the server described".to_owned(),
            Err(Broken::Cut(problem)) => problem,
            Err(Broken::Failed(failure)) => return Err(failure),
        };
        if attempt == ATTEMPTS {
            let text = format!("{problem}\n  hint: what is there is kept; go on with --resume");
            return Err(Failure::Unavailable(text));
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    unreachable!("the last attempt returns")
}
