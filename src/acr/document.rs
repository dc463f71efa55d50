//! Manifest documents: their bytes, checked against their name, and every manifest that they name. Knows no requests.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::limits::{ANNOTATIONS_MAX, CHILDREN_MAX};
use super::wire::{self, Wrong};
use crate::model::{Digest, MediaType};

/// A manifest's document, whose bytes hash to its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestDocument {
    /// Its name.
    pub digest: Digest,
    /// The document itself.
    pub bytes: Bytes,
    /// What kind it is, by its own word or else by the registry's.
    pub media_type: MediaType,
    /// The manifests that it lists.
    pub children: Vec<Child>,
    /// The manifest that it describes.
    pub subject: Option<Digest>,
    /// What kind of artefact it is, if it says.
    pub artifact_type: Option<Box<str>>,
    /// Its config, if it has one.
    pub config: Option<Config>,
    /// Its annotations.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
}

/// A manifest in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub digest: Digest,
    /// What kind of document it is, if the index says.
    pub media_type: Option<MediaType>,
    /// The platform that it is for, e.g. `linux/arm64/v8`.
    pub platform: Option<Box<str>>,
}

/// The config of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The blob's name.
    pub digest: Digest,
    /// What kind of blob it is; of an artefact the kind of artefact.
    pub media_type: Option<Box<str>>,
    /// Its size, if the manifest says.
    pub size_bytes: Option<u64>,
}

pub(super) fn verify(digest: Digest, bytes: &[u8]) -> Result<(), Wrong> {
    let actual = Digest::of(bytes);
    if actual == digest { Ok(()) } else { Err(format!("its bytes hash to {actual}")) }
}

/// Reads a document. Every field that can name another manifest is read, whatever kind the document says it is.
pub(super) fn read_document(digest: Digest, bytes: &Bytes, content_type: Option<&str>) -> Result<ManifestDocument, Wrong> {
    verify(digest, bytes)?;
    let wire: wire::WireDocument<'_> = wire::read(bytes)?;
    let (manifests, annotations) = (wire.manifests.unwrap_or_default(), wire.annotations.unwrap_or_default());
    if CHILDREN_MAX < manifests.len() {
        return Err(format!("it lists {} manifests, more than {CHILDREN_MAX}", manifests.len()));
    }
    if ANNOTATIONS_MAX < annotations.len() {
        return Err(format!("it has {} annotations, more than {ANNOTATIONS_MAX}", annotations.len()));
    }
    let content_type = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    let media_type = wire.media_type.as_deref().filter(|text| !text.is_empty()).or(content_type).unwrap_or_default();
    let config = wire.config.map(|config| -> Result<Config, Wrong> {
        Ok(Config { digest: wire::digest(&config.digest)?, media_type: wire::boxed(config.media_type), size_bytes: config.size })
    });
    Ok(ManifestDocument {
        digest,
        bytes: bytes.clone(),
        media_type: MediaType::from_text(media_type),
        children: manifests.into_iter().map(read_child).collect::<Result<_, _>>()?,
        subject: wire.subject.map(|subject| wire::digest(&subject.digest)).transpose()?,
        artifact_type: wire::boxed(wire.artifact_type).filter(|text| !text.is_empty()),
        config: config.transpose()?,
        annotations: annotations.into_iter().map(|(key, value)| (key.into_owned().into(), value.into_owned().into())).collect(),
    })
}

fn read_child(wire: wire::WireDescriptor<'_>) -> Result<Child, Wrong> {
    let platform = wire.platform.map(|platform| {
        let wire::WirePlatform { architecture, os, variant } = platform;
        [os, architecture, variant].into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").into_boxed_str()
    });
    Ok(Child { digest: wire::digest(&wire.digest)?, media_type: wire.media_type.as_deref().map(MediaType::from_text), platform })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:97a379f4f88575512824f3b352bc03cd75e239179eea0fecc38e597b2209f49a";

    fn document(text: &str) -> Result<ManifestDocument, Wrong> {
        read_document(Digest::of(text.as_bytes()), &Bytes::from(text.to_owned()), Some("application/vnd.oci.image.index.v1+json; a=b"))
    }

    #[test]
    fn a_document_names_everything_it_refers_to() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"digest":"{DIGEST}","mediaType":"application/vnd.oci.image.manifest.v1+json",
            "platform":{{"os":"linux","architecture":"arm64","variant":"v8"}}}}],"subject":{{"digest":"{DIGEST}"}},"artifactType":"x/y",
            "config":{{"digest":"{DIGEST}","mediaType":"c/d","size":7}},"annotations":{{"k":"v"}}}}"#
        );
        let document = document(&text).expect("a document");
        assert_eq!(document.media_type, MediaType::OciIndex, "the registry's word where the document has none");
        assert_eq!(document.children[0].platform.as_deref(), Some("linux/arm64/v8"));
        assert_eq!(document.subject.map(|subject| subject.to_string()).as_deref(), Some(DIGEST));
        assert_eq!(document.artifact_type.as_deref(), Some("x/y"));
        assert_eq!(document.config.and_then(|config| config.size_bytes), Some(7));
        assert_eq!(document.annotations.len(), 1);
    }

    #[test]
    fn a_document_beyond_its_bounds_or_not_of_its_digest_is_unreadable() {
        assert!(read_document(Digest::of(b"{}"), &Bytes::from_static(b"{ }"), None).is_err_and(|wrong| wrong.contains("hash")));
        let index = |children: usize| format!(r#"{{"manifests":[{}]}}"#, vec![format!(r#"{{"digest":"{DIGEST}"}}"#); children].join(","));
        assert!(document(&index(CHILDREN_MAX)).is_ok());
        assert!(document(&index(CHILDREN_MAX + 1)).is_err());
        assert!(document(r#"{"manifests":[{"digest":"sha512:00"}]}"#).is_err());
        assert!(document(r#"{"subject":{}}"#).is_err());
        assert!(document("<html>").is_err());
    }
}
