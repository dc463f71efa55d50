//! Operations on manifests and on the small blobs that configure images.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use jiff::Timestamp;

use super::auth::Scope;
use super::client::{Call, Client, Deleted, Order, lock_change_body};
use super::courier::Outgoing;
use super::endpoint::Endpoint;
use super::error::{Action, Error, Failure, Operation, printable};
use super::limits::{
    ANNOTATIONS_MAX, BLOB_MAX_BYTES, CHILDREN_MAX, LIST_PAGE_MAX_BYTES, MANIFEST_MAX_BYTES, PAGE_SIZE_MAX, PROPERTIES_MAX_BYTES,
};
use super::paging::Pages;
use super::wire::{self, Wrong};
use crate::model::{Digest, LockChange, Locks, MediaType, RepositoryName, TagName};

/// What ACR says about a manifest without showing the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestProperties {
    /// Its name.
    pub digest: Digest,
    /// What kind of document it is; empty where ACR does not say, which is a kind that may refer to others.
    pub media_type: MediaType,
    /// The media type of its config, where ACR says.
    pub config_media_type: Option<Box<str>>,
    /// Its artifact type, where ACR says.
    pub artifact_type: Option<Box<str>>,
    /// `imageSize`; zero where ACR does not say.
    pub size_bytes: u64,
    /// When it was pushed.
    pub created_at: Option<Timestamp>,
    /// When it was last pushed. None: missing or unreadable.
    pub updated_at: Option<Timestamp>,
    /// The processor that the image is for.
    pub architecture: Option<Box<str>>,
    /// The operating system that the image is for.
    pub os: Option<Box<str>>,
    /// Some of its tags: ACR cuts long lists off. All of them are in the list of tags alone.
    pub tags: Vec<TagName>,
    /// Its own lock.
    pub locks: Locks,
    /// What it lists, where ACR says; never in a listing. Attestations may be missing, so that only the document is complete.
    pub references: Option<Vec<PlatformReference>>,
}

/// A child as the properties of an index show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformReference {
    /// The child.
    pub digest: Digest,
    /// The processor that it is for.
    pub architecture: Option<Box<str>>,
    /// The operating system that it is for.
    pub os: Option<Box<str>>,
}

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

