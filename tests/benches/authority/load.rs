//! The load generator: one thread, many connections, each with one request under way at any time.
//!
//! It has to be cheap, because it shares the machine with what it measures: requests are rendered beforehand, answers
//! are not parsed beyond their length, and one thread serves all sockets through epoll.

use crate::measure::thread_cpu;
use hdrhistogram::Histogram;
use memchr::memmem;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Requests that were rendered beforehand.
#[derive(Default)]
pub(crate) struct Script {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Script {
    /// Adds a JSON POST.
    pub(crate) fn post(&mut self, path: &str, bearer: &str, body: &str) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: authority\r\nAuthorization: Bearer {bearer}\r\n\
             User-Agent: bench-service/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.bytes.extend_from_slice(request.as_bytes());
        self.ends.push(self.bytes.len());
    }

    fn get(&self, index: usize) -> &[u8] {
        let index = index % self.ends.len();
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[index]]
    }
}

/// What was seen from the clients' side.
pub(crate) struct Seen {
    /// Answers with status 200.
    pub(crate) answers: u64,
    /// How many of them begin with what valid answers begin with.
    pub(crate) valid: u64,
    /// For how long.
    pub(crate) elapsed: Duration,
    /// From a request's first byte to its answer's last, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// CPU time of this thread.
    pub(crate) cpu: Duration,
}

struct Client {
    stream: TcpStream,
    next: usize,
    step: usize,
    sent: usize,
    began: Instant,
    answer: Vec<u8>,
}

/// How long a server is loaded before it counts.
pub(crate) const WARM_UP: Duration = Duration::from_millis(300);

/// Keeps `connections` busy for a while. Fails on any answer that is not 200.
pub(crate) fn run(address: SocketAddr, connections: usize, script: &Script, time: Duration) -> Seen {
    let mut poll = Poll::new().unwrap();
    let mut clients: Vec<Client> = (0..connections)
        .map(|index| {
            let stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            let mut stream = TcpStream::from_std(stream);
            // Written to without asking: a request is far smaller than a socket's buffer.
            poll.registry().register(&mut stream, Token(index), Interest::READABLE).unwrap();
            // Each starts elsewhere, and all together go through everything.
            let next = index * script.ends.len() / connections;
            Client { stream, next, step: 0, sent: 0, began: Instant::now(), answer: Vec::new() }
        })
        .collect();
    let mut seen = Seen {
        answers: 0,
        valid: 0,
        elapsed: Duration::ZERO,
        latency: Histogram::new(3).unwrap(),
        cpu: Duration::ZERO,
    };
    for client in &mut clients {
        client.send(script);
    }
    let (mut began, mut cpu) = (Instant::now(), thread_cpu());
    let mut is_warm = false;
    let mut events = Events::with_capacity(1_024);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert!(!events.is_empty(), "no answer in 10 s");
        for event in &events {
            let client = &mut clients[event.token().0];
            while client.receive(&mut buffer, &mut seen) {
                client.send(script);
            }
        }
        let elapsed = began.elapsed();
        if !is_warm && elapsed >= WARM_UP {
            (is_warm, began, cpu) = (true, Instant::now(), thread_cpu());
            (seen.answers, seen.valid) = (0, 0);
            seen.latency.reset();
        } else if is_warm && elapsed >= time {
            seen.elapsed = elapsed;
            seen.cpu = thread_cpu() - cpu;
            return seen;
        }
    }
}

impl Client {
    fn send(&mut self, script: &Script) {
        let request = script.get(self.next + self.step);
        self.step += 1;
        self.began = Instant::now();
        self.sent = self.stream.write(request).unwrap();
        assert_eq!(self.sent, request.len(), "a request fits into the socket's buffer");
    }

    /// Reads what is there; says whether an answer was completed.
    fn receive(&mut self, buffer: &mut [u8], seen: &mut Seen) -> bool {
        let read = match self.stream.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => panic!("a connection broke: {error}"),
        };
        assert!(read > 0, "the server closed a connection");
        let answer = if self.answer.is_empty() {
            &buffer[..read]
        } else {
            self.answer.extend_from_slice(&buffer[..read]);
            &self.answer
        };
        let Some(body) = body_of(answer) else {
            if self.answer.is_empty() {
                self.answer.extend_from_slice(&buffer[..read]);
            }
            // Level by level: more may be there already.
            return self.receive(buffer, seen);
        };
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
        seen.answers += 1;
        seen.valid += u64::from(body.starts_with(b"{\"valid\":true"));
        seen.latency.record(self.began.elapsed().as_nanos() as u64).unwrap();
        self.answer.clear();
        true
    }
}

/// The body of an answer that is complete.
fn body_of(answer: &[u8]) -> Option<&[u8]> {
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let head = memmem::find(answer, b"\r\n\r\n")?;
    let length = memmem::find(&answer[..head], LENGTH).expect("answers say how long they are") + LENGTH.len();
    let digits = answer[length..head].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.get(head + 4..head + 4 + length)
}
