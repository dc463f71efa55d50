//! How drawn images look: their manifest, config and layer bytes, made when they are asked for so that a million images need no room for
//! them. The bytes depend on the drawing alone, never on a clock, so digests are the same in every run.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::content::{DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, Kind, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use super::digest::Digest;

/// The family of media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Oci,
    Docker,
}

impl Family {
    pub(crate) fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    pub(crate) fn index(self) -> &'static str {
        match self {
            Self::Oci => OCI_INDEX,
            Self::Docker => DOCKER_LIST,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    fn layer(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }
}

/// `linux/arm64`, `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    pub(crate) variant: Option<String>,
}

impl Platform {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let platform = Self { os: parts.next()?, architecture: parts.next()?, variant: parts.next() };
        let empty = platform.os.is_empty() || platform.architecture.is_empty() || platform.variant.as_ref().is_some_and(String::is_empty);
        (!empty && parts.next().is_none()).then_some(platform)
    }

    /// The fields of a JSON object, without its braces.
    fn fields(&self) -> String {
        let Self { os, architecture, variant } = self;
        let variant = variant.as_ref().map_or_else(String::new, |variant| format!(",\"variant\":{}", quoted(variant)));
        format!("\"architecture\":{},\"os\":{}{variant}", quoted(architecture), quoted(os))
    }
}

/// Everything the bytes of a drawn image depend on besides its number and its size.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) repository: Arc<str>,
    /// May contain the variable, as may the values below.
    pub(crate) handle: String,
    /// The variable of `repeat`.
    pub(crate) variable: Option<String>,
    pub(crate) family: Family,
    pub(crate) platform: Platform,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) labels: Vec<(String, String)>,
    /// Instead of the family's own, for artifacts that are told apart by it.
    pub(crate) config_media_type: Option<String>,
}

impl Look {
    pub(crate) fn kind(&self) -> Kind {
        let config_media_type = self.config_media_type();
        let is_image = self.config_media_type.is_none();
        Kind {
            media_type: self.family.manifest().to_owned(),
            config_media_type: Some(config_media_type.to_owned()),
            architecture: is_image.then(|| self.platform.architecture.clone()),
            os: is_image.then(|| self.platform.os.clone()),
        }
    }

    fn config_media_type(&self) -> &str {
        self.config_media_type.as_deref().unwrap_or(self.family.config())
    }

    pub(crate) fn handle(&self, number: u32) -> String {
        self.fill(&self.handle, number)
    }

    fn fill(&self, text: &str, number: u32) -> String {
        match &self.variable {
            Some(variable) => fill(text, variable, number),
            None => text.to_owned(),
        }
    }

    fn filled(&self, pairs: &[(String, String)], number: u32) -> String {
        object(pairs.iter().map(|(key, value)| (self.fill(key, number), self.fill(value, number))))
    }

    pub(crate) fn config(&self, number: u32) -> Bytes {
        let platform = self.platform.fields();
        let labels = self.filled(&self.labels, number);
        let diff_id = LAYER.diff_id;
        let history = quoted(&format!("drawn: {} {}", self.repository, self.handle(number)));
        let config = format!(
            "{{{platform},\"config\":{{\"Labels\":{labels}}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{diff_id}\"]}},\
             \"history\":[{{\"created_by\":{history}}}]}}"
        );
        config.into()
    }

    pub(crate) fn manifest(&self, number: u32, layer_size_bytes: u64) -> Drawn {
        let config = self.config(number);
        let config_size_bytes = config.len() as u64;
        let media_type = self.family.manifest();
        let layer = descriptor(self.family.layer(), LAYER.digest, layer_size_bytes);
        let config = descriptor(self.config_media_type(), Digest::of(&config), config_size_bytes);
        let annotations = match self.annotations.as_slice() {
            [] => String::new(),
            annotations => format!(",\"annotations\":{}", self.filled(annotations, number)),
        };
        let manifest =
            format!("{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"config\":{{{config}}},\"layers\":[{{{layer}}}]{annotations}}}");
        Drawn { manifest: manifest.into(), config_size_bytes }
    }
}

/// The bytes of a drawn image's manifest, and the length of the config that they name.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) manifest: Bytes,
    pub(crate) config_size_bytes: u64,
}

/// The bytes of an index over `children`.
pub(crate) fn index(family: Family, handle: &str, children: &[Child], annotations: &[(String, String)], subject: Option<&Child>) -> Bytes {
    let child = |child: &Child| match &child.platform {
        Some(platform) => format!("{{{},\"platform\":{{{}}}}}", child.fields(), platform.fields()),
        None => format!("{{{}}}", child.fields()),
    };
    let manifests: Vec<String> = children.iter().map(child).collect();
    let index = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"manifests\":[{}]{}{}}}",
        family.index(),
        manifests.join(","),
        subject_field(subject),
        notes(handle, annotations)
    );
    index.into()
}

