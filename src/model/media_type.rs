//! What kind of document a manifest is, as far as retention must know. Does not read documents.

use std::fmt;

/// The media type of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// `application/vnd.oci.image.index.v1+json`.
    OciIndex,
    /// `application/vnd.docker.distribution.manifest.list.v2+json`.
    DockerManifestList,
    /// `application/vnd.oci.image.manifest.v1+json`.
    OciManifest,
    /// `application/vnd.docker.distribution.manifest.v2+json`.
    DockerManifest,
    /// `application/vnd.oci.artifact.manifest.v1+json`, withdrawn from the specification, still found in registries.
    OciArtifactManifest,
    /// Anything else, verbatim. Rare, and behind two pointers because every manifest has room for one.
    Other(Box<Box<str>>),
}

impl MediaType {
    const KNOWN: [Self; 5] = [Self::OciIndex, Self::DockerManifestList, Self::OciManifest, Self::DockerManifest, Self::OciArtifactManifest];

    /// The media type that `text` names.
    pub fn from_text(text: &str) -> Self {
        Self::KNOWN.into_iter().find(|known| known.as_str() == text).unwrap_or_else(|| Self::Other(Box::new(text.into())))
    }

    /// As the registry wrote it; empty where it wrote none.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OciIndex => "application/vnd.oci.image.index.v1+json",
            Self::DockerManifestList => "application/vnd.docker.distribution.manifest.list.v2+json",
            Self::OciManifest => "application/vnd.oci.image.manifest.v1+json",
            Self::DockerManifest => "application/vnd.docker.distribution.manifest.v2+json",
            Self::OciArtifactManifest => "application/vnd.oci.artifact.manifest.v1+json",
            Self::Other(text) => text,
        }
    }

    /// Whether the document lists children.
    pub const fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// Whether the document could name other manifests (children or a subject), so that it must be read before anything is
    /// deleted beside it. A Docker image manifest (schema 2) has no field for either; an unknown type might.
    pub const fn may_refer(&self) -> bool {
        !matches!(self, Self::DockerManifest)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.as_str().escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_survives_its_text() {
        for media_type in MediaType::KNOWN {
            assert_eq!(MediaType::from_text(media_type.as_str()), media_type);
            assert_eq!(media_type.to_string(), media_type.as_str());
        }
        assert_eq!(MediaType::from_text("text/x").to_string(), "text/x");
    }
}
