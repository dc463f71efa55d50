//! Reading and deleting blobs. ACR sends the reader of a blob on to its storage, where the token does not go; what comes is checked
//! against the digest, whoever sent it.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};

use super::auth::Scope;
use super::client::{Call, Client, Deleted};
use super::courier::{Incoming, Outgoing, Wanted};
use super::document::verify;
use super::endpoint::Endpoint;
use super::error::{Action, Error, Failure, Operation, printable};
use super::limits::{BLOB_MAX_BYTES, BLOB_STREAM_MAX_BYTES, DOWNLOAD_RESUMES_MAX, PIECE_MAX};
use super::transport::Body;
use crate::model::{Digest, RepositoryName};

/// Where ACR keeps blobs: its storage accounts and its data endpoints, in the three clouds.
const BLOB_HOSTS: [&str; 7] = [
    ".blob.core.windows.net",
    ".blob.storage.azure.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
    ".data.azurecr.io",
    ".data.azurecr.us",
    ".data.azurecr.cn",
];

/// A blob that is being read, piece by piece. What was read is the blob only once [`Self::next_piece`] has said that there is no more:
/// then, and not before, its bytes are known to hash to the digest.
pub struct BlobDownload {
    client: Client,
    call: Call,
    digest: Digest,
    hasher: Sha256,
    received_bytes: u64,
    size_bytes: Option<u64>,
    body: Option<Body>,
    resumes: u32,
}

impl Client {
    /// Reads a small blob, e.g. the config of an image, into memory.
    ///
    /// # Errors
    /// As [`Self::get_manifest`]; [`Failure::Hostile`] when the reader is sent on to anything but ACR's storage.
    pub async fn get_blob(&self, repository: &RepositoryName, digest: Digest) -> Result<Bytes, Error> {
        let call = blob_call(Operation::GetBlob, Method::GET, repository, digest, Wanted::AtMost(BLOB_MAX_BYTES));
        let incoming = self.fetch(&call).await?;
        if incoming.status != StatusCode::OK {
            return Err(self.refused(&call, &incoming));
        }
        verify(digest, &incoming.body).map_err(|said| self.error(&call, Failure::Protocol { said }))?;
        Ok(incoming.body)
    }

    /// Begins to read a blob of any size. No more than one piece of it is in memory at a time.
    ///
    /// # Errors
    /// As [`Self::get_blob`].
    pub async fn download_blob(&self, repository: &RepositoryName, digest: Digest) -> Result<BlobDownload, Error> {
        let call = blob_call(Operation::GetBlob, Method::GET, repository, digest, Wanted::Pieces);
        let incoming = self.fetch(&call).await?;
        if incoming.status != StatusCode::OK {
            return Err(self.refused(&call, &incoming));
        }
        let size_bytes = number(&incoming.headers, CONTENT_LENGTH.as_str());
        if size_bytes.is_some_and(|size| BLOB_STREAM_MAX_BYTES < size) {
            return Err(self.error(&call, Failure::protocol("the blob is larger than any that the registry takes")));
        }
        let body = incoming.pieces;
        Ok(BlobDownload { client: self.clone(), call, digest, hasher: Sha256::new(), received_bytes: 0, size_bytes, body, resumes: 0 })
    }

    /// Deletes a blob. A manifest that names it is broken from then on: blobs that no manifest names go by themselves, so that
    /// retention never calls this.
    ///
    /// # Errors
    /// As [`Self::delete_manifest`].
    pub async fn delete_blob(&self, repository: &RepositoryName, digest: Digest) -> Result<Deleted, Error> {
        let call = blob_call(Operation::DeleteBlob, Method::DELETE, repository, digest, Wanted::Nothing);
        self.delete(&call).await.map(|(deleted, _)| deleted)
    }

    /// Asks for a blob, at the registry and then where it says that the blob is. The token goes to the registry alone.
    async fn fetch(&self, call: &Call) -> Result<Incoming, Error> {
        let incoming = self.call(call).await?;
        if incoming.status != StatusCode::TEMPORARY_REDIRECT {
            return Ok(incoming);
        }
        let location = incoming.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
        let uri = blob_address(self.endpoint(), location).map_err(|failure| self.error(call, failure))?;
        let mut headers = call.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let outgoing =
            Outgoing { operation: Operation::GetBlob, method: Method::GET, uri, headers, body: Bytes::new(), wanted: call.wanted };
        self.send(&outgoing).await.map_err(|failure| self.error(call, failure))
    }
}

