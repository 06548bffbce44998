//! A cascading revocation of 100,000 descendants, and verify meanwhile.

use crate::stand::{ADMIN, Server, Stand};
use crate::verify::{Figures, QUESTIONS, TOKENS, measure};
use domain::event::Answers;
use domain::id::TokenId;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const DESCENDANTS: usize = 100_000;
const CONNECTIONS: usize = 64;
/// Long enough for a p99, short enough that the cascade is a good part of it.
const TIME: Duration = Duration::from_millis(1_500);
/// How far into a measurement the cascade is asked for: the load has to be warm.
const INTO: Duration = Duration::from_millis(600);

/// Verify before, while and after, and how long the cascade's own answer took; then the same once more, of what has ended.
pub(crate) async fn run() {
    let stand = Stand::new().await;
    let authority = stand.authority("cascade", Answers::Committed, TOKENS).await;
    let root = stand.family(&authority, DESCENDANTS).await;
    let script = authority.questions(QUESTIONS);
    let server = stand.serve(&authority);
    let take = || measure(&stand, &server, &script, CONNECTIONS, TIME);
    let before: Vec<Figures> = (0..3).map(|_| take()).collect();
    let (during, first) = while_revoking(&server, root, take);
    let after = take();
    let (again, second) = while_revoking(&server, root, take);
    let p99 = crate::measure::median(before.iter().map(|one| one.p99));
    println!(
        "A cascade of {DESCENDANTS} beside verify at {CONNECTIONS} connections, {TOKENS} other live tokens\n"
    );
    println!("| | its answer ms | verify p99 ms | of before |");
    println!("|---|---|---|---|");
    println!("| before | | {:.2} | |", p99 / 1e3);
    for (name, figures, answer) in
        [("the cascade", during, Some(first)), ("after", after, None), ("repeated", again, Some(second))]
    {
        let answer = answer.map(|answer| format!("{:.1}", answer.as_secs_f64() * 1e3)).unwrap_or_default();
        println!("| {name} | {answer} | {:.2} | {:.2} × |", figures.p99 / 1e3, figures.p99 / p99);
    }
    println!();
    drop(server);
    stand.stop().await;
}

/// A measurement in which the cascade is asked for, and how long its answer took.
fn while_revoking(server: &Server, root: TokenId, take: impl Fn() -> Figures) -> (Figures, Duration) {
    let address = server.address;
    let asking = std::thread::spawn(move || {
        std::thread::sleep(INTO);
        let body = r#"{"cascade":true}"#;
        let request = format!(
            "POST /v1/tokens/{root}/revoke HTTP/1.1\r\nHost: authority\r\nAuthorization: Bearer {ADMIN}\r\n\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        began.elapsed()
    });
    let figures = take();
    (figures, asking.join().unwrap())
}
