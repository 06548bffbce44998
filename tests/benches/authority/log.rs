//! The log alone: appending beside rows of their own, and what a use costs on disk.

use crate::measure::{Steal, median};
use crate::stand::{Server, Shuffle, Stand};
use crate::verify::{QUESTIONS, TOKENS, measure};
use domain::event::Answers;
use eventlog::{Appended, Condition, Draft, Log, Random};
use sqlx::{Connection as _, Executor as _, PgConnection};
use std::time::{Duration, Instant};
use uuid::Uuid;

const TIME: Duration = Duration::from_secs(2);
const ROUNDS: usize = 7;
/// Bytes of a line.
const LINE: usize = 290;

/// Lines that look like uses: a common shape, and ids that are in no other.
fn lines(count: usize, shuffle: &mut Shuffle) -> Vec<String> {
    let line = |shuffle: &mut Shuffle| {
        let id = Uuid::from_u64_pair(
            0x0197_3a2b_4c5d_7000 | shuffle.below(4_096) as u64,
            (shuffle.below(1 << 31) as u64) << 32 | shuffle.below(1 << 31) as u64 | 1 << 63,
        );
        let line = format!(
            r#"{{"type":"TokenUsed","v":1,"at":"2026-11-22T12:34:56.789012Z","org":"01973a2b-4c5d-7e6f-8a9b-0c1d2e3f4a5b","actor":{{"by":"token:01973a2b-4c5d-7e6f-8a9b-0c1d2e3f4a5c","request":"5f3a91c2-{:06x}"}},"token":"{id}","permission":"deployments:create","project":"#,
            shuffle.below(1 << 24)
        );
        format!("{line:\"<width$}\"}}", width = LINE - 2)
    };
    (0..count).map(|_| line(shuffle)).collect()
}

/// Lines a second.
pub(crate) async fn append() {
    let stand = Stand::new().await;
    let log = Log::connect(stand.database("log").await, 2).await.unwrap();
    log.migrate().await.unwrap();
    let random = Random::system();
    let mut writer = log.writer().await.unwrap();
    stand.database("rows").await;
    let mut rows = stand.superuser("rows").await;
    rows.execute(
        "CREATE TABLE event (
             position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
             at timestamptz NOT NULL DEFAULT clock_timestamp(), line text NOT NULL
         )",
    )
    .await
    .unwrap();
    println!("Appending lines of {LINE} bytes, one connection, each commit flushed\n");
    println!("| lines a commit | this log, lines/s | a row a line, by UNNEST, lines/s | ratio | stolen |");
    println!("|---|---|---|---|---|");
    for size in [64, 100, 1_000] {
        let mut shuffle = Shuffle::new();
        let batches: Vec<Vec<String>> = (0..50).map(|_| lines(size, &mut shuffle)).collect();
        let joined: Vec<String> = batches.iter().map(|batch| batch.join("\n")).collect();
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let steal = Steal::begin();
        for _ in 0..ROUNDS {
            let last_lifecycle = writer.head().await.unwrap().last_lifecycle;
            let (began, mut commits) = (Instant::now(), 0);
            while began.elapsed() < TIME {
                let draft = Draft {
                    id: random.uuid_v7(0),
                    lines: joined[commits % joined.len()].clone(),
                    count: size as u32,
                    lifecycle: 0,
                    personal: Vec::new(),
                    erases: None,
                    sealed: Vec::new(),
                };
                let appended = writer.append(&draft, Condition::LastLifecycle(last_lifecycle)).await.unwrap();
                assert!(matches!(appended, Appended::Committed(_)));
                commits += 1;
            }
            let our = (commits * size) as f64 / began.elapsed().as_secs_f64();
            let (began, mut commits) = (Instant::now(), 0);
            while began.elapsed() < TIME {
                insert_rows(&mut rows, &batches[commits % batches.len()]).await;
                commits += 1;
            }
            let their = (commits * size) as f64 / began.elapsed().as_secs_f64();
            ours.push(our);
            theirs.push(their);
            ratios.push(our / their);
        }
        println!(
            "| {size} | {:.0} | {:.0} | {:.1} × | {:.0} % |",
            median(ours),
            median(theirs),
            median(ratios),
            steal.share() * 100.0
        );
    }
    println!();
    rows.close().await.unwrap();
    drop((writer, log));
    stand.stop().await;
}

async fn insert_rows(connection: &mut PgConnection, lines: &[String]) {
    sqlx::query("INSERT INTO event (line) SELECT line FROM unnest($1::text[]) AS line")
        .bind(lines)
        .execute(connection)
        .await
        .unwrap();
}

/// What a use adds to the write-ahead log and to the tables.
pub(crate) async fn bytes() {
    let stand = Stand::new().await;
    let authority = stand.authority("committed", Answers::Committed, TOKENS).await;
    let scripts =
        [("published", authority.questions(QUESTIONS)), ("even", authority.even_questions(QUESTIONS))];
    let server = stand.serve(&authority);
    println!("Bytes of one use, full-page images apart\n");
    println!(
        "| mix | connections | lines a commit | bytes a line | WAL | table and indexes | personal values |"
    );
    println!("|---|---|---|---|---|---|---|");
    let runs =
        [64, 128, 256].into_iter().flat_map(|connections| scripts.iter().map(move |mix| (mix, connections)));
    for ((mix, script), connections) in runs {
        // The first uses bring the clients' addresses, which are kept once a day.
        measure(&stand, &server, script, connections, Duration::from_secs(2));
        let before = Sizes::read(&stand).await;
        measure(&stand, &server, script, connections, Duration::from_secs(5));
        let after = Sizes::read(&stand).await;
        let wal = Sizes::wal(&stand, &before, &after).await;
        let lines = (after.lines - before.lines) as f64;
        println!(
            "| {mix} | {connections} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} |",
            lines / (after.commits - before.commits) as f64,
            (after.text - before.text) as f64 / lines,
            wal / lines,
            (after.table - before.table) as f64 / lines,
            (after.personal - before.personal) as f64 / lines,
        );
    }
    println!();
    drop::<Server>(server);
    stand.stop().await;
}

struct Sizes {
    place: String,
    lines: i64,
    commits: i64,
    text: i64,
    table: i64,
    personal: i64,
}

impl Sizes {
    async fn read(stand: &Stand) -> Sizes {
        let mut connection = stand.superuser("committed").await;
        let (place, lines, commits, text, table, personal) = sqlx::query_as(
            "SELECT pg_current_wal_flush_lsn()::text, (SELECT size FROM chancery.log_head), count(*),
                    sum(octet_length(lines))::int8, pg_total_relation_size('chancery.commits'),
                    pg_total_relation_size('chancery.personal')
             FROM chancery.commits",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
        Sizes { place, lines, commits, text, table, personal }
    }

    /// Bytes of records between two places, without the images of pages that a checkpoint causes.
    async fn wal(stand: &Stand, before: &Sizes, after: &Sizes) -> f64 {
        let mut connection = stand.superuser("committed").await;
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect").await.unwrap();
        let bytes: f64 = sqlx::query_scalar(
            "SELECT sum(record_size)::float8 FROM pg_get_wal_stats($1::pg_lsn, $2::pg_lsn)",
        )
        .bind(&before.place)
        .bind(&after.place)
        .fetch_one(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
        bytes
    }
}
