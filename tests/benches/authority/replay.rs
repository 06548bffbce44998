//! Replaying a log of a million lines from a file, beside reading the file and hashing its lines.

use crate::measure::{Steal, median, process_cpu, thread_cpu};
use crate::stand::{Authority, Seeded, Shuffle, Stand, project_name};
use domain::authority::Credential;
use domain::event::Answers;
use domain::secret::SecretHash;
use eventlog::Log;
use eventlog::tree::{Frontier, leaf_hash};
use futures_util::stream::{self, StreamExt as _};
use projections::replay::{Replay, Report};
use projections::{Call, Client, Inquiry, Node, Presented, Work};
use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Each is two lines, so that one of twenty is no use of a token: half of them are lifecycle lines.
const TOKENS: usize = 25_000;
const USES: usize = 950_000;
/// Questions of one call.
const BATCH: usize = 100;
/// As much of a file as the command reads at once.
const PAGE: usize = 8 * 1024 * 1024;
const ROUNDS: usize = 5;

/// A page of a file after the other: whole lines without the last newline.
fn pages(file: &Path, mut take: impl FnMut(&str)) {
    let mut file = File::open(file).unwrap();
    let mut buffer = Vec::new();
    loop {
        let read = Read::by_ref(&mut file).take(PAGE as u64).read_to_end(&mut buffer).unwrap();
        let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
            assert!(read == 0 && buffer.is_empty());
            return;
        };
        take(std::str::from_utf8(&buffer[..end]).unwrap());
        buffer.drain(..=end);
    }
}

/// Reads the lines and computes the root over them: nobody can check a log with less.
fn ceiling(file: &Path) -> [u8; 32] {
    let mut tree = Frontier::default();
    pages(file, |lines| lines.split('\n').for_each(|line| tree.push(leaf_hash(line.as_bytes()))));
    tree.root().0
}

fn replay(file: &Path, threads: usize) -> Report {
    let mut replay = Replay::new(threads);
    pages(file, |lines| {
        let page = replay.read(lines).unwrap();
        replay.take(&page).unwrap();
    });
    let (report, _) = replay.finish().unwrap();
    assert!(report.is_sound());
    report
}

/// One thread, and all of them, in turn with the ceiling.
pub(crate) async fn run() {
    let stand = Stand::new().await;
    let authority = stand.authority("replay", Answers::Committed, TOKENS).await;
    let node = stand.node(&authority, None).await;
    used(&node, &authority).await;
    let file = stand.folder.path().join("log.ndjson");
    export(node.log(), &file).await;
    node.stop().await.unwrap();
    let bytes = std::fs::metadata(&file).unwrap().len();
    let (report, root) = (replay(&file, 1), ceiling(&file));
    assert_eq!(report.root, root);
    let (lines, lifecycle) = (report.lines as f64, report.lifecycle);
    println!(
        "A file of {lines} lines ({lifecycle} of them lifecycle events), {:.0} bytes a line",
        bytes as f64 / lines
    );
    let steal = Steal::begin();
    let cores = std::thread::available_parallelism().unwrap().get();
    let (mut hashing, mut alone, mut ratios, mut together) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (cpu, _) = timed(|| ceiling(&file));
        let (own, _) = timed(|| replay(&file, 1));
        hashing.push(cpu.as_secs_f64());
        alone.push(own.as_secs_f64());
        ratios.push(cpu.as_secs_f64() / own.as_secs_f64());
        let before = process_cpu(std::process::id());
        let began = Instant::now();
        replay(&file, cores);
        let all = process_cpu(std::process::id()) - before;
        together.push((began.elapsed().as_secs_f64(), all.as_secs_f64()));
    }
    println!("\n| | CPU µs a line | lines/s of CPU | of the ceiling |");
    println!("|---|---|---|---|");
    let row = |name: &str, seconds: f64, share: f64| {
        println!(
            "| {name} | {:.2} | {:.0} | {:.0} % |",
            seconds * 1e6 / lines,
            lines / seconds,
            share * 100.0
        );
    };
    row("reading and hashing", median(hashing), 1.0);
    row("replay, one thread", median(alone), median(ratios));
    let wall = median(together.iter().map(|(wall, _)| *wall));
    let cpu = median(together.iter().map(|(_, cpu)| *cpu));
    println!(
        "\n{cores} threads: {:.0} lines/s by the clock, {:.2} CPU µs a line; stolen {:.0} %\n",
        lines / wall,
        cpu * 1e6 / lines,
        steal.share() * 100.0
    );
    stand.stop().await;
}

/// CPU time and time of something that this thread does alone.
fn timed<R>(work: impl FnOnce() -> R) -> (Duration, R) {
    let before = thread_cpu();
    let result = work();
    (thread_cpu() - before, result)
}

/// Has the tokens used, in the mix of the other parts but for who presented them.
async fn used(node: &Node, authority: &Authority) {
    let mut shuffle = Shuffle::new();
    let calls = (0..USES / BATCH).map(|_| {
        let asks = &authority.tokens[shuffle.ranked(authority.tokens.len())];
        let same = |token: &Seeded| token.organization == asks.organization;
        let mut inquiries = Vec::with_capacity(BATCH);
        while inquiries.len() < BATCH {
            let token = &authority.tokens[shuffle.ranked(authority.tokens.len())];
            if same(token) {
                inquiries.push(inquiry(token, &mut shuffle));
            }
        }
        let hash = SecretHash::of(&authority.verifiers[asks.organization]);
        let call = Call {
            presented: Presented::Credential(Credential::Secret { hash, malformed: false }),
            client: Client { address: "198.51.100.1".parse().ok(), agent: Some("gateway/1".into()) },
            request: "benchmark".into(),
            operation: "tokens.verify",
            object: None,
            personal: Vec::new(),
        };
        node.submit(call, Work::Verify(inquiries))
    });
    let answers = stream::iter(calls).buffered(64);
    answers.for_each(async |answered| drop(answered.unwrap())).await;
}

fn inquiry(token: &Seeded, shuffle: &mut Shuffle) -> Inquiry {
    let permission = if shuffle.below(100) < 2 { "tokens:mint" } else { "deployments:create" };
    let address = shuffle.below(1_000);
    let client = match shuffle.below(4) {
        0 => Client {
            address: format!("198.51.{}.{}", address / 250, address % 250 + 1).parse().ok(),
            agent: Some(format!("deploy-tool/1.{}", shuffle.below(20)).into()),
        },
        _ => Client::default(),
    };
    Inquiry {
        hashes: SecretHash::of(&token.secret).into(),
        malformed: false,
        permission: Some(permission.into()),
        organization: None,
        project: Some(project_name(token.project).into()),
        resource: None,
        client,
    }
}

async fn export(log: &Log, file: &Path) {
    let mut out = BufWriter::new(File::create(file).unwrap());
    let (mut position, mut last) = (0, Uuid::nil());
    loop {
        let commits = log.commits_after(position, last, 20_000).await.unwrap();
        let Some(end) = commits.last() else { break };
        (position, last) = (end.end(), end.id);
        for commit in &commits {
            writeln!(out, "{}", commit.lines).unwrap();
        }
    }
    out.flush().unwrap();
}