/// All kinds of manifest, so that none is converted or refused.
const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.artifact.manifest.v1+json, application/vnd.cncf.oras.artifact.manifest.v1+json, */*;q=0.1";

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

impl Client {
    /// Lists the manifests of a repository, `page_size` a page (at most [`PAGE_SIZE_MAX`]).
    pub fn list_manifests(&self, repository: &RepositoryName, order: Order, page_size: u16) -> Pages<ManifestProperties> {
        let call = Call {
            operation: Operation::ListManifests,
            item: repository.to_string(),
            method: Method::GET,
            path_and_query: format!("/acr/v1/{repository}/_manifests?n={}{}", page_size.clamp(1, PAGE_SIZE_MAX), order.query()),
            scope: Scope::Read(repository.clone()),
            needs: Action::MetadataRead,
            accept: "application/json",
            body: None,
            answer_max_bytes: LIST_PAGE_MAX_BYTES,
        };
        let repository = repository.clone();
        Pages::new(self.clone(), call, move |body, _| read_list(&repository, body))
    }

    /// Reads a manifest's properties.
    ///
    /// # Errors
    /// [`Failure::NotFound`] and every other way of [`Failure`].
    pub async fn get_manifest_properties(&self, repository: &RepositoryName, digest: Digest) -> Result<ManifestProperties, Error> {
        let call = Request { repository, digest }.of_properties(Operation::GetManifestProperties, Method::GET);
        let incoming = self.read(&call).await?;
        read_one(digest, &incoming.body).map_err(|said| self.error(&call, Failure::Protocol { said }))
    }

    /// Changes a manifest's own lock.
    ///
    /// # Errors
    /// As [`Self::get_manifest_properties`]; [`Failure::OutcomeUnknown`] when the answer was lost.
    pub async fn update_manifest(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        change: LockChange,
    ) -> Result<ManifestProperties, Error> {
        let mut call = Request { repository, digest }.of_properties(Operation::UpdateManifest, Method::PATCH);
        call.body = Some(lock_change_body(change));
        let incoming = self.read(&call).await?;
        read_one(digest, &incoming.body).map_err(|said| self.error(&call, Failure::OutcomeUnknown { said }))
    }

    /// Reads a manifest's document.
    ///
    /// # Errors
    /// [`Failure::NotFound`], which is a ghost if the manifest is listed; [`Failure::Protocol`] when the bytes do not hash to
    /// the digest or name more than the bounds allow; every other way of [`Failure`].
    pub async fn get_manifest(&self, repository: &RepositoryName, digest: Digest) -> Result<ManifestDocument, Error> {
        let call = Request { repository, digest }.of_content(Operation::GetManifest, Method::GET, "manifests");
        let incoming = self.read(&call).await?;
        let content_type = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        read_document(digest, &incoming.body, content_type).map_err(|said| self.error(&call, Failure::Protocol { said }))
    }

    /// Deletes a manifest with all the tags that point at it by then.
    ///
    /// # Errors
    /// [`Failure::Locked`]; [`Failure::OutcomeUnknown`] when the answer was lost; every other way of [`Failure`].
    pub async fn delete_manifest(&self, repository: &RepositoryName, digest: Digest) -> Result<Deleted, Error> {
        let call = Request { repository, digest }.of_content(Operation::DeleteManifest, Method::DELETE, "manifests");
        self.delete(&call).await.map(|(deleted, _)| deleted)
    }

    /// Reads a small blob, e.g. the config of an image. ACR sends the reader on to its storage, where the token does not go.
    ///
    /// # Errors
    /// As [`Self::get_manifest`]; [`Failure::Hostile`] when it is sent on to anything but ACR's storage.
    pub async fn get_blob(&self, repository: &RepositoryName, digest: Digest) -> Result<Bytes, Error> {
        let call = Request { repository, digest }.of_content(Operation::GetBlob, Method::GET, "blobs");
        let mut incoming = self.call(&call).await?;
        if incoming.status == StatusCode::TEMPORARY_REDIRECT {
            let location = incoming.headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
            let uri = blob_address(self.endpoint(), location).map_err(|failure| self.error(&call, failure))?;
            let outgoing = Outgoing {
                operation: Operation::GetBlob,
                method: Method::GET,
                uri,
                headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("*/*"))]),
                body: Bytes::new(),
                answer_max_bytes: BLOB_MAX_BYTES,
            };
            incoming = self.courier().send(&outgoing).await.map_err(|failure| self.error(&call, failure))?;
        }
        if incoming.status != StatusCode::OK {
            return Err(self.refused(&call, &incoming));
        }
        verify(digest, &incoming.body).map_err(|said| self.error(&call, Failure::Protocol { said }))?;
        Ok(incoming.body)
    }
}

/// The manifest or blob that a request is about.
struct Request<'a> {
    repository: &'a RepositoryName,
    digest: Digest,
}

impl Request<'_> {
    fn of_properties(&self, operation: Operation, method: Method) -> Call {
        let Self { repository, digest } = *self;
        let (scope, needs) = if method == Method::PATCH {
            (Scope::Lock(repository.clone()), Action::MetadataWrite)
        } else {
            (Scope::Read(repository.clone()), Action::MetadataRead)
        };
        Call {
            operation,
            item: format!("{repository}@{digest}"),
            method,
            path_and_query: format!("/acr/v1/{repository}/_manifests/{digest}"),
            scope,
            needs,
            accept: "application/json",
            body: None,
            answer_max_bytes: PROPERTIES_MAX_BYTES,
        }
    }

    fn of_content(&self, operation: Operation, method: Method, kind: &str) -> Call {
        let Self { repository, digest } = *self;
        let (scope, needs, answer_max_bytes) = if method == Method::DELETE {
            (Scope::Delete(repository.clone()), Action::Delete, 0)
        } else {
            (Scope::Read(repository.clone()), Action::Pull, MANIFEST_MAX_BYTES)
        };
        Call {
            operation,
            item: format!("{repository}@{digest}"),
            method,
            path_and_query: format!("/v2/{repository}/{kind}/{digest}"),
            scope,
            needs,
            accept: ACCEPT_MANIFESTS,
            body: None,
            answer_max_bytes,
        }
    }
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

fn read_list(repository: &RepositoryName, body: &[u8]) -> Result<Vec<ManifestProperties>, Wrong> {
    let list: wire::ManifestList<'_> = wire::read(body)?;
    wire::about(repository, list.image_name.as_deref())?;
    list.manifests.into_iter().map(read_properties).collect()
}

