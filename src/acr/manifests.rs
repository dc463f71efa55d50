//! Operations on manifests.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;

use super::auth::Scope;
use super::client::{Call, Client, Deleted, Order, lock_change_body};
use super::courier::Wanted;
use super::document::{ManifestDocument, read_document};
use super::error::{Action, Error, Failure, Operation, printable};
use super::limits::{CHILDREN_MAX, LIST_PAGE_MAX_BYTES, MANIFEST_MAX_BYTES, PAGE_SIZE_MAX, PROPERTIES_MAX_BYTES};
use super::paging::Pages;
use super::reference::{Reference, item};
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

/// All kinds of manifest, so that none is converted or refused.
const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.oci.artifact.manifest.v1+json, application/vnd.cncf.oras.artifact.manifest.v1+json, */*;q=0.1";

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
            headers: HeaderMap::new(),
            accept: "application/json",
            body: None,
            wanted: Wanted::AtMost(LIST_PAGE_MAX_BYTES),
        };
        let repository = repository.clone();
        Pages::new(self.clone(), call, move |body, _| read_list(&repository, body))
    }

    /// Reads a manifest's properties. A tag costs a request more, which tells the digest that it points at.
    ///
    /// # Errors
    /// [`Failure::NotFound`] and every other way of [`Failure`].
    pub async fn get_manifest_properties(
        &self,
        repository: &RepositoryName,
        reference: impl Into<Reference>,
    ) -> Result<ManifestProperties, Error> {
        let digest = self.digest_of(repository, reference.into()).await?;
        let call = properties_call(Operation::GetManifestProperties, Method::GET, repository, digest);
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
        reference: impl Into<Reference>,
        change: LockChange,
    ) -> Result<ManifestProperties, Error> {
        let digest = self.digest_of(repository, reference.into()).await?;
        let mut call = properties_call(Operation::UpdateManifest, Method::PATCH, repository, digest);
        call.body = Some(lock_change_body(change));
        let incoming = self.read(&call).await?;
        read_one(digest, &incoming.body).map_err(|said| self.error(&call, Failure::OutcomeUnknown { said }))
    }

    /// Reads a manifest's document. Its bytes hash to the digest that was asked for, or that the registry says the tag points at.
    ///
    /// # Errors
    /// [`Failure::NotFound`], which is a ghost if the manifest is listed; [`Failure::Protocol`] when the bytes do not hash to
    /// the digest or name more than the bounds allow; every other way of [`Failure`].
    pub async fn get_manifest(&self, repository: &RepositoryName, reference: impl Into<Reference>) -> Result<ManifestDocument, Error> {
        let reference = reference.into();
        let call = content_call(Operation::GetManifest, Method::GET, repository, &reference);
        let incoming = self.read(&call).await?;
        let read = || -> Result<ManifestDocument, Wrong> {
            let digest = match reference {
                Reference::Digest(digest) => digest,
                Reference::Tag(_) => stored_digest(&incoming.headers)?.unwrap_or_else(|| Digest::of(&incoming.body)),
            };
            let content_type = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            read_document(digest, &incoming.body, content_type)
        };
        read().map_err(|said| self.error(&call, Failure::Protocol { said }))
    }

    /// Puts a manifest, under a tag or under its digest alone. What it names must be in the repository already.
    ///
    /// # Errors
    /// [`Failure::Input`] when it is larger than the registry takes; [`Failure::Protocol`] when the registry stored something else;
    /// [`Failure::OutcomeUnknown`] when the answer was lost; every other way of [`Failure`].
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        tag: Option<&TagName>,
        media_type: &str,
        document: impl Into<Bytes>,
    ) -> Result<Digest, Error> {
        let document = document.into();
        let digest = Digest::of(&document);
        let reference = tag.map_or(Reference::Digest(digest), Reference::from);
        let mut call = content_call(Operation::PutManifest, Method::PUT, repository, &reference);
        let input = |said: String| self.error(&call, Failure::Input { said });
        if MANIFEST_MAX_BYTES < document.len() {
            return Err(input(format!("it has {} bytes, and the registry takes no more than {MANIFEST_MAX_BYTES}", document.len())));
        }
        let media_type = HeaderValue::try_from(media_type).map_err(|_| input(format!("{} is not a media type", printable(media_type))))?;
        call.headers.insert(CONTENT_TYPE, media_type);
        call.body = Some(document);
        let incoming = self.call(&call).await?;
        if incoming.status != StatusCode::CREATED {
            return Err(self.refused(&call, &incoming));
        }
        match stored_digest(&incoming.headers) {
            Ok(Some(stored)) if stored != digest => Err(self
                .error(&call, Failure::Protocol { said: format!("the registry stored it as {stored}, while its bytes hash to {digest}") })),
            Ok(_) => Ok(digest),
            Err(said) => Err(self.error(&call, Failure::Protocol { said })),
        }
    }

    /// Deletes a manifest with all the tags that point at it by then. Called by a tag, it deletes the digest that the tag points at,
    /// and with it every other tag of that digest.
    ///
    /// # Errors
    /// [`Failure::Locked`]; [`Failure::OutcomeUnknown`] when the answer was lost; every other way of [`Failure`].
    pub async fn delete_manifest(&self, repository: &RepositoryName, reference: impl Into<Reference>) -> Result<Deleted, Error> {
        let digest = match self.digest_of(repository, reference.into()).await {
            Ok(digest) => digest,
            Err(error) if error.failure == Failure::NotFound => return Ok(Deleted::Absent),
            Err(error) => return Err(error),
        };
        let call = content_call(Operation::DeleteManifest, Method::DELETE, repository, &Reference::Digest(digest));
        self.delete(&call).await.map(|(deleted, _)| deleted)
    }

    async fn digest_of(&self, repository: &RepositoryName, reference: Reference) -> Result<Digest, Error> {
        match reference {
            Reference::Digest(digest) => Ok(digest),
            Reference::Tag(tag) => self.get_tag(repository, &tag).await.map(|properties| properties.digest),
        }
    }
}

fn properties_call(operation: Operation, method: Method, repository: &RepositoryName, digest: Digest) -> Call {
    let (scope, needs) = if method == Method::PATCH {
        (Scope::Lock(repository.clone()), Action::MetadataWrite)
    } else {
        (Scope::Read(repository.clone()), Action::MetadataRead)
    };
    Call {
        operation,
        item: item(repository, &Reference::Digest(digest)),
        method,
        path_and_query: format!("/acr/v1/{repository}/_manifests/{digest}"),
        scope,
        needs,
        headers: HeaderMap::new(),
        accept: "application/json",
        body: None,
        wanted: Wanted::AtMost(PROPERTIES_MAX_BYTES),
    }
}

fn content_call(operation: Operation, method: Method, repository: &RepositoryName, reference: &Reference) -> Call {
    let (scope, needs, wanted) = match method {
        Method::DELETE => (Scope::Delete(repository.clone()), Action::Delete, Wanted::Nothing),
        Method::PUT => (Scope::Push(repository.clone()), Action::Push, Wanted::Nothing),
        _ => (Scope::Read(repository.clone()), Action::Pull, Wanted::AtMost(MANIFEST_MAX_BYTES)),
    };
    Call {
        operation,
        item: item(repository, reference),
        method,
        path_and_query: format!("/v2/{repository}/manifests/{reference}"),
        scope,
        needs,
        headers: HeaderMap::new(),
        accept: ACCEPT_MANIFESTS,
        body: None,
        wanted,
    }
}

/// Under which digest the registry says that it keeps something. None: it does not say.
pub(super) fn stored_digest(headers: &HeaderMap) -> Result<Option<Digest>, Wrong> {
    let Some(text) = headers.get("docker-content-digest") else { return Ok(None) };
    wire::digest(text.to_str().unwrap_or_default()).map(Some)
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

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:97a379f4f88575512824f3b352bc03cd75e239179eea0fecc38e597b2209f49a";

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
}
