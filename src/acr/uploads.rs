//! Uploading blobs: begun, sent in parts, finished under the digest of what was sent. A part whose answer was lost is looked for
//! before it is sent again; where the registry says to go on is believed only on its own origin and path.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use sha2::{Digest as _, Sha256};

use super::auth::Scope;
use super::client::{Call, Client};
use super::courier::{Incoming, Wanted};
use super::endpoint::Endpoint;
use super::error::{Action, Error, Failure, Operation, printable};
use super::limits::{UPLOAD_CHUNK_BYTES, UPLOAD_LOCATION_MAX_LENGTH};
use super::manifests::stored_digest;
use crate::model::{Digest, RepositoryName};

/// A blob that is in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadedBlob {
    /// Its name, reckoned here and confirmed by the registry.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// An upload under way.
struct Upload<'a> {
    client: &'a Client,
    repository: &'a RepositoryName,
    /// The path and query at which it goes on.
    location: String,
    sent_bytes: u64,
    hasher: Sha256,
}

impl Client {
    /// Uploads a blob of any size; no more than one part of it is in memory at a time. An upload that fails is given up, so that the
    /// registry can forget it.
    ///
    /// # Errors
    /// [`Failure::Input`] when the content cannot be read; [`Failure::Hostile`] when the registry says to go on elsewhere;
    /// [`Failure::OutcomeUnknown`] when the last answer was lost; every other way of [`Failure`].
    pub async fn upload_blob(
        &self,
        repository: &RepositoryName,
        content: impl Stream<Item = io::Result<Bytes>> + Send + Unpin,
    ) -> Result<UploadedBlob, Error> {
        let call = upload_call(repository, Operation::StartUpload, Method::POST, format!("/v2/{repository}/blobs/uploads/"));
        let incoming = self.call(&call).await?;
        if incoming.status != StatusCode::ACCEPTED {
            return Err(self.refused(&call, &incoming));
        }
        let location = next_location(self.endpoint(), repository, &incoming.headers).map_err(|failure| self.error(&call, failure))?;
        let mut upload = Upload { client: self, repository, location, sent_bytes: 0, hasher: Sha256::new() };
        let result = upload.fill(content).await;
        if result.is_err() {
            // Giving it up is a courtesy; the failure that matters is the first one.
            let _ = self.call(&upload.call(Operation::CancelUpload, Method::DELETE)).await;
        }
        result
    }
}

impl Upload<'_> {
    async fn fill(&mut self, mut content: impl Stream<Item = io::Result<Bytes>> + Send + Unpin) -> Result<UploadedBlob, Error> {
        let mut part = BytesMut::new();
        while let Some(piece) = content.next().await {
            let mut piece = piece.map_err(|error| {
                let failure = Failure::Input { said: format!("its content cannot be read: {error}") };
                self.client.error(&self.call(Operation::UploadChunk, Method::PATCH), failure)
            })?;
            while !piece.is_empty() {
                let taken = piece.split_to(piece.len().min(UPLOAD_CHUNK_BYTES - part.len()));
                part.extend_from_slice(&taken);
                if part.len() == UPLOAD_CHUNK_BYTES {
                    self.send(part.split().freeze()).await?;
                }
            }
        }
        if !part.is_empty() {
            self.send(part.freeze()).await?;
        }
        self.finish().await
    }

    /// Sends a part. Where it goes is written on it, so that a part which had arrived after all cannot be added twice.
    async fn send(&mut self, part: Bytes) -> Result<(), Error> {
        let (first, end) = (self.sent_bytes, self.sent_bytes + part.len() as u64);
        let mut call = self.call(Operation::UploadChunk, Method::PATCH);
        let range = HeaderValue::try_from(format!("{first}-{}", end - 1));
        let range = range.map_err(|_| self.client.error(&call, Failure::protocol("the range of the part cannot be sent")))?;
        call.headers.insert(CONTENT_RANGE, range);
        call.body = Some(part.clone());
        let incoming = match self.client.call(&call).await {
            Err(error) if matches!(error.failure, Failure::OutcomeUnknown { .. }) => {
                if self.arrived(&error).await? != first {
                    self.taken(&part);
                    return Ok(());
                }
                // Sent again from the start of the part, at the place that the look told.
                call.path_and_query.clone_from(&self.location);
                self.client.call(&call).await?
            }
            answer => answer?,
        };
        if incoming.status != StatusCode::ACCEPTED {
            return Err(self.client.refused(&call, &incoming));
        }
        self.go_on(&call, &incoming)?;
        self.taken(&part);
        Ok(())
    }

    fn taken(&mut self, part: &Bytes) {
        self.hasher.update(part);
        self.sent_bytes += part.len() as u64;
    }

    /// How many bytes the registry has: all but the part whose answer was lost, or all. Anything else is `lost` still.
    async fn arrived(&mut self, lost: &Error) -> Result<u64, Error> {
        let call = self.call(Operation::GetUpload, Method::GET);
        let incoming = self.client.call(&call).await?;
        if incoming.status != StatusCode::NO_CONTENT {
            return Err(self.client.refused(&call, &incoming));
        }
        let end = incoming.headers.get(RANGE).and_then(|range| range.to_str().ok()?.trim().strip_prefix("0-")?.parse::<u64>().ok());
        let Some(end) = end else { return Err(lost.clone()) };
        self.go_on(&call, &incoming)?;
        // `0-0` stands for nothing and for one byte alike; parts of one byte are not sent but as the last.
        let has_bytes = if end == 0 { 0 } else { end + 1 };
        let is_start = has_bytes == self.sent_bytes;
        if is_start || self.sent_bytes < has_bytes && has_bytes - self.sent_bytes <= UPLOAD_CHUNK_BYTES as u64 {
            Ok(has_bytes)
        } else {
            Err(lost.clone())
        }
    }

    async fn finish(&mut self) -> Result<UploadedBlob, Error> {
        let digest = Digest::from_bytes(self.hasher.finalize_reset().into());
        let mut call = self.call(Operation::FinishUpload, Method::PUT);
        call.item = format!("{}@{digest}", self.repository);
        let separator = if call.path_and_query.contains('?') { '&' } else { '?' };
        call.path_and_query = format!("{}{separator}digest={}", call.path_and_query, digest.to_string().replace(':', "%3A"));
        call.body = Some(Bytes::new());
        let incoming = self.client.call(&call).await?;
        if incoming.status != StatusCode::CREATED {
            return Err(self.client.refused(&call, &incoming));
        }
        match stored_digest(&incoming.headers) {
            Ok(Some(stored)) if stored != digest => {
                let said = format!("the registry stored it as {stored}, while its bytes hash to {digest}");
                Err(self.client.error(&call, Failure::Protocol { said }))
            }
            Ok(_) => Ok(UploadedBlob { digest, size_bytes: self.sent_bytes }),
            Err(said) => Err(self.client.error(&call, Failure::Protocol { said })),
        }
    }

    fn call(&self, operation: Operation, method: Method) -> Call {
        upload_call(self.repository, operation, method, self.location.clone())
    }

    fn go_on(&mut self, call: &Call, incoming: &Incoming) -> Result<(), Error> {
        let next = next_location(self.client.endpoint(), self.repository, &incoming.headers);
        self.location = next.map_err(|failure| self.client.error(call, failure))?;
        Ok(())
    }
}

