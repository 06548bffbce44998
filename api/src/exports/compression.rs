//! Compressing an answer as its client asks for it (RFC 9110, section 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;
use std::io::{self, Write};

/// How an answer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// The best that a request accepts. What names a coding without a weight of zero accepts it; no wildcard is needed,
    /// because an answer without a coding is always there.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let listed = |coding: &str| {
            let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|item| {
                let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
                let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
                name.trim().eq_ignore_ascii_case(coding) && weight.is_some_and(|weight| weight > 0.0)
            })
        };
        match () {
            () if listed("zstd") => Self::Zstd,
            () if listed("gzip") => Self::Gzip,
            () => Self::Identity,
        }
    }

    /// As `Content-Encoding` names it.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Compresses piece by piece.
pub(super) enum Encoder {
    Identity,
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    pub(super) fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Identity => Self::Identity,
            // Exports are long and their lines alike: the fastest level already takes most of it away.
            Encoding::Gzip => {
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Encoding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
        })
    }

    /// What a piece comes to, all of it: the client can read to its end.
    pub(super) fn push(&mut self, piece: &[u8], is_last: bool) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(piece.to_vec()),
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                if is_last {
                    encoder.try_finish()?;
                } else {
                    encoder.flush()?;
                }
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                if is_last {
                    encoder.do_finish()?;
                } else {
                    encoder.flush()?;
                }
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::io::Read as _;

    #[test]
    fn the_best_that_is_accepted_is_taken() {
        for (accepts, expected) in [
            ("gzip, deflate, br, zstd", Encoding::Zstd),
            ("GZIP;q=0.5", Encoding::Gzip),
            ("zstd;q=0, gzip", Encoding::Gzip),
            ("br, identity", Encoding::Identity),
            ("gzip;q=x", Encoding::Identity),
            ("*", Encoding::Identity),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepts))]);
            assert_eq!(Encoding::accepted(&headers), expected, "{accepts}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn pieces_come_out_as_they_went_in() {
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let mut encoder = Encoder::new(encoding).unwrap();
            let pieces = ["one\n".repeat(1_000), "two\n".to_owned(), String::new()];
            let mut sent = Vec::new();
            for (index, piece) in pieces.iter().enumerate() {
                sent.extend(encoder.push(piece.as_bytes(), index == 2).unwrap());
            }
            let mut read = String::new();
            match encoding {
                Encoding::Identity => read = String::from_utf8(sent).unwrap(),
                Encoding::Gzip => {
                    let _ = flate2::read::GzDecoder::new(&*sent).read_to_string(&mut read).unwrap();
                }
                Encoding::Zstd => read = String::from_utf8(zstd::decode_all(&*sent).unwrap()).unwrap(),
            }
            assert_eq!(read, pieces.concat(), "{encoding:?}");
        }
    }
}
