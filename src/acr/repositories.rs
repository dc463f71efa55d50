//! Operations on repositories.

use http::{HeaderMap, Method};
use jiff::Timestamp;

use super::auth::Scope;
use super::client::{Call, Client, Deleted, lock_change_body};
use super::courier::Wanted;
use super::error::{Action, Error, Failure, Operation};
use super::limits::{DELETED_REPOSITORY_MAX_BYTES, LIST_PAGE_MAX_BYTES, PAGE_SIZE_MAX, PROPERTIES_MAX_BYTES};
use super::paging::Pages;
use super::wire::{self, Wrong};
use crate::model::{Digest, LockChange, Locks, RepositoryName, TagName};

/// What ACR says about a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryProperties {
    /// Its name.
    pub name: RepositoryName,
    /// Its own lock.
    pub locks: Locks,
    /// When it was created; may be later than the update below.
    pub created_at: Option<Timestamp>,
    /// When something in it was last pushed.
    pub updated_at: Option<Timestamp>,
    /// Manifests in it.
    pub manifest_count: Option<u64>,
    /// Tags in it.
    pub tag_count: Option<u64>,
}

/// What went with a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeletedRepository {
    /// Its manifests.
    pub manifests: Vec<Digest>,
    /// Its tags.
    pub tags: Vec<TagName>,
}

impl Client {
    /// Lists the repositories, `page_size` a page (at most [`PAGE_SIZE_MAX`]).
    pub fn list_repositories(&self, page_size: u16) -> Pages<RepositoryName> {
        let call = Call {
            operation: Operation::ListRepositories,
            item: String::new(),
            method: Method::GET,
            path_and_query: format!("/acr/v1/_catalog?n={}", page_size.clamp(1, PAGE_SIZE_MAX)),
            scope: Scope::Catalog,
            needs: Action::Catalog,
            headers: HeaderMap::new(),
            accept: "application/json",
            body: None,
            wanted: Wanted::AtMost(LIST_PAGE_MAX_BYTES),
        };
        Pages::new(self.clone(), call, |body, _| read_catalog(body))
    }

    /// Reads a repository's properties.
    ///
    /// # Errors
    /// [`Failure::NotFound`] and every other way of [`Failure`].
    pub async fn get_repository(&self, repository: &RepositoryName) -> Result<RepositoryProperties, Error> {
        let call = call(Operation::GetRepository, repository, Method::GET, Scope::Read(repository.clone()), Action::MetadataRead);
        let incoming = self.read(&call).await?;
        read_properties(repository, &incoming.body).map_err(|said| self.error(&call, Failure::Protocol { said }))
    }

    /// Changes a repository's own lock. It protects the repository, not what is in it.
    ///
    /// # Errors
    /// As [`Self::get_repository`]; [`Failure::OutcomeUnknown`] when the answer was lost.
    pub async fn update_repository(&self, repository: &RepositoryName, change: LockChange) -> Result<RepositoryProperties, Error> {
        let mut call = call(Operation::UpdateRepository, repository, Method::PATCH, Scope::Lock(repository.clone()), Action::MetadataWrite);
        call.body = Some(lock_change_body(change));
        let incoming = self.read(&call).await?;
        read_properties(repository, &incoming.body).map_err(|said| self.error(&call, Failure::OutcomeUnknown { said }))
    }

    /// Deletes a repository with everything in it, tagged or not, without a look at any lock of ours.
    ///
    /// **Retention must never call this**: it deletes what no policy has judged. It is here because ACR's SDKs have it; a lint
    /// refuses calls from outside this module.
    ///
    /// # Errors
    /// As [`Self::update_repository`].
    pub async fn delete_repository(&self, repository: &RepositoryName) -> Result<(Deleted, DeletedRepository), Error> {
        let mut call = call(Operation::DeleteRepository, repository, Method::DELETE, Scope::Delete(repository.clone()), Action::Delete);
        call.wanted = Wanted::AtMost(DELETED_REPOSITORY_MAX_BYTES);
        match self.delete(&call).await? {
            (Deleted::Done, incoming) => {
                let deleted = read_deleted(&incoming.body).map_err(|said| self.error(&call, Failure::Protocol { said }))?;
                Ok((Deleted::Done, deleted))
            }
            (Deleted::Absent, _) => Ok((Deleted::Absent, DeletedRepository::default())),
        }
    }
}

fn call(operation: Operation, repository: &RepositoryName, method: Method, scope: Scope, needs: Action) -> Call {
    Call {
        operation,
        item: repository.to_string(),
        method,
        path_and_query: format!("/acr/v1/{repository}"),
        scope,
        needs,
        headers: HeaderMap::new(),
        accept: "application/json",
        body: None,
        wanted: Wanted::AtMost(PROPERTIES_MAX_BYTES),
    }
}

fn read_catalog(body: &[u8]) -> Result<Vec<RepositoryName>, Wrong> {
    let catalog: wire::Catalog<'_> = wire::read(body)?;
    catalog.repositories.unwrap_or_default().iter().map(|name| wire::repository_name(name)).collect()
}

fn read_properties(repository: &RepositoryName, body: &[u8]) -> Result<RepositoryProperties, Wrong> {
    let wire: wire::WireRepository<'_> = wire::read(body)?;
    wire::about(repository, Some(&wire.image_name))?;
    Ok(RepositoryProperties {
        name: repository.clone(),
        locks: wire::locks(wire.changeable_attributes),
        created_at: wire::time(wire.created_time.as_deref()),
        updated_at: wire::time(wire.last_update_time.as_deref()),
        manifest_count: wire.manifest_count,
        tag_count: wire.tag_count,
    })
}

fn read_deleted(body: &[u8]) -> Result<DeletedRepository, Wrong> {
    let wire: wire::WireDeletedRepository<'_> = wire::read(body)?;
    Ok(DeletedRepository {
        manifests: wire.manifests_deleted.unwrap_or_default().iter().map(|text| wire::digest(text)).collect::<Result<_, _>>()?,
        tags: wire.tags_deleted.unwrap_or_default().iter().map(|text| wire::tag_name(text)).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_registry_answers_null() {
        assert_eq!(read_catalog(b"{\"repositories\":null}\n"), Ok(vec![]));
        let names = read_catalog(br#"{"repositories":["a","team/web"]}"#).expect("names");
        assert_eq!(names.iter().map(RepositoryName::as_str).collect::<Vec<_>>(), ["a", "team/web"]);
        assert!(read_catalog(br#"{"repositories":["UPPER"]}"#).is_err());
    }

    #[test]
    fn an_answer_about_another_repository_is_refused() {
        let repository = RepositoryName::parse("a").expect("a name");
        let body = br#"{"imageName":"a","createdTime":"2022-07-08T21:52:31.1999242Z","manifestCount":12,"tagCount":5,
            "changeableAttributes":{"deleteEnabled":false,"writeEnabled":true,"readEnabled":true,"listEnabled":true}}"#;
        let properties = read_properties(&repository, body).expect("properties");
        assert_eq!((properties.manifest_count, properties.tag_count, properties.updated_at), (Some(12), Some(5), None));
        assert!(properties.locks.protects());
        assert!(read_properties(&RepositoryName::parse("b").expect("a name"), body).is_err());
    }

    #[test]
    fn what_went_with_a_repository_may_have_had_no_tags() {
        assert_eq!(read_deleted(br#"{"manifestsDeleted":[],"tagsDeleted":null}"#), Ok(DeletedRepository::default()));
    }
}
