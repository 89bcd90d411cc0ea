//! Compressed responses, as the reference's `internal/http_api/compress.go` has them: by the first of `gzip` and `deflate` that
//! a client names, where deflate has no header of zlib's. What comes bit by bit is left as it is.

use std::io::{Result, Write as _};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};

use super::pieces::Pieces;
use super::respond::{Answer, Body};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    /// By name and nothing else: the reference does not read weights either.
    fn wanted(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get(ACCEPT_ENCODING)?.to_str().ok()?;
        accepted.split(',').find_map(|item| match item.trim() {
            "gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            _ => None,
        })
    }

    fn name(self) -> HeaderValue {
        match self {
            Self::Gzip => HeaderValue::from_static("gzip"),
            Self::Deflate => HeaderValue::from_static("deflate"),
        }
    }

    fn encode<'a>(self, parts: impl Iterator<Item = &'a [u8]>) -> Result<Pieces> {
        let mut parts = parts;
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Pieces::default(), Compression::fast());
                parts.try_for_each(|part| encoder.write_all(part))?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = DeflateEncoder::new(Pieces::default(), Compression::fast());
                parts.try_for_each(|part| encoder.write_all(part))?;
                encoder.finish()
            }
        }
    }
}

/// `answer`, compressed if a client that sent `headers` understands it and there is something to compress.
pub(crate) fn compressed(headers: &HeaderMap, answer: Answer) -> Answer {
    let Some(encoding) = Encoding::wanted(headers) else { return answer };
    let (mut head, body) = answer.into_parts();
    let encoded = match &body {
        Body::Whole(bytes) if !bytes.is_empty() => encoding.encode(std::iter::once(bytes.as_ref())),
        Body::Pieces(pieces) => encoding.encode(pieces.iter()),
        Body::Whole(_) | Body::Parts(_) => return Answer::from_parts(head, body),
    };
    let Ok(encoded) = encoded else { return Answer::from_parts(head, body) };
    head.headers.insert(CONTENT_ENCODING, encoding.name());
    head.headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    Answer::from_parts(head, encoded.into())
}

#[cfg(test)]
mod tests {
    use super::super::respond::{Decoration, Reply, dress};
    use super::*;

    fn whole(body: Body) -> Vec<u8> {
        match body {
            Body::Whole(bytes) => bytes.into(),
            Body::Pieces(pieces) => pieces.iter().collect::<Vec<_>>().concat(),
            Body::Parts(_) => panic!("it comes bit by bit"),
        }
    }

    fn answer(accepted: &'static str, text: &'static str) -> (Option<String>, Vec<u8>) {
        let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
        let answer = compressed(&headers, dress(Decoration::V1, Ok(Reply::Text(text.into()))));
        let encoding = answer.headers().get(CONTENT_ENCODING).map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(answer.headers().contains_key(VARY), encoding.is_some());
        (encoding, whole(answer.into_body()))
    }

    #[test]
    fn the_first_known_encoding_counts() {
        for (accepted, expected) in [
            ("gzip", Some("gzip")),
            ("deflate, gzip", Some("deflate")),
            ("br , gzip", Some("gzip")),
            ("gzip;q=1.0, deflate", Some("deflate")),
            ("gzip;q=1.0", None),
            ("GZIP", None),
            ("", None),
        ] {
            assert_eq!(answer(accepted, "hello").0.as_deref(), expected, "{accepted}");
        }
        assert_eq!(answer("gzip", "").0, None, "there is nothing to compress");
    }

    #[test]
    fn deflate_has_no_header() {
        use std::io::Read as _;
        let (_, bytes) = answer("deflate", "hello hello hello");
        let mut text = String::new();
        flate2::read::DeflateDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello hello hello");
        let (_, bytes) = answer("gzip", "hello");
        assert!(bytes.starts_with(&[0x1f, 0x8b]));
    }
}
