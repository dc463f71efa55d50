//! Operations on tags.

use http::{HeaderMap, Method};
use jiff::Timestamp;

use super::auth::Scope;
use super::client::{Call, Client, Deleted, Order, lock_change_body};
use super::courier::Wanted;
use super::error::{Action, Error, Failure, Operation};
use super::limits::{LIST_PAGE_MAX_BYTES, PAGE_SIZE_MAX, PROPERTIES_MAX_BYTES};
use super::paging::{Pages, Place};
use super::wire::{self, Wrong};
use crate::model::{Digest, LockChange, Locks, RepositoryName, TagName};

/// What ACR says about a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagProperties {
    /// Its name.
    pub name: TagName,
    /// The manifest that it points at.
    pub digest: Digest,
    /// When it was first pushed.
    pub created_at: Option<Timestamp>,
    /// When it was last pushed or moved. None: missing or unreadable.
    pub updated_at: Option<Timestamp>,
    /// Its own lock.
    pub locks: Locks,
}

impl Client {
    /// Lists the tags of a repository, `page_size` a page (at most [`PAGE_SIZE_MAX`]).
    ///
    /// What ACR answers for a repository without tags is not known, so that `null` is read as none. A listing without any tag,
    /// however it is spelt, is believed only if the repository's own count is zero.
    pub fn list_tags(&self, repository: &RepositoryName, order: Order, page_size: u16) -> Pages<TagProperties> {
        let call = Call {
            operation: Operation::ListTags,
            item: repository.to_string(),
            method: Method::GET,
            path_and_query: format!("/acr/v1/{repository}/_tags?n={}{}", page_size.clamp(1, PAGE_SIZE_MAX), order.query()),
            scope: Scope::Read(repository.clone()),
            needs: Action::MetadataRead,
            headers: HeaderMap::new(),
            accept: "application/json",
            body: None,
            wanted: Wanted::AtMost(LIST_PAGE_MAX_BYTES),
        };
        let repository = repository.clone();
        Pages::new(self.clone(), call, move |body, place| read_list(&repository, body, place)).doubting_emptiness()
    }

    /// Reads a tag's properties.
    ///
    /// # Errors
    /// [`Failure::NotFound`] and every other way of [`Failure`].
    pub async fn get_tag(&self, repository: &RepositoryName, tag: &TagName) -> Result<TagProperties, Error> {
        let call = call(Operation::GetTag, repository, tag, Method::GET);
        let incoming = self.read(&call).await?;
        read_one(tag, &incoming.body).map_err(|said| self.error(&call, Failure::Protocol { said }))
    }

    /// Changes a tag's own lock.
    ///
    /// # Errors
    /// As [`Self::get_tag`]; [`Failure::OutcomeUnknown`] when the answer was lost.
    pub async fn update_tag(&self, repository: &RepositoryName, tag: &TagName, change: LockChange) -> Result<TagProperties, Error> {
        let mut call = call(Operation::UpdateTag, repository, tag, Method::PATCH);
        call.body = Some(lock_change_body(change));
        let incoming = self.read(&call).await?;
        read_one(tag, &incoming.body).map_err(|said| self.error(&call, Failure::OutcomeUnknown { said }))
    }

    /// Removes a tag and leaves its manifest. It removes whatever the tag points at by then.
    ///
    /// # Errors
    /// [`Failure::Locked`]; [`Failure::OutcomeUnknown`] when the answer was lost; every other way of [`Failure`].
    pub async fn delete_tag(&self, repository: &RepositoryName, tag: &TagName) -> Result<Deleted, Error> {
        let call = call(Operation::DeleteTag, repository, tag, Method::DELETE);
        self.delete(&call).await.map(|(deleted, _)| deleted)
    }
}

fn call(operation: Operation, repository: &RepositoryName, tag: &TagName, method: Method) -> Call {
    let (scope, needs, wanted) = match method {
        Method::DELETE => (Scope::Delete(repository.clone()), Action::Delete, Wanted::Nothing),
        Method::PATCH => (Scope::Lock(repository.clone()), Action::MetadataWrite, Wanted::AtMost(PROPERTIES_MAX_BYTES)),
        _ => (Scope::Read(repository.clone()), Action::MetadataRead, Wanted::AtMost(PROPERTIES_MAX_BYTES)),
    };
    Call {
        operation,
        item: format!("{repository}:{tag}"),
        method,
        path_and_query: format!("/acr/v1/{repository}/_tags/{tag}"),
        scope,
        needs,
        headers: HeaderMap::new(),
        accept: "application/json",
        body: None,
        wanted,
    }
}

fn read_list(repository: &RepositoryName, body: &[u8], place: Place) -> Result<Vec<TagProperties>, Wrong> {
    let list: wire::TagList<'_> = wire::read(body)?;
    wire::about(repository, list.image_name.as_deref())?;
    match (list.tags, place) {
        (Some(tags), _) => tags.into_iter().map(read_tag).collect(),
        (None, Place::Only) => Ok(Vec::new()),
        (None, Place::OneOfMany) => Err("the body is incomplete: tags is null on one of several pages".to_owned()),
    }
}

fn read_one(tag: &TagName, body: &[u8]) -> Result<TagProperties, Wrong> {
    let one: wire::OneTag<'_> = wire::read(body)?;
    let properties = read_tag(one.tag)?;
    if properties.name == *tag { Ok(properties) } else { Err(format!("the answer is about tag {}", properties.name)) }
}

fn read_tag(wire: wire::WireTag<'_>) -> Result<TagProperties, Wrong> {
    Ok(TagProperties {
        name: wire::tag_name(&wire.name)?,
        digest: wire::digest(&wire.digest)?,
        created_at: wire::time(wire.created_time.as_deref()),
        updated_at: wire::time(wire.last_update_time.as_deref()),
        locks: wire::locks(wire.changeable_attributes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:97a379f4f88575512824f3b352bc03cd75e239179eea0fecc38e597b2209f49a";

    fn repository() -> RepositoryName {
        RepositoryName::parse("team/web").expect("a name")
    }

    #[test]
    fn a_page_of_tags_is_read_as_recorded() {
        let body = format!(
            r#"{{"registry":"r","imageName":"team/web","tags":[{{"name":"1.0","digest":"{DIGEST}","createdTime":"2022-02-09T18:47:46.5263261Z",
            "lastUpdateTime":"2022-02-09T18:47:46.52632Z","signed":false,"quarantineState":"Passed","changeableAttributes":
            {{"deleteEnabled":true,"writeEnabled":false,"readEnabled":true,"listEnabled":true}}}}]}}"#
        );
        let tags = read_list(&repository(), body.as_bytes(), Place::Only).expect("tags");
        assert_eq!(tags.len(), 1);
        assert_eq!((tags[0].name.as_str(), tags[0].digest.to_string().as_str()), ("1.0", DIGEST));
        assert!(tags[0].locks.protects() && tags[0].updated_at.is_some());
    }

    #[test]
    fn a_page_with_anything_unreadable_is_no_page() {
        let read = |body: &str, place| read_list(&repository(), body.as_bytes(), place);
        assert_eq!(read(r#"{"tags":null}"#, Place::Only), Ok(vec![]));
        assert!(read(r#"{"tags":null}"#, Place::OneOfMany).is_err());
        assert!(read(r#"{"imageName":"other","tags":[]}"#, Place::Only).is_err());
        assert!(read(r#"{"tags":[{"name":"a b","digest":"sha256:00"}]}"#, Place::Only).is_err());
        assert!(read(r#"{"tags":[{"name":"a","digest":"sha512:00"}]}"#, Place::Only).is_err());
    }
}