fn upload_call(repository: &RepositoryName, operation: Operation, method: Method, path_and_query: String) -> Call {
    Call {
        operation,
        item: repository.to_string(),
        method,
        path_and_query,
        scope: Scope::Push(repository.clone()),
        needs: Action::Push,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))]),
        accept: "*/*",
        body: None,
        wanted: Wanted::Nothing,
    }
}

/// The path and query at which an upload goes on, if that is one of this registry and repository.
fn next_location(endpoint: &Endpoint, repository: &RepositoryName, headers: &HeaderMap) -> Result<String, Failure> {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let location = location.ok_or_else(|| Failure::protocol("the registry does not say where the upload goes on"))?;
    let elsewhere = || {
        let place = location.split('?').next().unwrap_or_default();
        Failure::hostile(format!("the upload is said to go on at {}", printable(place)))
    };
    if UPLOAD_LOCATION_MAX_LENGTH < location.len() {
        return Err(elsewhere());
    }
    let uri: Uri = location.parse().map_err(|_| elsewhere())?;
    // A location that starts with two slashes names a host.
    let same_origin = location.starts_with('/') && !location.starts_with("//");
    if !same_origin && Endpoint::of(&uri).as_ref() != Some(endpoint) {
        return Err(elsewhere());
    }
    let path = uri.path().replace("%2F", "/").replace("%2f", "/");
    let id = path.strip_prefix(&format!("/v2/{repository}/blobs/uploads/")).ok_or_else(elsewhere)?;
    // An id is one segment, so that nothing in it can lead to another route.
    if id.is_empty() || id.starts_with('.') || id.contains(['/', '%', '\\']) {
        return Err(elsewhere());
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Ok(format!("/v2/{repository}/blobs/uploads/{id}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(location: &str) -> Result<String, Failure> {
        let endpoint = Endpoint::parse("https://contoso.azurecr.io").expect("an endpoint");
        let repository = RepositoryName::parse("team/web").expect("a name");
        next_location(&endpoint, &repository, &HeaderMap::from_iter([(LOCATION, HeaderValue::try_from(location).expect("a header"))]))
    }

    #[test]
    fn an_upload_goes_on_where_it_began() {
        let expected = Ok("/v2/team/web/blobs/uploads/1-2?_nouploadcache=false&_state=a%2Fb".to_owned());
        for location in [
            "/v2/team/web/blobs/uploads/1-2?_nouploadcache=false&_state=a%2Fb",
            "/v2/team%2Fweb/blobs/uploads/1-2?_nouploadcache=false&_state=a%2Fb",
            "https://contoso.azurecr.io/v2/team/web/blobs/uploads/1-2?_nouploadcache=false&_state=a%2Fb",
        ] {
            assert_eq!(next(location), expected, "{location}");
        }
    }

    #[test]
    fn an_upload_does_not_go_on_elsewhere() {
        for location in [
            "https://evil.example/v2/team/web/blobs/uploads/1",
            "//evil.example/v2/team/web/blobs/uploads/1",
            "http://contoso.azurecr.io/v2/team/web/blobs/uploads/1",
            "/v2/team/other/blobs/uploads/1",
            "/v2/team/web/blobs/uploads/",
            "/v2/team/web/blobs/uploads/../../../other/blobs/uploads/1",
            "/v2/team/web/blobs/uploads/%2e%2e",
            "/acr/v1/team/web",
            "",
        ] {
            assert!(matches!(next(location), Err(Failure::Hostile { .. })), "{location}");
        }
    }
}
