//! What was deleted and can be restored, on registries with soft delete. ACR documents no client for this; the requests are those of
//! the Azure CLI (`az acr repository list-deleted`, `az acr manifest restore`).

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::Timestamp;

use super::auth::Scope;
use super::client::{Call, Client};
use super::courier::Wanted;
use super::error::{Action, Error, Failure, Operation};
use super::limits::{LIST_PAGE_MAX_BYTES, PAGE_SIZE_MAX, PROPERTIES_MAX_BYTES};
use super::paging::Pages;
use super::reference::{Reference, item};
use super::wire::{self, Wrong};
use crate::model::{Digest, RepositoryName, TagName};

/// A repository with something in it that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftDeletedRepository {
    /// Its name.
    pub name: RepositoryName,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// A manifest that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedManifest {
    /// Its name.
    pub digest: Digest,
    /// When it was pushed.
    pub created_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// A tag that can be restored with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeletedTag {
    /// Its name.
    pub name: TagName,
    /// The manifest that it pointed at.
    pub digest: Digest,
    /// When it was first pushed.
    pub created_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The manifest.
    pub digest: Digest,
    /// The tag that points at it now. None: the registry does not say.
    pub tag: Option<TagName>,
}

/// What a restore does when its tag is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenTaken {
    /// Nothing is restored.
    #[default]
    Refuse,
    /// The tag moves to what is restored.
    Move,
}

impl Client {
    /// Lists the repositories in which something can be restored, `page_size` a page (at most [`PAGE_SIZE_MAX`]).
    pub fn list_deleted_repositories(&self, page_size: u16) -> Pages<SoftDeletedRepository> {
        let call = listing(Operation::ListDeletedRepositories, None, "_catalog", page_size);
        Pages::new(self.clone(), call, |body, _| read_repositories(body))
    }

    /// Lists the manifests of a repository that can be restored.
    pub fn list_deleted_manifests(&self, repository: &RepositoryName, page_size: u16) -> Pages<DeletedManifest> {
        let call = listing(Operation::ListDeletedManifests, Some(repository), "_manifests", page_size);
        Pages::new(self.clone(), call, |body, _| read_manifests(body))
    }

    /// Lists the tags of a repository that can be restored.
    pub fn list_deleted_tags(&self, repository: &RepositoryName, page_size: u16) -> Pages<DeletedTag> {
        let call = listing(Operation::ListDeletedTags, Some(repository), "_tags", page_size);
        Pages::new(self.clone(), call, |body, _| read_tags(body))
    }

    /// Restores a manifest under a tag. What it lists or what refers to it is not restored with it.
    ///
    /// # Errors
    /// [`Failure::NotFound`] when it cannot be restored any more; [`Failure::OutcomeUnknown`] when the answer was lost; every other way
    /// of [`Failure`].
    pub async fn restore_manifest(
        &self,
        repository: &RepositoryName,
        digest: Digest,
        tag: &TagName,
        when_taken: WhenTaken,
    ) -> Result<Restored, Error> {
        let force = when_taken == WhenTaken::Move;
        let call = Call {
            operation: Operation::RestoreManifest,
            item: item(repository, &Reference::Digest(digest)),
            method: Method::POST,
            path_and_query: format!("/acr/v1/_deleted/{repository}/_manifests/{digest}?force={force}"),
            scope: Scope::Restore(repository.clone()),
            needs: Action::DeletedRestore,
            headers: HeaderMap::new(),
            accept: "application/json",
            // A tag has no character that JSON would escape.
            body: Some(Bytes::from(format!("{{\"tag\":\"{tag}\"}}"))),
            wanted: Wanted::AtMost(PROPERTIES_MAX_BYTES),
        };
        let incoming = self.read(&call).await?;
        let restored = read_restored(&incoming.body).map_err(|said| self.error(&call, Failure::OutcomeUnknown { said }))?;
        if restored.digest == digest {
            Ok(restored)
        } else {
            let said = format!("the answer is about manifest {}", restored.digest);
            Err(self.error(&call, Failure::OutcomeUnknown { said }))
        }
    }
}

