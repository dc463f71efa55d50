//! Changes true answers into wrong ones, as faults order it: broken bodies, wrong names, headers that lead astray. Knows no requests.

use std::convert::Infallible;

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream;
use jiff::{SignedDuration, Timestamp};

use super::digest::Digest;

/// What is wrong with an otherwise true answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alteration {
    /// The body ends after this many bytes, and its length says so: nothing but the content shows that it is not whole.
    Shorten(usize),
    /// The body has one byte more than what its digest names.
    WrongBytes,
    /// The answer says another digest than that of its content.
    WrongDigest,
    /// The body is not JSON.
    Garbage,
    /// The body is a JSON object with arrays this many levels deep in it.
    Deep(usize),
    /// The body is a JSON object with a text of this many bytes in it, sent without its length and never held in memory.
    Huge(u64),
    /// The body comes compressed, though nobody asked for it.
    Gzip,
    /// A header that replaces all others of its name.
    Set(HeaderName, HeaderValue),
    /// A header beside others of its name.
    Add(HeaderName, HeaderValue),
    /// The `Date` is off by this much.
    Date(SignedDuration),
}

/// The deepest body that is made: its brackets are held in memory, a byte each.
pub(crate) const DEPTH_MAX: usize = 50_000_000;
/// How much of a huge body is sent at once.
const PIECE: &[u8] = &[b'a'; 64 << 10];

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Alteration {
    /// Changes `response`; `now` is the registry's time.
    pub(crate) async fn carry_out(&self, mut response: Response, now: Timestamp) -> Response {
        match self {
            Self::Set(name, value) => {
                response.headers_mut().insert(name.clone(), value.clone());
            }
            Self::Add(name, value) => {
                response.headers_mut().append(name.clone(), value.clone());
            }
            Self::WrongDigest => {
                let wrong = Digest::of(b"something else").to_string();
                if let Ok(wrong) = HeaderValue::from_str(&wrong) {
                    response.headers_mut().insert(DIGEST, wrong);
                }
            }
            Self::Date(offset) => {
                let date = now.checked_add(*offset).unwrap_or(now).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                if let Ok(date) = HeaderValue::from_str(&date) {
                    response.headers_mut().insert(DATE, date);
                }
            }
            Self::Shorten(bytes) => return with_body(response, |body| body.slice(..body.len().min(*bytes))).await,
            Self::WrongBytes => return with_body(response, |body| [body.as_ref(), b" "].concat().into()).await,
            Self::Garbage => return with_body(response, |_| Bytes::from_static(b"<<< this is not JSON >>>")).await,
            Self::Deep(levels) => return with_body(json_type(response), |_| deep(*levels)).await,
            Self::Huge(bytes) => return huge(json_type(response), *bytes),
            Self::Gzip => {
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                return with_body(response, |body| gzip(&body)).await;
            }
        }
        response
    }
}

async fn with_body(response: Response, change: impl FnOnce(Bytes) -> Bytes) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = change(to_bytes(body, usize::MAX).await.unwrap_or_default());
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, Body::from(body))
}

fn json_type(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn deep(levels: usize) -> Bytes {
    let levels = levels.min(DEPTH_MAX);
    format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels)).into()
}

fn huge(response: Response, bytes: u64) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let pieces = stream::unfold((0, bytes), |(step, left)| async move {
        let piece = match (step, left) {
            (0, _) => return Some((Bytes::from_static(b"{\"x\":\""), (1, left))),
            (1, 0) => return Some((Bytes::from_static(b"\"}"), (2, 0))),
            (1, left) => Bytes::from_static(&PIECE[..usize::try_from(left).unwrap_or(usize::MAX).min(PIECE.len())]),
            _ => return None,
        };
        let left = left - piece.len() as u64;
        Some((piece, (1, left)))
    });
    let pieces = futures::StreamExt::map(pieces, Ok::<_, Infallible>);
    Response::from_parts(parts, Body::from_stream(pieces))
}

/// A gzip file of stored blocks: a header, the bytes as they are, CRC-32 and length.
fn gzip(bytes: &[u8]) -> Bytes {
    const BLOCK_BYTES_MAX: usize = u16::MAX as usize;
    let mut file = BytesMut::from(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..]);
    let mut blocks = bytes.chunks(BLOCK_BYTES_MAX).peekable();
    if blocks.peek().is_none() {
        file.put_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        file.put_u8(u8::from(blocks.peek().is_none()));
        file.put_u16_le(length);
        file.put_u16_le(!length);
        file.put_slice(block);
    }
    file.put_u32_le(crc32(bytes));
    file.put_u32_le(u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(0));
    file.freeze()
}

fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let file = gzip(&vec![7; 70_000]);
        assert_eq!(file.len(), 10 + 5 + 65_535 + 5 + 4_465 + 8);
        assert_eq!(gzip(b"").len(), 23);
    }
}
