//! The blobs of a repository: those that were uploaded, and those of drawn images, which are made when they are asked for; and whether a pushed
//! manifest names nothing that is missing.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::content::{self, Body};
use super::digest::Digest;
use super::drawn;
use super::world::{Locks, Manifest, Refusal, Repository};

/// In a larger repository the config of a drawn image is only found after its manifest was read: each search makes the configs of all of them,
/// 10 ms for this many.
const CONFIG_SEARCH_MAX: usize = 10_000;

impl Repository {
    pub(crate) fn into_blobs(self) -> HashMap<Digest, Bytes> {
        self.blobs
    }

    pub(crate) fn insert_blob(&mut self, digest: Digest, bytes: Bytes) {
        self.blobs.insert(digest, bytes);
    }

    pub(crate) fn remove_blob(&mut self, digest: Digest) -> Result<(), Refusal> {
        self.blobs.remove(&digest).map(drop).ok_or(Refusal::BlobUnknown)
    }

    /// Remembers where the config blob of a drawn image is, before someone asks for it.
    pub(crate) fn learn_config(&mut self, manifest: Digest) {
        let config = self.manifests.get(&manifest).and_then(|manifest| manifest.body.config()).map(|config| Digest::of(&config));
        if let Some(config) = config {
            self.drawn_configs.insert(config, manifest);
        }
    }

    /// The bytes of a blob: uploaded, shared by all drawn images, or the config of one of them.
    pub(crate) fn blob(&self, digest: Digest) -> Result<Bytes, Refusal> {
        if let Some(bytes) = self.blobs.get(&digest) {
            return Ok(bytes.clone());
        }
        if let Some(bytes) = drawn::shared_blob(digest) {
            return Ok(bytes);
        }
        let matching = |bytes: &Bytes| Digest::of(bytes) == digest;
        let learnt = self.drawn_configs.get(&digest).and_then(|manifest| self.manifests.get(manifest)?.body.config());
        if let Some(bytes) = learnt.filter(matching) {
            return Ok(bytes);
        }
        if CONFIG_SEARCH_MAX < self.manifests.len() {
            return Err(Refusal::BlobUnknown);
        }
        self.manifests.values().filter_map(|manifest| manifest.body.config()).find(matching).ok_or(Refusal::BlobUnknown)
    }

    /// Checks pushed bytes against what the repository holds and makes them a manifest.
    pub(crate) fn accept(&self, bytes: Bytes, content_type: &str, pushed: Timestamp) -> Result<Manifest, Refusal> {
        let read = content::read(&bytes, content_type).ok_or(Refusal::ManifestInvalid)?;
        let mut image_size_bytes = bytes.len() as u64;
        let mut kind = read.kind;
        for child in &read.children {
            let child = self.live_manifest(*child).map_err(|_| Refusal::ManifestInvalid)?;
            image_size_bytes += child.image_size_bytes;
        }
        for blob in &read.blobs {
            image_size_bytes += blob.size_bytes;
            if !blob.foreign {
                let found = self.blob(blob.digest).map_err(|_| Refusal::ManifestBlobUnknown(blob.digest))?;
                kind.learn_platform(&blob.media_type, &found);
            }
        }
        let body = Body::pushed(&bytes, read.subject, None);
        Ok(Manifest { pushed, image_size_bytes, kind: Arc::new(kind), body, locks: Locks::OPEN, ghost: false, quarantine: None })
    }
}
