//! Answers that are too long to be held: handed on as they come.

use super::{Client, address, send};
use crate::failure::Failure;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::timeout;

/// As good as none: what is long takes as long as it takes.
const UNLIMITED: Duration = Duration::from_hours(24 * 365);
/// A server that sends nothing for so long sends nothing more.
const SILENCE: Duration = Duration::from_mins(1);

/// Why a download came to nothing.
pub(crate) enum Broken {
    /// It was cut: the same may go well another time.
    Cut(String),
    Failed(Failure),
}

impl Client {
    /// Reads an answer into `sink`, as it was before it was compressed on the way.
    pub(crate) async fn download(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        sink: impl Write,
    ) -> Result<(), Broken> {
        let mut url = address::endpoint(&self.base, path).map_err(Broken::Failed)?;
        url.query_pairs_mut().extend_pairs(query);
        let cut = |error: &reqwest::Error| {
            Broken::Cut(format!("{} cannot be reached: {}", self.authority(), send::cause(error)))
        };
        let request = self.http.get(url).timeout(UNLIMITED).header(ACCEPT_ENCODING, "zstd");
        let mut response = request.send().await.map_err(|error| cut(&error))?;
        if !response.status().is_success() {
            let received = send::read(response).await.map_err(|error| cut(&error))?;
            return Err(match self.refusal(&received, None) {
                failure if received.is_passing() => Broken::Cut(failure.message()),
                failure => Broken::Failed(failure),
            });
        }
        let is_packed = response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == "zstd");
        let mut sink = Sink::new(sink, is_packed).map_err(|error| unwritten(&error))?;
        loop {
            let silent = |_| Broken::Cut(format!("{} has stopped sending", self.authority()));
            let chunk = timeout(SILENCE, response.chunk()).await.map_err(silent)?;
            match chunk.map_err(|error| cut(&error))? {
                Some(chunk) => sink.write(&chunk).map_err(|error| unwritten(&error))?,
                None => return sink.finish().map_err(|error| unwritten(&error)),
            }
        }
    }
}

fn unwritten(error: &io::Error) -> Broken {
    Broken::Failed(Failure::Other(format!("cannot write what was received: {error}")))
}

/// Where chunks go.
enum Sink<W: Write> {
    Plain(W),
    Packed(Box<zstd::stream::write::Decoder<'static, W>>),
}

impl<W: Write> Sink<W> {
    fn new(sink: W, is_packed: bool) -> io::Result<Self> {
        if is_packed {
            Ok(Self::Packed(Box::new(zstd::stream::write::Decoder::new(sink)?)))
        } else {
            Ok(Self::Plain(sink))
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.write_all(chunk),
            Self::Packed(decoder) => decoder.write_all(chunk),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.flush(),
            Self::Packed(decoder) => decoder.flush(),
        }
    }
}
