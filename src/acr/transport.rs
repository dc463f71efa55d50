//! The seam between the client and the network: one request out, one answer in. Everything above it (tokens, paging,
//! retries, limits, JSON) runs the same against a socket, the emulator in process, or a simulation.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

/// Sends one request and brings its answer, without redirects, retries, decompression or credentials of its own.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` to the origin in its URI. The body of the answer is read by the caller, piece by piece.
    ///
    /// # Errors
    /// No answer came; the error says whether the request may have reached the server.
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, TransportError>;
}

/// The body of an answer, not read yet. Whoever reads it says how much of it is wanted.
pub struct Body(BoxStream<'static, Result<Bytes, TransportError>>);

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct TransportError {
    /// What kind of failure it is.
    pub kind: TransportErrorKind,
    /// Whether the server may have acted on the request.
    pub delivery: Delivery,
    /// One sentence for the operator: what failed, why, and what to do about it where that is known.
    pub sentence: String,
}

/// Kinds of failure that an operator treats differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportErrorKind {
    /// The name of the host does not resolve.
    UnknownHost,
    /// Nothing listens at the address.
    Refused,
    /// The server's certificate is not trusted.
    Untrusted,
    /// No answer within the time.
    TimedOut,
    /// Anything else: a connection lost, an answer that is not HTTP.
    Other,
}

/// How far a request got that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It never left: no connection was made. Sending it again is safe.
    NotSent,
    /// It may have been carried out.
    Unknown,
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is longer than was wanted.
    TooLong,
    /// The connection failed.
    Failed(TransportError),
}

impl Body {
    /// A body that is all there.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(stream::once(async move { Ok(bytes) }).boxed())
    }

    /// A body that comes in pieces.
    pub fn from_stream(pieces: impl futures::Stream<Item = Result<Bytes, TransportError>> + Send + 'static) -> Self {
        Self(pieces.boxed())
    }

    /// The next piece. None: that was all.
    pub(super) async fn next_piece(&mut self) -> Option<Result<Bytes, TransportError>> {
        self.0.next().await
    }

    /// Reads to the end or to the first byte beyond `max_bytes`.
    pub(super) async fn read(mut self, max_bytes: usize) -> Result<Bytes, Unread> {
        let Some(first) = self.0.next().await.transpose().map_err(Unread::Failed)? else { return Ok(Bytes::new()) };
        if max_bytes < first.len() {
            return Err(Unread::TooLong);
        }
        let Some(mut piece) = self.0.next().await.transpose().map_err(Unread::Failed)? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        loop {
            if max_bytes - all.len() < piece.len() {
                return Err(Unread::TooLong);
            }
            all.extend_from_slice(&piece);
            match self.0.next().await {
                Some(next) => piece = next.map_err(Unread::Failed)?,
                None => return Ok(all.freeze()),
            }
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Body")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(pieces: &[&'static [u8]]) -> Body {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_bound_and_no_further() {
        assert_eq!(in_pieces(&[]).read(0).await.expect("empty"), Bytes::new());
        assert_eq!(in_pieces(&[b"abc"]).read(3).await.expect("fits"), "abc");
        assert_eq!(in_pieces(&[b"ab", b"", b"c"]).read(3).await.expect("fits"), "abc");
        assert!(matches!(in_pieces(&[b"abcd"]).read(3).await, Err(Unread::TooLong)));
        assert!(matches!(in_pieces(&[b"ab", b"cd"]).read(3).await, Err(Unread::TooLong)));
    }

    #[tokio::test]
    async fn an_endless_body_ends_at_the_bound() {
        let endless = Body::from_stream(stream::repeat_with(|| Ok(Bytes::from_static(&[0; 1024]))));
        assert!(matches!(endless.read(1 << 20).await, Err(Unread::TooLong)));
    }
}