fn listing(operation: Operation, repository: Option<&RepositoryName>, what: &str, page_size: u16) -> Call {
    let within = repository.map_or_else(String::new, |repository| format!("{repository}/"));
    Call {
        operation,
        item: repository.map(ToString::to_string).unwrap_or_default(),
        method: Method::GET,
        path_and_query: format!("/acr/v1/_deleted/{within}{what}?n={}", page_size.clamp(1, PAGE_SIZE_MAX)),
        scope: repository.map_or(Scope::DeletedCatalog, |repository| Scope::DeletedRead(repository.clone())),
        needs: if repository.is_some() { Action::DeletedRead } else { Action::DeletedCatalog },
        headers: HeaderMap::new(),
        accept: "application/json",
        body: None,
        wanted: Wanted::AtMost(LIST_PAGE_MAX_BYTES),
    }
}

fn read_repositories(body: &[u8]) -> Result<Vec<SoftDeletedRepository>, Wrong> {
    let list: wire::DeletedRepositories<'_> = wire::read(body)?;
    let read = |wire: wire::WireDeletedName<'_>| {
        Ok(SoftDeletedRepository {
            name: wire::repository_name(&wire.repository)?,
            created_at: wire::time(wire.created_at.as_deref()),
            deleted_at: wire::time(wire.deleted_at.as_deref()),
        })
    };
    list.repositories.unwrap_or_default().into_iter().map(read).collect()
}

fn read_manifests(body: &[u8]) -> Result<Vec<DeletedManifest>, Wrong> {
    let list: wire::DeletedManifests<'_> = wire::read(body)?;
    let read = |wire: wire::WireDeletedManifest<'_>| {
        Ok(DeletedManifest {
            digest: wire::digest(&wire.digest)?,
            created_at: wire::time(wire.created_at.as_deref()),
            deleted_at: wire::time(wire.deleted_at.as_deref()),
        })
    };
    list.manifests.unwrap_or_default().into_iter().map(read).collect()
}

fn read_tags(body: &[u8]) -> Result<Vec<DeletedTag>, Wrong> {
    let list: wire::DeletedTags<'_> = wire::read(body)?;
    let read = |wire: wire::WireDeletedTag<'_>| {
        Ok(DeletedTag {
            name: wire::tag_name(&wire.tag)?,
            digest: wire::digest(&wire.digest)?,
            created_at: wire::time(wire.created_at.as_deref()),
            deleted_at: wire::time(wire.deleted_at.as_deref()),
        })
    };
    list.tags.unwrap_or_default().into_iter().map(read).collect()
}

fn read_restored(body: &[u8]) -> Result<Restored, Wrong> {
    let wire: wire::WireRestored<'_> = wire::read(body)?;
    let tag = wire.tag.filter(|tag| !tag.is_empty());
    Ok(Restored { digest: wire::digest(&wire.digest)?, tag: tag.as_deref().map(wire::tag_name).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:97a379f4f88575512824f3b352bc03cd75e239179eea0fecc38e597b2209f49a";

    #[test]
    fn what_can_be_restored_is_read_as_the_azure_cli_reads_it() {
        let times = r#""createdAt":"2024-02-09T18:47:46.5263261Z","deletedAt":"2024-03-09T18:47:46.5263261Z""#;
        let repositories = read_repositories(format!(r#"{{"repositories":[{{"repository":"a/b",{times}}}]}}"#).as_bytes()).expect("a list");
        assert!(repositories[0].name.as_str() == "a/b" && repositories[0].deleted_at > repositories[0].created_at);
        let manifests = read_manifests(format!(r#"{{"manifests":[{{"digest":"{DIGEST}",{times}}}]}}"#).as_bytes()).expect("a list");
        assert_eq!(manifests[0].digest.to_string(), DIGEST);
        let tags = read_tags(format!(r#"{{"tags":[{{"tag":"1","digest":"{DIGEST}",{times}}}]}}"#).as_bytes()).expect("a list");
        assert_eq!(tags[0].name.as_str(), "1");
        assert_eq!(read_repositories(br#"{"repositories":null}"#), Ok(vec![]));
        assert!(read_manifests(b"{}").is_err() && read_tags(br#"{"tags":[{"tag":"1"}]}"#).is_err());
    }

    #[test]
    fn a_restore_tells_what_it_restored() {
        let restored = read_restored(format!(r#"{{"digest":"{DIGEST}","tag":"1"}}"#).as_bytes()).expect("restored");
        assert_eq!(restored.tag.as_ref().map(TagName::as_str), Some("1"));
        assert!(read_restored(b"{}").is_err());
    }
}
