//! The auditor's side: how far it is behind at full load, what a use comes to on the disk, proofs, and exports.

use crate::load;
use crate::measure::{median, timed};
use crate::stand::{ADMIN, Authority, Server, Shuffle, Stand};
use crate::verify::{QUESTIONS, TOKENS};
use domain::event::Answers;
use eventlog::tree::{Hash, leaf_hash, ranges};
use eventlog::{Condition, Draft, Log, Random};
use futures_util::StreamExt as _;
use serde_json::Value;
use sqlx::{Connection as _, Executor as _, FromRow, PgConnection};
use std::time::{Duration, Instant};

/// How far one of those who follow the log has come.
type Of = fn(&Reached) -> i64;

const CONNECTIONS: usize = 256;
/// How long the load lasts.
const LOAD: Duration = Duration::from_secs(12);
/// How often it is looked how far everything has come.
const LOOK: Duration = Duration::from_millis(20);
/// Lines of the log that is proved and exported; what the load did not make of them is repeated.
const LINES: u64 = 1_000_000;
/// Proofs of each kind.
const PROOFS: u64 = 500;
/// Lines of one export.
const EXPORTED: u64 = 200_000;
const ROUNDS: usize = 3;

/// How far the log and what follows it have come.
#[derive(FromRow)]
struct Reached {
    log: i64,
    audit: i64,
    tree: i64,
    checkpoint: i64,
    usage: i64,
}

const REACHED: &str = "
    SELECT head.size AS log, audit.size AS audit, tree.size AS tree, usage.size AS usage,
           coalesce((SELECT max(size) FROM chancery.checkpoints), 0) AS checkpoint
    FROM chancery.log_head AS head, chancery.tree AS tree, chancery_views.audit AS view,
         chancery_views.audit_generations AS audit, chancery_views.progress AS usage
    WHERE audit.generation = view.live AND usage.view = 'usage'";

/// All of it, on one authority.
pub(crate) async fn run() {
    let stand = Stand::new().await;
    let authority = stand.authority("audited", Answers::Committed, TOKENS).await;
    let server = stand.serve(&authority);
    settle(&stand).await;
    let before = footprint(&stand).await;
    lag(&stand, &authority, &server).await;
    settle(&stand).await;
    bytes(&before, &footprint(&stand).await);
    fill(&stand).await;
    settle(&stand).await;
    proofs(&stand, &server).await;
    exports(&stand, &server).await;
    drop(server);
    stand.stop().await;
}

async fn reached(connection: &mut PgConnection) -> Reached {
    sqlx::query_as(REACHED).fetch_one(connection).await.unwrap()
}