/// The bytes of an artifact: an OCI 1.1 manifest with an empty config and, for a referrer, a subject.
pub(crate) fn artifact(artifact_type: &str, handle: &str, annotations: &[(String, String)], subject: Option<&Child>) -> Bytes {
    let empty = descriptor(EMPTY_MEDIA_TYPE, *EMPTY_DIGEST, EMPTY_SIZE_BYTES);
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_MANIFEST}\",\"artifactType\":{},\"config\":{{{empty}}},\"layers\":[{{{empty}}}]{}{}}}",
        quoted(artifact_type),
        subject_field(subject),
        notes(handle, annotations)
    );
    manifest.into()
}

fn subject_field(subject: Option<&Child>) -> String {
    subject.map_or_else(String::new, |subject| format!(",\"subject\":{{{}}}", subject.fields()))
}

/// Indexes over the same children, and artifacts of the same subject, would be one manifest if nothing told them apart.
fn notes(handle: &str, annotations: &[(String, String)]) -> String {
    let own = ("org.opencontainers.image.title".to_owned(), handle.to_owned());
    format!(",\"annotations\":{}", object(std::iter::once(own).chain(annotations.iter().cloned())))
}

/// A manifest as another one names it.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) platform: Option<Platform>,
}

impl Child {
    fn fields(&self) -> String {
        descriptor(&self.media_type, self.digest, self.size_bytes)
    }
}

/// The fields of a descriptor, without its braces.
fn descriptor(media_type: &str, digest: Digest, size_bytes: u64) -> String {
    format!("\"mediaType\":{},\"digest\":\"{digest}\",\"size\":{size_bytes}", quoted(media_type))
}

fn object(pairs: impl Iterator<Item = (String, String)>) -> String {
    let fields: Vec<String> = pairs.map(|(key, value)| format!("{}:{}", quoted(&key), quoted(&value))).collect();
    format!("{{{}}}", fields.join(","))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Puts a number where `{variable}` stands, or with leading zeros where `{variable:04}` does.
pub(crate) fn fill(text: &str, variable: &str, number: u32) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inside, behind)) = after.split_once('}') else { break };
        let width = match inside.strip_prefix(variable) {
            Some("") => Some(0),
            Some(width) => width.strip_prefix(":0").and_then(|width| width.parse::<usize>().ok()),
            None => None,
        };
        filled.push_str(before);
        match width {
            Some(width) => filled.push_str(&format!("{number:0width$}")),
            None => filled.push_str(&format!("{{{inside}}}")),
        }
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

/// The blobs that all drawn manifests share: one layer, and the empty config of artifacts.
pub(crate) fn shared_blob(digest: Digest) -> Option<Bytes> {
    if digest == LAYER.digest {
        Some(LAYER.bytes.clone())
    } else if digest == *EMPTY_DIGEST {
        Some(Bytes::from_static(EMPTY))
    } else {
        None
    }
}

/// The real length of the shared layer: what a drawn image declares when no `size` is drawn.
pub(crate) fn layer_size_bytes() -> u64 {
    LAYER.bytes.len() as u64
}

const EMPTY: &[u8] = b"{}";
/// The length of the empty config, and of the one layer of an artifact.
pub(crate) const EMPTY_SIZE_BYTES: u64 = EMPTY.len() as u64;
pub(crate) const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";
static EMPTY_DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::of(EMPTY));

struct Layer {
    bytes: Bytes,
    digest: Digest,
    diff_id: Digest,
}

/// An empty tar (1,024 zero bytes) in a gzip file: header, one stored block, CRC-32 of the zeros, length.
static LAYER: LazyLock<Layer> = LazyLock::new(|| {
    const TAR: [u8; 1024] = [0; 1024];
    const TAR_CRC32: u32 = 0xefb5_af2e;
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    bytes.extend([1, 0x00, 0x04, 0xff, 0xfb]);
    bytes.extend(TAR);
    bytes.extend(TAR_CRC32.to_le_bytes());
    bytes.extend((TAR.len() as u32).to_le_bytes());
    Layer { digest: Digest::of(&bytes), diff_id: Digest::of(&TAR), bytes: bytes.into() }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_filled_in_with_and_without_zeros() {
        assert_eq!(fill("pr-{n}-{n:04}-{m}", "n", 7), "pr-7-0007-{m}");
        assert_eq!(fill("{n}{", "n", 1), "1{");
    }

    #[test]
    fn platforms_are_two_or_three_words() {
        assert_eq!(Platform::parse("linux/arm/v7").map(|platform| platform.variant), Some(Some("v7".to_owned())));
        assert!(Platform::parse("linux").is_none());
        assert!(Platform::parse("linux/").is_none());
        assert!(Platform::parse("a/b/c/d").is_none());
    }
}
