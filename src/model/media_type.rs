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
    /// Anything else, verbatim.
    Other(Box<str>),
}

impl MediaType {
    const KNOWN: [(&'static str, Self); 5] = [
        ("application/vnd.oci.image.index.v1+json", Self::OciIndex),
        ("application/vnd.docker.distribution.manifest.list.v2+json", Self::DockerManifestList),
        ("application/vnd.oci.image.manifest.v1+json", Self::OciManifest),
        ("application/vnd.docker.distribution.manifest.v2+json", Self::DockerManifest),
        ("application/vnd.oci.artifact.manifest.v1+json", Self::OciArtifactManifest),
    ];

    /// The media type that `text` names.
    pub fn from_text(text: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|(name, _)| *name == text);
        known.map_or_else(|| Self::Other(text.into()), |(_, media_type)| media_type)
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
        let known = Self::KNOWN.iter().find(|(_, media_type)| media_type == self);
        match (known, self) {
            (Some((name, _)), _) => formatter.write_str(name),
            (None, Self::Other(text)) => write!(formatter, "{}", text.escape_debug()),
            (None, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_survives_its_text() {
        for (name, media_type) in MediaType::KNOWN {
            assert_eq!(MediaType::from_text(name), media_type);
            assert_eq!(media_type.to_string(), name);
        }
        assert_eq!(MediaType::from_text("text/x").to_string(), "text/x");
    }
}