/// Waits until everything stands for all of the log.
async fn settle(stand: &Stand) {
    let mut connection = stand.superuser("audited").await;
    loop {
        let Reached { log, audit, tree, checkpoint, usage } = reached(&mut connection).await;
        if [audit, tree, checkpoint, usage].iter().all(|size| *size >= log) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    connection.close().await.unwrap();
}

/// How far behind the log everything is while verify takes all that the machine has.
async fn lag(stand: &Stand, authority: &Authority, server: &Server) {
    let script = authority.questions(QUESTIONS);
    let mut connection = stand.superuser("audited").await;
    let looking = tokio::spawn(async move {
        let (mut samples, end) = (Vec::new(), Instant::now() + LOAD);
        while Instant::now() < end {
            let reached = reached(&mut connection).await;
            samples.push((Instant::now(), reached));
            tokio::time::sleep(LOOK).await;
        }
        connection.close().await.unwrap();
        samples
    });
    let seen = tokio::task::block_in_place(|| load::run(server.address, CONNECTIONS, &script, LOAD));
    let samples = looking.await.unwrap();
    let rate = seen.answers as f64 / seen.elapsed.as_secs_f64();
    println!("Behind the log at {rate:.0} answers/s, {CONNECTIONS} connections, {LOAD:.0?}\n");
    println!("| | lines, middle | p99 | ms, middle | p99 | most |");
    println!("|---|---|---|---|---|---|");
    let followers: [(&str, Of); 4] = [
        ("audit views", |reached| reached.audit),
        ("tree", |reached| reached.tree),
        ("signed checkpoint", |reached| reached.checkpoint),
        ("usage view, as stored", |reached| reached.usage),
    ];
    for (name, of) in followers {
        let mut lines: Vec<i64> = samples.iter().map(|(_, reached)| reached.log - of(reached)).collect();
        let mut times: Vec<f64> =
            samples.iter().map(|(at, reached)| age(&samples, *at, of(reached))).collect();
        lines.sort_unstable();
        times.sort_by(f64::total_cmp);
        let at = |share: f64| ((lines.len() - 1) as f64 * share) as usize;
        let (middle, p99) = (at(0.5), at(0.99));
        println!(
            "| {name} | {} | {} | {:.0} | {:.0} | {:.0} |",
            lines[middle],
            lines[p99],
            times[middle],
            times[p99],
            times[times.len() - 1]
        );
    }
    println!();
}

/// For how many milliseconds the first line after a size has been on the log.
fn age(samples: &[(Instant, Reached)], now: Instant, size: i64) -> f64 {
    let since = samples.iter().find(|(_, reached)| reached.log > size).map_or(now, |(at, _)| *at);
    now.saturating_duration_since(since).as_secs_f64() * 1e3
}

/// What is on the disk, by what it is for.
struct Footprint {
    lines: i64,
    parts: Vec<(String, i64)>,
}

async fn footprint(stand: &Stand) -> Footprint {
    let mut connection = stand.superuser("audited").await;
    connection.execute("VACUUM (ANALYZE)").await.unwrap();
    let parts = sqlx::query_as(
        "SELECT part, sum(pg_total_relation_size(name::regclass))::int8
         FROM (VALUES ('log', 'chancery.commits'), ('log', 'chancery.log_head'),
                      ('personal values', 'chancery.personal'),
                      ('tree', 'chancery.tiles'), ('tree', 'chancery.tree'), ('tree', 'chancery.checkpoints'),
                      ('audit views', 'chancery_views.audit_events'), ('audit views', 'chancery_views.audit_uses'),
                      ('usage view', 'chancery_views.usage'), ('usage view', 'chancery_views.usage_days'),
                      ('usage view', 'chancery_views.usage_permissions')) AS of (part, name)
         GROUP BY part ORDER BY part",
    );
    let parts = parts.fetch_all(&mut connection).await.unwrap();
    let lines = reached(&mut connection).await.log;
    connection.close().await.unwrap();
    Footprint { lines, parts }
}

fn bytes(before: &Footprint, after: &Footprint) {
    let uses = (after.lines - before.lines) as f64;
    println!("Bytes on the disk for each of {uses:.0} uses, after VACUUM\n");
    println!("| | bytes a use |");
    println!("|---|---|");
    let mut all = 0.0;
    for ((name, before), (_, after)) in before.parts.iter().zip(&after.parts) {
        let each = (after - before) as f64 / uses;
        all += each;
        println!("| {name} | {each:.1} |");
    }
    println!("| in all | {all:.1} |\n");
}

/// Repeats the lines of uses until there are enough, in large commits.
async fn fill(stand: &Stand) {
    let database = stand.postgres.connect_options().database("audited");
    let log = Log::connect(database, 2).await.unwrap();
    let (random, mut writer) = (Random::system(), log.writer().await.unwrap());
    let size = log.head().await.unwrap().size;
    let page = log.commits_from(size.saturating_sub(20_000), 1_000).await.unwrap();
    let lines: Vec<&str> = page
        .iter()
        .filter(|commit| commit.lifecycle == 0)
        .flat_map(|commit| commit.lines.split('\n'))
        .take(5_000)
        .collect();
    let (text, count) = (lines.join("\n"), lines.len() as u32);
    while log.head().await.unwrap().size < LINES {
        let draft = Draft {
            id: random.uuid_v7(0),
            lines: text.clone(),
            count,
            lifecycle: 0,
            personal: Vec::new(),
            sealed: Vec::new(),
            erases: None,
        };
        writer.append(&draft, Condition::Always).await.unwrap();
    }
}

fn ask(server: &Server, client: &reqwest::Client, path: &str) -> reqwest::RequestBuilder {
    client.get(format!("http://{}{path}", server.address)).bearer_auth(ADMIN)
}

/// Asks one after the other; gives the bodies, and the middle of the times in microseconds.
async fn answers(server: &Server, paths: impl Iterator<Item = String>) -> (Vec<Value>, f64) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut bodies, mut times) = (Vec::new(), Vec::new());
    for path in paths {
        let (body, time) =
            timed(async { ask(server, &client, &path).send().await.unwrap().text().await }).await;
        let body: Value = serde_json::from_str(&body.unwrap()).unwrap();
        assert!(body["proof"].is_array(), "{body}");
        bodies.push(body);
        times.push(time.as_secs_f64() * 1e6);
    }
    (bodies, median(times))
}

fn hashes(proof: &Value) -> Vec<Hash> {
    let texts = proof["proof"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap());
    texts.map(|text| Hash::parse(text).unwrap()).collect()
}

