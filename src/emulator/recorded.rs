//! Contents as a recording shows them: digests, times and sizes that a real registry gave, under which the emulator holds whatever bytes are
//! known. For replaying recordings only; nothing else can put bytes under a digest that is not theirs.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::Emulator;
use super::content::{self, Body, Kind};
use super::digest::Digest;
use super::world::{Locks, Manifest};

/// A manifest as a listing described it.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub struct RecordedManifest {
    /// What it is called; the bytes need not have this digest.
    pub digest: Digest,
    /// What is answered to those who pull it. The children in the properties of an index are read from it.
    pub bytes: Bytes,
    /// `mediaType`.
    pub media_type: String,
    /// `configMediaType`.
    pub config_media_type: Option<String>,
    /// `architecture`.
    pub architecture: Option<String>,
    /// `os`.
    pub os: Option<String>,
    /// `imageSize`, in bytes.
    pub image_size_bytes: u64,
    /// `createdTime` and `lastUpdateTime`.
    pub pushed: Timestamp,
    /// `changeableAttributes`.
    pub locks: Locks,
}

/// A repository or tag as the registry described it.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct RecordedTimes {
    /// `createdTime`.
    pub created: Timestamp,
    /// `lastUpdateTime`.
    pub updated: Timestamp,
    /// `changeableAttributes`.
    pub locks: Locks,
}

impl Emulator {
    /// Holds a manifest as it was recorded.
    #[doc(hidden)]
    pub fn hold_manifest(&self, repository: &str, recorded: RecordedManifest) {
        let RecordedManifest { digest, bytes, media_type, config_media_type, architecture, os, image_size_bytes, pushed, locks } = recorded;
        let subject = content::read(&bytes, &media_type).and_then(|read| read.subject);
        let kind = Arc::new(Kind { media_type, config_media_type, architecture, os });
        let body = Body::pushed(&bytes, subject, None);
        let mut state = self.lock();
        let held = state.world.repository_or_new(repository, pushed);
        held.insert_manifest(digest, Manifest { pushed, image_size_bytes, kind, body, locks, ghost: false, quarantine: None });
    }

    /// Holds a tag as it was recorded.
    #[doc(hidden)]
    pub fn hold_tag(&self, repository: &str, tag: &str, digest: Digest, recorded: RecordedTimes) {
        let mut state = self.lock();
        let held = state.world.repository_or_new(repository, recorded.created);
        held.set_tag(tag, digest, recorded.created);
        held.set_tag(tag, digest, recorded.updated);
        if let Some(tag) = held.tags.get_mut(tag) {
            tag.locks = recorded.locks;
        }
    }

    /// Gives a repository the times and flags that were recorded. What is put into it later makes it younger again.
    #[doc(hidden)]
    pub fn hold_repository(&self, repository: &str, recorded: RecordedTimes) {
        let mut state = self.lock();
        let held = state.world.repository_or_new(repository, recorded.created);
        (held.created, held.updated, held.locks) = (recorded.created, recorded.updated, recorded.locks);
    }

    /// Holds a blob; the bytes need not have this digest.
    #[doc(hidden)]
    pub fn hold_blob(&self, repository: &str, digest: Digest, bytes: Bytes) {
        let now = self.now();
        self.lock().world.repository_or_new(repository, now).insert_blob(digest, bytes);
    }
}
