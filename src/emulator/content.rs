//! What manifests say: reading pushed ones, and the two forms in which their bytes are kept. Knows nothing of repositories or tags.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::digest::Digest;
use super::drawn::Look;

/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The OCI artifact manifest of 2022, since withdrawn.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// A Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The config of an OCI image.
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The config of a Docker image.
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// What a manifest listing says about a manifest besides digest, size and time. Shared by all images that were drawn by one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) media_type: String,
    pub(crate) config_media_type: Option<String>,
    pub(crate) architecture: Option<String>,
    pub(crate) os: Option<String>,
}

impl Kind {
    /// Takes architecture and operating system from an image's config. Other configs say nothing about platforms.
    pub(crate) fn learn_platform(&mut self, media_type: &str, config: &[u8]) {
        #[derive(Deserialize)]
        struct Config {
            architecture: Option<String>,
            os: Option<String>,
        }
        let is_config = media_type == OCI_CONFIG || media_type == DOCKER_CONFIG;
        if is_config && let Ok(config) = serde_json::from_slice::<Config>(config) {
            self.architecture = config.architecture.filter(|text| !text.is_empty());
            self.os = config.os.filter(|text| !text.is_empty());
        }
    }
}

/// The bytes of a manifest, kept or made when they are asked for.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// As they were pushed.
    Kept(Arc<Kept>),
    /// Of a drawn image: how its line looks, and which of the repeated ones it is.
    Drawn { look: Arc<Look>, number: u32, layer_size_bytes: u64 },
}

#[derive(Debug)]
pub(crate) struct Kept {
    bytes: Box<[u8]>,
    subject: Option<Digest>,
    handle: Option<Box<str>>,
}

impl Body {
    pub(crate) fn pushed(bytes: &[u8], subject: Option<Digest>, handle: Option<&str>) -> Self {
        Self::Kept(Arc::new(Kept { bytes: bytes.into(), subject, handle: handle.map(Into::into) }))
    }

    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Kept(kept) => Bytes::copy_from_slice(&kept.bytes),
            Self::Drawn { look, number, layer_size_bytes } => look.manifest(*number, *layer_size_bytes).manifest,
        }
    }

    /// The config of a drawn image; what was pushed brought its own.
    pub(crate) fn config(&self) -> Option<Bytes> {
        match self {
            Self::Kept(_) => None,
            Self::Drawn { look, number, .. } => Some(look.config(*number)),
        }
    }

    pub(crate) fn subject(&self) -> Option<Digest> {
        match self {
            Self::Kept(kept) => kept.subject,
            Self::Drawn { .. } => None,
        }
    }

    /// The name that the drawing gave it.
    pub(crate) fn handle(&self) -> Option<String> {
        match self {
            Self::Kept(kept) => kept.handle.as_deref().map(str::to_owned),
            Self::Drawn { look, number, .. } => Some(look.handle(*number)),
        }
    }
}

/// A manifest as read from its bytes.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) kind: Kind,
    pub(crate) children: Vec<Digest>,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) subject: Option<Digest>,
}

#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) size_bytes: u64,
    /// Fetched from elsewhere (`urls`), so it need not be here.
    pub(crate) foreign: bool,
}

/// The parts of every manifest format that anyone here asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    pub(crate) manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    pub(crate) annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    /// Registries written in Go take what leaves it out, as an example of Microsoft's SDK does.
    #[serde(default)]
    size: u64,
    urls: Option<Vec<String>>,
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: Option<String>,
    pub(crate) os: Option<String>,
}

impl Descriptor {
    fn blob(self) -> Option<Blob> {
        let foreign = self.urls.is_some_and(|urls| !urls.is_empty());
        Some(Blob { digest: self.digest.parse().ok()?, media_type: self.media_type, size_bytes: self.size, foreign })
    }
}

/// The JSON of a stored manifest.
pub(crate) fn document(bytes: &[u8]) -> Option<Document> {
    serde_json::from_slice(bytes).ok()
}

/// Reads a manifest that comes with `content_type`; `None` where the registry answers that it is invalid.
pub(crate) fn read(bytes: &[u8], content_type: &str) -> Option<Read> {
    let document = document(bytes)?;
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
    if document.media_type.as_ref().is_some_and(|inner| *inner != media_type) {
        return None;
    }
    let subject = match document.subject {
        Some(subject) => Some(subject.digest.parse().ok()?),
        None => None,
    };
    let is_artifact = media_type == OCI_ARTIFACT;
    if !is_artifact && document.schema_version != Some(2) {
        return None;
    }
    let (children, blobs, config_media_type) = match media_type.as_str() {
        OCI_INDEX | DOCKER_LIST => {
            let children: Option<Vec<Digest>> = document.manifests?.iter().map(|child| child.digest.parse().ok()).collect();
            (children?, Vec::new(), None)
        }
        OCI_MANIFEST | DOCKER_MANIFEST => {
            let config = document.config?;
            let config_media_type = config.media_type.clone();
            let blobs: Option<Vec<Blob>> = std::iter::once(config).chain(document.layers?).map(Descriptor::blob).collect();
            (Vec::new(), blobs?, Some(config_media_type))
        }
        OCI_ARTIFACT => {
            let blobs: Option<Vec<Blob>> = document.blobs.unwrap_or_default().into_iter().map(Descriptor::blob).collect();
            (Vec::new(), blobs?, None)
        }
        _ => return None,
    };
    Some(Read { kind: Kind { media_type, config_media_type, architecture: None, os: None }, children, blobs, subject })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_that_contradicts_the_bytes_is_invalid() {
        let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert!(read(index, OCI_INDEX).is_some());
        assert!(read(index, DOCKER_LIST).is_none());
        assert!(read(br#"{"schemaVersion":1,"manifests":[]}"#, OCI_INDEX).is_none());
        assert!(read(b"{}", "application/json").is_none());
    }
}