async fn proofs(stand: &Stand, server: &Server) {
    let mut connection = stand.superuser("audited").await;
    let size = reached(&mut connection).await.tree.unsigned_abs();
    connection.close().await.unwrap();
    let mut shuffle = Shuffle::new();
    let places: Vec<u64> = (0..PROOFS).map(|_| 1 + shuffle.below(size as usize - 1) as u64).collect();
    let inclusion = places.iter().map(|place| format!("/log/proof/inclusion?position={place}&size={size}"));
    let (included, inclusion) = answers(server, inclusion).await;
    let consistency = places.iter().map(|place| format!("/log/proof/consistency?from={place}&to={size}"));
    let (consistent, consistency) = answers(server, consistency).await;
    let head = "/log/checkpoint".to_owned();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (_, plain) = timed(async { ask(server, &client, &head).send().await.unwrap().text().await }).await;
    println!("Proofs in a tree of {size} lines, asked for one after the other; each call is enrolled\n");
    println!("| | hashes, middle | bytes of them | bytes of the answer | µs to get it | µs to check it |");
    println!("|---|---|---|---|---|---|");
    let leaf = leaf_hash(b"a line");
    let check_inclusion = |place: u64, _: &Value, proof: &[Hash]| {
        std::hint::black_box(ranges::root_of_inclusion(leaf, place, size, proof));
    };
    let check_consistency = |place: u64, answer: &Value, proof: &[Hash]| {
        let (from, to) = (&answer["from_root"], &answer["to_root"]);
        let root = |value: &Value| Hash::parse(value.as_str().unwrap()).unwrap();
        if place < size {
            let found = ranges::roots_of_consistency(place, size, root(from), proof);
            assert_eq!(found, Some((root(from), root(to))));
        }
    };
    row("inclusion", &places, &included, inclusion, check_inclusion);
    row("consistency", &places, &consistent, consistency, check_consistency);
    println!("\nThe last checkpoint, asked for in the same way: {:.0} µs.\n", plain.as_secs_f64() * 1e6);
}

fn row(name: &str, places: &[u64], answers: &[Value], micros: f64, check: impl Fn(u64, &Value, &[Hash])) {
    let proofs: Vec<Vec<Hash>> = answers.iter().map(hashes).collect();
    let began = Instant::now();
    for ((place, answer), proof) in places.iter().zip(answers).zip(&proofs) {
        check(*place, answer, proof);
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / places.len() as f64;
    let count = median(proofs.iter().map(|proof| proof.len() as f64));
    let length = median(answers.iter().map(|answer| answer.to_string().len() as f64));
    println!("| {name} | {count:.0} | {:.0} | {length:.0} | {micros:.0} | {each:.1} |", count * 32.0);
}

async fn exports(stand: &Stand, server: &Server) {
    let mut connection = stand.superuser("audited").await;
    let until = reached(&mut connection).await.log.unsigned_abs();
    connection.close().await.unwrap();
    let from = until - EXPORTED;
    let forms = [
        ("NDJSON", "ndjson", None),
        ("NDJSON, zstd", "ndjson", Some("zstd")),
        ("NDJSON, gzip", "ndjson", Some("gzip")),
        ("CSV", "csv", None),
        ("Parquet", "parquet", None),
    ];
    let mut times = vec![Vec::new(); forms.len() + 1];
    let mut sizes = vec![0; forms.len() + 1];
    for _ in 0..ROUNDS {
        let (size, time) = timed(copied(stand, from, until)).await;
        sizes[0] = size;
        times[0].push(time.as_secs_f64());
        for (index, (_, format, encoding)) in forms.iter().enumerate() {
            let path =
                format!("/v1/audit/export?format={format}&from_position={from}&until_position={until}");
            let (size, time) = timed(exported(server, &path, *encoding)).await;
            sizes[index + 1] = size;
            times[index + 1].push(time.as_secs_f64());
        }
    }
    // What is exported, whatever it is written as.
    let megabytes = sizes[1] as f64 / 1e6;
    println!("Exports of {EXPORTED} lines, {megabytes:.0} MB of them, the middle of {ROUNDS} rounds\n");
    println!("| | bytes on the wire, of the lines' | MB of lines a second | of COPY |");
    println!("|---|---|---|---|");
    let names = std::iter::once("COPY … TO STDOUT").chain(forms.iter().map(|(name, ..)| *name));
    for ((name, times_of), size) in names.zip(&times).zip(&sizes) {
        let ratio = median(times_of.iter().zip(&times[0]).map(|(own, copy)| copy / own));
        let rate = megabytes / median(times_of.iter().copied());
        println!("| {name} | {:.0} % | {rate:.0} | {ratio:.2} |", *size as f64 / sizes[1] as f64 * 100.0);
    }
    println!();
}

/// The same lines as the database itself hands them out.
async fn copied(stand: &Stand, from: u64, until: u64) -> usize {
    let mut connection = stand.superuser("audited").await;
    let copy = format!(
        "COPY (SELECT lines FROM chancery.commits WHERE first + count > {from} AND first < {until} ORDER BY first) TO STDOUT"
    );
    let size = {
        let mut rows = connection.copy_out_raw(&copy).await.unwrap();
        let mut size = 0;
        while let Some(part) = rows.next().await {
            size += part.unwrap().len();
        }
        size
    };
    connection.close().await.unwrap();
    size
}

async fn exported(server: &Server, path: &str, encoding: Option<&str>) -> usize {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut call = ask(server, &client, path);
    if let Some(encoding) = encoding {
        call = call.header("accept-encoding", encoding);
    }
    let mut answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers().contains_key("content-encoding"), encoding.is_some());
    let mut size = 0;
    while let Some(part) = answer.chunk().await.unwrap() {
        size += part.len();
    }
    size
}
