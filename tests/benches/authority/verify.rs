//! `POST /v1/verify` beside a server that does nothing and beside what most teams write.

use crate::load::{self, Script, Seen};
use crate::measure::{Steal, family_cpu, median, process_cpu};
use crate::rivals;
use crate::stand::{Authority, Server, Stand};
use domain::event::Answers;
use sqlx::{Connection as _, Executor as _};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// Live tokens of each authority.
pub(crate) const TOKENS: usize = 100_000;
/// Questions that are rendered beforehand.
pub(crate) const QUESTIONS: usize = 200_000;
/// How long one measurement takes.
const TIME: Duration = Duration::from_millis(2_500);

/// One measurement.
pub(crate) struct Figures {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Of answers, in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// CPU time an answer, in microseconds: of the server, of Postgres, of the load generator.
    pub(crate) server: f64,
    pub(crate) postgres: f64,
    pub(crate) load: f64,
    /// The share of the machine's time that was stolen meanwhile.
    pub(crate) stolen: f64,
    /// The share of valid answers.
    pub(crate) valid: f64,
}

/// Loads a server and reads what it and Postgres took.
pub(crate) fn measure(
    stand: &Stand,
    server: &Server,
    script: &Script,
    connections: usize,
    time: Duration,
) -> Figures {
    let postmaster = stand.postgres.pid().unwrap();
    let (own, database, steal) = (process_cpu(server.pid()), family_cpu(postmaster), Steal::begin());
    let seen = tokio::task::block_in_place(|| load::run(server.address, connections, script, time));
    let (own, database) = (process_cpu(server.pid()) - own, family_cpu(postmaster).saturating_sub(database));
    let stolen = steal.share();
    // The kernel's accounts of others include the warm-up; so does the number of answers that they are divided by.
    let all = seen.answers as f64 * (seen.elapsed + load::WARM_UP).as_secs_f64() / seen.elapsed.as_secs_f64();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let Seen { answers, valid, elapsed, latency, cpu } = seen;
    Figures {
        rate: answers as f64 / elapsed.as_secs_f64(),
        p50: latency.value_at_quantile(0.5) as f64 / 1e3,
        p99: latency.value_at_quantile(0.99) as f64 / 1e3,
        server: micros(own) / all,
        postgres: micros(database) / all,
        load: micros(cpu) / answers as f64,
        stolen,
        valid: valid as f64 / answers as f64,
    }
}

struct Target<'t> {
    name: &'static str,
    connections: usize,
    server: &'t Server,
    script: &'t Script,
}

