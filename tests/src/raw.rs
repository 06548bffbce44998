//! Bytes over a socket, for what no client would send.

use crate::wait::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes to `http://address` and reads until the server closes.
pub async fn raw(url: &str, request: &[u8]) -> String {
    let address = url.strip_prefix("http://").expect("cleartext");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may refuse before everything is sent, and close.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = within("an answer", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}
