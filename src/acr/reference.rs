//! What a manifest is asked for by: its digest, or a tag that points at it for the moment. Knows no requests.

use std::fmt;

use super::client::Client;
use crate::model::{Digest, RepositoryName, TagName};

/// A manifest, by what it is called. A digest names the same bytes for ever; a tag names whatever it points at by then, so that
/// what decides on deletion uses digests alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By the hash of its bytes.
    Digest(Digest),
    /// By a tag.
    Tag(TagName),
}

impl Client {
    /// How people and other tools name a manifest: `contoso.azurecr.io/team/web@sha256:…` or `contoso.azurecr.io/team/web:1.2`.
    pub fn fully_qualified_reference(&self, repository: &RepositoryName, reference: impl Into<Reference>) -> String {
        format!("{}/{}", self.endpoint().login_server(), item(repository, &reference.into()))
    }
}

/// A manifest within its registry.
pub(super) fn item(repository: &RepositoryName, reference: &Reference) -> String {
    match reference {
        Reference::Digest(digest) => format!("{repository}@{digest}"),
        Reference::Tag(tag) => format!("{repository}:{tag}"),
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<TagName> for Reference {
    fn from(tag: TagName) -> Self {
        Self::Tag(tag)
    }
}

impl From<&TagName> for Reference {
    fn from(tag: &TagName) -> Self {
        Self::Tag(tag.clone())
    }
}

impl fmt::Display for Reference {
    /// As it stands in a path.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(formatter),
            Self::Tag(tag) => tag.fmt(formatter),
        }
    }
}
