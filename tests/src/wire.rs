//! A connection that sends exactly the bytes that it is given, and keeps itself alive between requests: for targets,
//! heads and bodies that no client would write.

use crate::wait::within;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection to one node, made when it is needed.
pub struct Wire {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer as it came.
#[derive(Debug, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Wire {
    /// To `http://address`.
    pub fn to(url: &str) -> Wire {
        Wire { address: url.strip_prefix("http://").expect("cleartext").to_owned(), stream: None }
    }

    /// Sends a whole request and reads its answer; none where the server closes without one. A connection that the
    /// server has closed after the answer before, because it did not read that request's body, is made again.
    pub async fn send(&mut self, request: &[u8], is_head: bool) -> Option<Reply> {
        if let Some(stream) = self.stream.take()
            && let Some(reply) = self.exchange(stream, request, is_head).await
        {
            return Some(reply);
        }
        let stream = BufReader::new(TcpStream::connect(&self.address).await.unwrap());
        self.exchange(stream, request, is_head).await
    }

    async fn exchange(
        &mut self,
        mut stream: BufReader<TcpStream>,
        request: &[u8],
        is_head: bool,
    ) -> Option<Reply> {
        // The server may refuse before everything is sent, and close.
        let _ = within("the request to be taken", stream.get_mut().write_all(request)).await;
        let reply = within("an answer", read(&mut stream, is_head)).await?;
        if !reply.header("connection").eq_ignore_ascii_case("close") {
            self.stream = Some(stream);
        }
        Some(reply)
    }

    /// The same, on a connection of its own whose sending side ends with the request.
    pub async fn send_and_end(&self, request: &[u8]) -> Option<Reply> {
        let mut stream = BufReader::new(TcpStream::connect(&self.address).await.unwrap());
        let _ = within("the request to be taken", stream.get_mut().write_all(request)).await;
        let _ = stream.get_mut().shutdown().await;
        within("an answer", read(&mut stream, false)).await
    }
}

impl Reply {
    /// A header; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &**value).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn read(stream: &mut BufReader<TcpStream>, is_head: bool) -> Option<Reply> {
    let mut reply = Reply::default();
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    reply.status = line.split(' ').nth(1)?.parse().ok()?;
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        reply.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = reply.header("content-length").parse().unwrap_or(0);
    if !is_head && reply.status != 204 {
        // What is as long as its reader takes it has no length.
        if reply.header("transfer-encoding") == "chunked" {
            reply.body = chunks(stream).await?;
            return Some(reply);
        }
        reply.body.resize(length, 0);
        stream.read_exact(&mut reply.body).await.ok()?;
    }
    Some(reply)
}

/// A body that is a stream, to its end.
async fn chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let (mut body, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let length = usize::from_str_radix(line.trim_end(), 16).expect("the length of a chunk");
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