impl BlobDownload {
    /// How large the blob is, where the answer says.
    pub const fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// The next piece. None: that was all, and it hashes to the digest. A connection that breaks is taken up again where it broke.
    ///
    /// # Errors
    /// [`Failure::Protocol`] when the bytes do not hash to the digest or do not end; every other way of [`Failure`]. Nothing of what
    /// was read may be used then.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(body) = &mut self.body else {
                self.resume().await?;
                continue;
            };
            match tokio::time::timeout(PIECE_MAX, body.next_piece()).await {
                Ok(Some(Ok(piece))) if piece.is_empty() => {}
                Ok(Some(Ok(piece))) => return self.take(piece).map(Some),
                Ok(None) if self.size_bytes.is_none_or(|size| size <= self.received_bytes) => return self.finish().map(|()| None),
                Ok(None | Some(Err(_))) | Err(_) => self.body = None,
            }
        }
    }

    fn take(&mut self, piece: Bytes) -> Result<Bytes, Error> {
        self.received_bytes += piece.len() as u64;
        if self.size_bytes.unwrap_or(BLOB_STREAM_MAX_BYTES) < self.received_bytes {
            return Err(self.failed("the body is longer than the blob may be".to_owned()));
        }
        self.hasher.update(&piece);
        Ok(piece)
    }

    fn finish(&mut self) -> Result<(), Error> {
        let actual = Digest::from_bytes(self.hasher.finalize_reset().into());
        if actual == self.digest { Ok(()) } else { Err(self.failed(format!("its bytes hash to {actual}"))) }
    }

    /// Asks for what is missing.
    async fn resume(&mut self) -> Result<(), Error> {
        self.resumes += 1;
        if DOWNLOAD_RESUMES_MAX < self.resumes {
            let said = format!("the connection broke {DOWNLOAD_RESUMES_MAX} times while the blob was read");
            return Err(self.client.error(&self.call, Failure::Unreachable { said }));
        }
        let from = self.received_bytes;
        if let Ok(range) = HeaderValue::try_from(format!("bytes={from}-")) {
            self.call.headers.insert(RANGE, range);
        }
        let incoming = self.client.fetch(&self.call).await?;
        match incoming.status {
            StatusCode::PARTIAL_CONTENT if starts_at(&incoming.headers, from) => {}
            // Whoever does not know ranges sends all of it again.
            StatusCode::OK => {
                self.hasher = Sha256::new();
                if 0 < from {
                    return Err(self.failed("the connection broke, and the blob's storage does not send a part of it".to_owned()));
                }
            }
            StatusCode::PARTIAL_CONTENT => return Err(self.failed("another part of the blob came than the one asked for".to_owned())),
            _ => return Err(self.client.refused(&self.call, &incoming)),
        }
        self.body = incoming.pieces;
        Ok(())
    }

    fn failed(&self, said: String) -> Error {
        self.client.error(&self.call, Failure::Protocol { said })
    }
}

fn blob_call(operation: Operation, method: Method, repository: &RepositoryName, digest: Digest, wanted: Wanted) -> Call {
    let (scope, needs) = if method == Method::DELETE {
        (Scope::Delete(repository.clone()), Action::Delete)
    } else {
        (Scope::Read(repository.clone()), Action::Pull)
    };
    Call {
        operation,
        item: format!("{repository}@{digest}"),
        method,
        path_and_query: format!("/v2/{repository}/blobs/{digest}"),
        scope,
        needs,
        headers: HeaderMap::new(),
        accept: "*/*",
        body: None,
        wanted,
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Whether a partial answer, `bytes 100-199/200`, begins where it should.
fn starts_at(headers: &HeaderMap, byte: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()?.trim().strip_prefix("bytes "));
    range.and_then(|range| range.split('-').next()?.parse().ok()) == Some(byte)
}

/// Where a blob is, if that is a place where ACR keeps blobs. An address without encryption is good only on this machine.
fn blob_address(endpoint: &Endpoint, location: &str) -> Result<Uri, Failure> {
    let elsewhere = || {
        let host = location.split('?').next().unwrap_or_default();
        Failure::hostile(format!("the blob is said to be at {}", printable(host)))
    };
    let uri: Uri = location.parse().map_err(|_| elsewhere())?;
    let origin = Endpoint::of(&uri).ok_or_else(elsewhere)?;
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let in_storage = origin.is_secure() && BLOB_HOSTS.iter().any(|suffix| host.ends_with(suffix));
    let on_this_machine = endpoint.is_loopback() && origin.is_loopback();
    if origin == *endpoint || in_storage || on_this_machine { Ok(uri) } else { Err(elsewhere()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_fetched_from_storage_alone() {
        let azure = Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint");
        let local = Endpoint::parse("http://127.0.0.1:5000").expect("an endpoint");
        for good in
            ["https://x.blob.core.windows.net/a//b?sig=1", "https://contoso.westeurope.data.azurecr.io/a", "https://contoso.azurecr.io/b"]
        {
            assert!(blob_address(&azure, good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/relative",
            "http://x.blob.core.windows.net/a",
            "https://blob.core.windows.net.evil.example/a",
            "https://169.254.169.254/metadata",
            "http://127.0.0.1:1/",
            "https://u@x.blob.core.windows.net/",
        ] {
            assert!(matches!(blob_address(&azure, bad), Err(Failure::Hostile { .. })), "{bad}");
        }
        assert!(blob_address(&local, "http://127.0.0.1:6000/blob").is_ok());
    }

    #[test]
    fn a_part_must_begin_where_the_last_one_ended() {
        let range = |text: &str| HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::try_from(text).expect("a header"))]);
        assert!(starts_at(&range("bytes 100-199/200"), 100));
        for other in ["bytes 0-199/200", "bytes */200", "items 100-199/200", "bytes 100"] {
            assert!(!starts_at(&range(other), 10), "{other}");
        }
        assert!(!starts_at(&HeaderMap::new(), 0));
    }
}