fn number_of_rounds(default: usize) -> usize {
    std::env::var("ROUNDS").map_or(default, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

/// `SERVERS` names some of the servers, separated by commas; bare is always there, and another build where there is one.
fn is_wanted(name: &str) -> bool {
    matches!(name, "bare" | "before")
        || std::env::var("SERVERS").is_ok_and(|names| names.split(',').any(|one| one == name))
        || std::env::var("SERVERS").is_err()
}

/// Rounds of all targets in turn, so that what the machine does meanwhile meets all of them alike.
fn interleave(
    stand: &Stand,
    targets: &[Target<'_>],
    rounds: usize,
) -> HashMap<(&'static str, usize), Vec<Figures>> {
    let mut figures: HashMap<_, Vec<Figures>> = HashMap::new();
    for round in 0..rounds {
        for target in targets {
            let one = measure(stand, target.server, target.script, target.connections, TIME);
            eprintln!(
                "  round {round}: {:9} {:3} connections {:7.0}/s",
                target.name, target.connections, one.rate
            );
            figures.entry((target.name, target.connections)).or_default().push(one);
        }
    }
    figures
}

fn middle(figures: &[Figures], value: impl Fn(&Figures) -> f64) -> f64 {
    median(figures.iter().map(value))
}

/// The middle of the rounds' own ratios.
fn ratio(figures: &[Figures], base: &[Figures], value: impl Fn(&Figures) -> f64) -> f64 {
    median(figures.iter().zip(base).map(|(one, base)| value(one) / value(base)))
}

/// The peer's tables, with the same tokens.
async fn fill_peer(stand: &Stand, authority: &Authority) {
    stand.database("peer").await;
    let mut connection = stand.superuser("peer").await;
    connection.execute(rivals::PEER).await.unwrap();
    let hashes: Vec<Vec<u8>> = authority
        .tokens
        .iter()
        .map(|token| blake3::hash(token.secret.as_bytes()).as_bytes().to_vec())
        .collect();
    sqlx::query(
        "INSERT INTO token SELECT hash, gen_random_uuid(), 'service-' || n, ARRAY['projects:read', 'deployments:*'],
                                  now() + interval '90 days', NULL
         FROM unnest($1::bytea[]) WITH ORDINALITY AS token (hash, n)",
    )
    .bind(hashes)
    .execute(&mut connection)
    .await
    .unwrap();
    connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO chancery; ANALYZE").await.unwrap();
    connection.close().await.unwrap();
}

/// Both modes, the ceiling and the peer; and, where `BEFORE` is the path of another build of the program, that build.
pub(crate) async fn rounds() {
    let stand = Stand::new().await;
    let committed = stand.authority("committed", Answers::Committed, TOKENS).await;
    let bounded = stand.authority("bounded", Answers::Bounded, TOKENS).await;
    fill_peer(&stand, &committed).await;
    let before = match std::env::var_os("BEFORE") {
        Some(program) => {
            Some((stand.authority("before", Answers::Committed, TOKENS).await, PathBuf::from(program)))
        }
        None => None,
    };
    let mut scripts = vec![committed.questions(QUESTIONS), bounded.questions(QUESTIONS)];
    let mut servers = vec![
        Server::rival(&["serve-bare"]),
        stand.serve(&committed),
        stand.serve(&bounded),
        Server::rival(&["serve-peer", &stand.url("peer"), "16"]),
    ];
    if let Some((authority, program)) = &before {
        scripts.push(authority.questions(QUESTIONS));
        servers.push(stand.serve_by(program, authority));
    }
    let names = ["bare", "committed", "bounded", "peer", "before"];
    let of = |index: usize, connections| Target {
        name: names[index],
        connections,
        server: &servers[index],
        script: &scripts[[0, 0, 1, 0, 2][index]],
    };
    let mut targets = Vec::new();
    for connections in [64, 256] {
        let wanted = (0..servers.len()).filter(|index| is_wanted(names[*index]));
        targets.extend(wanted.map(|index| of(index, connections)));
    }
    let figures = interleave(&stand, &targets, number_of_rounds(7));
    println!("POST /v1/verify, {TOKENS} live tokens, the middle of the rounds\n");
    println!(
        "| server | connections | answers/s | of bare | of peer | p50 ms | p99 ms | p99 of bare's | CPU µs: server | \
         Postgres | load | stolen |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for target in &targets {
        let own = &figures[&(target.name, target.connections)];
        let bare = &figures[&("bare", target.connections)];
        let peer = figures.get(&("peer", target.connections)).map_or(&[][..], Vec::as_slice);
        println!(
            "| {} | {} | {:.0} | {:.1} % | {:.2} × | {:.2} | {:.2} | {:.2} × | {:.1} | {:.1} | {:.1} | {:.0} % |",
            target.name,
            target.connections,
            middle(own, |one| one.rate),
            ratio(own, bare, |one| one.rate) * 100.0,
            ratio(own, peer, |one| one.rate),
            middle(own, |one| one.p50) / 1e3,
            middle(own, |one| one.p99) / 1e3,
            ratio(own, bare, |one| one.p99),
            middle(own, |one| one.server),
            middle(own, |one| one.postgres),
            middle(own, |one| one.load),
            middle(own, |one| one.stolen) * 100.0,
        );
    }
    let valid = figures.get(&("committed", 64)).map_or(f64::NAN, |own| middle(own, |one| one.valid));
    println!("\n{:.1} % of the committed answers were valid.", valid * 100.0);
    drop(servers);
    stand.stop().await;
}

/// Batches of 100 questions, beside the same questions one by one.
pub(crate) async fn batch() {
    const SIZE: usize = 100;
    let stand = Stand::new().await;
    let authority = stand.authority("committed", Answers::Committed, TOKENS).await;
    let (batches, questions) = (authority.batches(2_000, SIZE), authority.questions(QUESTIONS));
    let server = stand.serve(&authority);
    let mut targets =
        vec![Target { name: "one by one", connections: 256, server: &server, script: &questions }];
    targets.extend([4, 16, 64].map(|connections| Target {
        name: "batches",
        connections,
        server: &server,
        script: &batches,
    }));
    let figures = interleave(&stand, &targets, number_of_rounds(5));
    let base = &figures[&("one by one", 256)];
    println!("POST /v1/verify/batch of {SIZE}, committed, {TOKENS} live tokens\n");
    println!(
        "| | connections | tokens/s | of one by one | p50 ms | CPU µs a token: server | Postgres | load | stolen |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for target in &targets {
        let own = &figures[&(target.name, target.connections)];
        let size = if target.name == "batches" { SIZE as f64 } else { 1.0 };
        println!(
            "| {} | {} | {:.0} | {:.1} × | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} % |",
            target.name,
            target.connections,
            middle(own, |one| one.rate) * size,
            ratio(own, base, |one| one.rate) * size,
            middle(own, |one| one.p50) / 1e3,
            middle(own, |one| one.server) / size,
            middle(own, |one| one.postgres) / size,
            middle(own, |one| one.load) / size,
            middle(own, |one| one.stolen) * 100.0,
        );
    }
    drop(server);
    stand.stop().await;
}

/// Committed answers before, while and after another session holds a snapshot open, so that no row version that the
/// log's head leaves behind can be cleared away.
pub(crate) async fn snapshot() {
    const HELD: Duration = Duration::from_mins(1);
    const ROUNDS: usize = 3;
    let stand = Stand::new().await;
    let authority = stand.authority("committed", Answers::Committed, TOKENS).await;
    let script = authority.questions(QUESTIONS);
    let (bare, server) = (Server::rival(&["serve-bare"]), stand.serve(&authority));
    let targets = [("bare", &bare), ("committed", &server)].map(|(name, server)| Target {
        name,
        connections: 64,
        server,
        script: &script,
    });
    let before = interleave(&stand, &targets, ROUNDS);
    let mut holder = stand.superuser("committed").await;
    holder
        .execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT size FROM chancery.log_head")
        .await
        .unwrap();
    let held = measure(&stand, &server, &script, 64, HELD);
    let during = interleave(&stand, &targets, ROUNDS);
    holder.execute("COMMIT").await.unwrap();
    let after = interleave(&stand, &targets, ROUNDS);
    let share = |figures: &HashMap<(&'static str, usize), Vec<Figures>>| {
        ratio(&figures[&("committed", 64)], &figures[&("bare", 64)], |one| one.rate)
    };
    let (first, second, third) = (share(&before), share(&during), share(&after));
    println!("Committed answers at 64 connections, of bare's, around a snapshot that is held open\n");
    println!("| before | after a minute of it under load | of before | when it has ended | of before |");
    println!("|---|---|---|---|---|");
    println!(
        "| {:.1} % | {:.1} % | {:.0} % | {:.1} % | {:.0} % |",
        first * 100.0,
        second * 100.0,
        second / first * 100.0,
        third * 100.0,
        third / first * 100.0
    );
    println!("\nIn that minute: {:.0} answers/s, p99 {:.1} ms.", held.rate, held.p99 / 1e3);
    holder.close().await.unwrap();
    drop((bare, server));
    stand.stop().await;
}

/// The rate of the second as a share of the first's, in rounds at 64 connections.
pub(crate) fn compare(stand: &Stand, first: (&Server, &Script), second: (&Server, &Script)) -> f64 {
    let targets = [("first", first), ("second", second)].map(|(name, (server, script))| Target {
        name,
        connections: 64,
        server,
        script,
    });
    let figures = interleave(stand, &targets, number_of_rounds(5));
    ratio(&figures[&("second", 64)], &figures[&("first", 64)], |one| one.rate)
}