fn read_one(digest: Digest, body: &[u8]) -> Result<ManifestProperties, Wrong> {
    let one: wire::OneManifest<'_> = wire::read(body)?;
    let properties = read_properties(one.manifest)?;
    if properties.digest == digest { Ok(properties) } else { Err(format!("the answer is about manifest {}", properties.digest)) }
}

fn read_properties(wire: wire::WireManifest<'_>) -> Result<ManifestProperties, Wrong> {
    let references = wire.references.map(|references| {
        if CHILDREN_MAX < references.len() {
            return Err(format!("it has {} references, more than {CHILDREN_MAX}", references.len()));
        }
        let read = |wire: wire::WireReference<'_>| {
            let digest = wire::digest(&wire.digest)?;
            Ok(PlatformReference { digest, architecture: wire::boxed(wire.architecture), os: wire::boxed(wire.os) })
        };
        references.into_iter().map(read).collect()
    });
    Ok(ManifestProperties {
        digest: wire::digest(&wire.digest)?,
        media_type: MediaType::from_text(wire.media_type.as_deref().unwrap_or_default()),
        config_media_type: wire::boxed(wire.config_media_type),
        artifact_type: wire::boxed(wire.artifact_type),
        size_bytes: wire.image_size.unwrap_or(0),
        created_at: wire::time(wire.created_time.as_deref()),
        updated_at: wire::time(wire.last_update_time.as_deref()),
        architecture: wire::boxed(wire.architecture),
        os: wire::boxed(wire.os),
        tags: wire.tags.unwrap_or_default().iter().map(|tag| wire::tag_name(tag)).collect::<Result<_, _>>()?,
        locks: wire::locks(wire.changeable_attributes),
        references: references.transpose()?,
    })
}

fn verify(digest: Digest, bytes: &[u8]) -> Result<(), Wrong> {
    let actual = Digest::of(bytes);
    if actual == digest { Ok(()) } else { Err(format!("its bytes hash to {actual}")) }
}

/// Reads a document. Every field that can name another manifest is read, whatever kind the document says it is.
fn read_document(digest: Digest, bytes: &Bytes, content_type: Option<&str>) -> Result<ManifestDocument, Wrong> {
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
    fn a_page_of_manifests_is_read_as_recorded() {
        let repository = RepositoryName::parse("a").expect("a name");
        let body = format!(
            r#"{{"registry":"r","imageName":"a","manifests":[{{"digest":"{DIGEST}","imageSize":5216,"createdTime":"2022-02-09T02:57:25.4662706Z",
            "lastUpdateTime":"2022-02-09T02:57:25.4662706Z","architecture":"arm64","os":"linux","mediaType":
            "application/vnd.docker.distribution.manifest.v2+json","changeableAttributes":{{"deleteEnabled":true,"writeEnabled":true,
            "readEnabled":true,"listEnabled":true,"quarantineDetails":"{{\"state\":\"x\"}}"}}}},{{"digest":"{DIGEST}"}}]}}"#
        );
        let manifests = read_list(&repository, body.as_bytes()).expect("manifests");
        assert_eq!(manifests.len(), 2);
        assert_eq!(manifests[0].media_type, MediaType::DockerManifest);
        assert_eq!((manifests[0].size_bytes, manifests[0].locks), (5216, Locks::OPEN));
        assert!(manifests[0].tags.is_empty() && manifests[0].references.is_none());
        let bare = &manifests[1];
        assert!(bare.media_type.may_refer() && bare.locks.protects() && bare.updated_at.is_none(), "what is missing protects");
    }

    #[test]
    fn the_properties_of_an_index_show_its_children() {
        let digest: Digest = DIGEST.parse().expect("a digest");
        let body = format!(
            r#"{{"manifest":{{"digest":"{DIGEST}","tags":["a","b"],"references":[{{"digest":"{DIGEST}","architecture":"amd64","os":"linux"}}]}}}}"#
        );
        let properties = read_one(digest, body.as_bytes()).expect("properties");
        assert_eq!(properties.references.map(|references| references.len()), Some(1));
        assert_eq!(properties.tags.len(), 2);
        assert!(read_one(Digest::of(b""), body.as_bytes()).is_err(), "about another manifest");
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
}
