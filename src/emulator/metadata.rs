//! The operations under `/acr/v1`: catalog, properties, attributes, untagging, repository deletion.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use ::http::header::{HeaderName, LINK};
use ::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::answer::Answer;
use super::content::{self, OCI_INDEX};
use super::digest::Digest;
use super::paging::{self, Cut, Order, Page};
use super::unknowns::{NoTags, PageOfZero};
use super::wire::{
    Attributes, DeletedRepository, ManifestItem, ManifestList, ManifestProperties, Patch, Reference, RepositoryProperties, TagItem,
    TagList, TagProperties,
};
use super::world::{Locks, Manifest, Refusal, Repository, Tag};
use super::{Call, Emulator, Listing, Options};

const INT_DIGEST: HeaderName = HeaderName::from_static("x-ms-int-docker-content-digest");

impl Emulator {
    pub(crate) fn page(&self, call: &Call) -> Result<Page, Answer> {
        let Options { page_size_default, page_size_max, unknowns, .. } = self.options();
        let page = Page::read(&call.query, *page_size_default, *page_size_max, unknowns.opaque_cursors);
        match unknowns.page_of_zero {
            PageOfZero::Empty if Page::is_of_zero(&call.query) => Ok(page.of_size(0)),
            PageOfZero::Refused if Page::is_of_zero(&call.query) => {
                Err(Answer::error(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", "invalid number of results requested"))
            }
            PageOfZero::Usual | PageOfZero::Empty | PageOfZero::Refused => Ok(page),
        }
    }

    /// The time as which a list shows the registry.
    fn listed_at(&self, call: &Call) -> Timestamp {
        self.seen_at(call).checked_sub(self.options().listing_lag).unwrap_or(Timestamp::MIN)
    }

    /// The time as which the endpoint that was asked shows the registry.
    pub(crate) fn seen_at(&self, call: &Call) -> Timestamp {
        let lag = if call.by_replica { self.options().replica_lag } else { SignedDuration::ZERO };
        self.now().checked_sub(lag).unwrap_or(Timestamp::MIN)
    }

    fn hides(&self, locks: Locks) -> bool {
        self.options().unknowns.unlisted_is_hidden && !locks.list
    }

    pub(crate) fn catalog(&self, call: &Call) -> Result<Answer, Answer> {
        let page = self.page(call)?.in_name_order();
        let at = self.listed_at(call);
        let state = self.lock();
        let shown = |repository: &Repository| !repository.manifests.is_empty() && !self.hides(repository.locks);
        let Cut { items, more } = if state.world.has_no_history() {
            let listed = after(&state.world.repositories, page.last.as_deref(), self.options().listing);
            page.cut(listed.filter(|(_, repository)| shown(repository)).map(|(name, _)| name))
        } else {
            let names = state.world.names().into_iter().filter(|name| page.last.as_deref().is_none_or(|last| last < &***name));
            page.cut(names.filter(|name| state.world.repository_at(name, at).is_ok_and(shown)))
        };
        let cursor = items.last().map(|name| name.to_string());
        let names: Option<Vec<&str>> = (!items.is_empty()).then(|| items.iter().map(|name| &***name).collect());
        Ok(linked(Answer::json(StatusCode::OK, &json!({"repositories": names})), call, &page, more, cursor))
    }

    /// What those see who may not list the catalog, where that is no error.
    pub(crate) fn empty_catalog() -> Answer {
        Answer::json(StatusCode::OK, &json!({"repositories": null}))
    }

    pub(crate) fn repository(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        let refused = |refusal| Answer::refused(&refusal, name);
        let (laws, at) = (self.laws(), self.seen_at(call));
        let mut state = self.lock();
        if call.method == Method::DELETE {
            let deleted = state.world.delete_repository(name, laws);
            let deleted = deleted.map_err(|refusal| {
                if refusal == Refusal::RepositoryUnknown { repository_to_delete_unknown(name) } else { refused(refusal) }
            })?;
            let tags = (!deleted.tags.is_empty()).then(|| deleted.tags.iter().map(|tag| &**tag).collect());
            return Ok(Answer::json(
                StatusCode::ACCEPTED,
                &DeletedRepository { manifests_deleted: &deleted.manifests, tags_deleted: tags },
            ));
        }
        if let Some(patch) = patch(call)? {
            patch.apply(&mut state.world.repository_mut(name).map_err(refused)?.locks);
        }
        let repository = match call.method {
            Method::GET => state.world.repository_at(name, at),
            _ => state.world.repository(name),
        };
        let repository = repository.map_err(refused)?;
        let body = RepositoryProperties {
            registry: &call.login_server,
            image_name: name,
            created_time: repository.created.to_string(),
            last_update_time: repository.updated.to_string(),
            manifest_count: repository.manifests.len(),
            tag_count: repository.tags.len(),
            changeable_attributes: repository.locks.into(),
        };
        Ok(Answer::json(StatusCode::OK, &body))
    }

    pub(crate) fn tags(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        let page = self.page(call)?;
        let digest = call.get("digest").filter(|_| !self.options().unknowns.ignores_digest_filter);
        let at = self.listed_at(call);
        let mut state = self.lock();
        if let Ok(repository) = state.world.repository_mut(name) {
            repository.prepare_tags(page.order);
        }
        let repository = state.world.repository_at(name, at).map_err(|refusal| Answer::refused(&refusal, name))?;
        let (found, more, cursor) = self.tags_on(&page, repository, digest.and_then(|digest| digest.parse().ok()));
        let items: Vec<TagItem<'_>> =
            found.into_iter().map(|(name, tag)| TagItem::new(name, tag, repository.quarantine_of(tag.digest))).collect();
        let tags = match self.options().unknowns.no_tags {
            NoTags::Null if items.is_empty() => Some(None),
            NoTags::Absent if items.is_empty() => None,
            NoTags::Null | NoTags::Empty | NoTags::Absent => Some(Some(items)),
        };
        let body = TagList { registry: &call.login_server, image_name: name, tags };
        Ok(linked(Answer::json(StatusCode::OK, &body), call, &page, more, cursor))
    }

    /// The names of the tags of a repository, as `/v2` lists them.
    pub(crate) fn tag_names(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        let page = self.page(call)?.in_name_order();
        let at = self.listed_at(call);
        let state = self.lock();
        let repository = state.world.repository_at(name, at).map_err(|refusal| Answer::refused(&refusal, name))?;
        let (found, more, cursor) = self.tags_on(&page, repository, None);
        let tags: Vec<&str> = found.into_iter().map(|(name, _)| name).collect();
        Ok(linked(Answer::json(StatusCode::OK, &json!({"name": name, "tags": tags})), call, &page, more, cursor))
    }

    /// The tags on a page, whether there are more, and the cursor to them.
    fn tags_on<'a>(
        &self,
        page: &Page,
        repository: &'a Repository,
        digest: Option<Digest>,
    ) -> (Vec<(&'a str, &'a Tag)>, bool, Option<String>) {
        let wanted = |tag: &Tag| digest.is_none_or(|digest| tag.digest == digest) && !self.hides(tag.locks);
        if page.order != Order::Name {
            let read_name = |name: &str| Some(Arc::from(name));
            let indexed = repository.tag_times().cut(page, read_name, |name| repository.tags.get(name).is_some_and(wanted));
            let cut = indexed.unwrap_or_else(|| {
                let items = repository.tags.iter().filter(|(_, tag)| wanted(tag)).map(|(name, tag)| (tag.updated, Arc::clone(name)));
                page.cut_by_time(items, read_name)
            });
            let cursor = cut.items.last().map(|(key, name)| paging::time_cursor(*key, name));
            let found = cut.items.iter().filter_map(|(_, name)| repository.tags.get_key_value(name)).map(|(name, tag)| (&**name, tag));
            return (found.collect(), cut.more, cursor);
        }
        let listed = after(&repository.tags, page.last.as_deref(), self.options().listing);
        let Cut { items, more } = page.cut(listed.filter(|(_, tag)| wanted(tag)));
        let cursor = items.last().map(|(name, _)| name.to_string());
        (items.into_iter().map(|(name, tag)| (&**name, tag)).collect(), more, cursor)
    }

    pub(crate) fn tag(&self, call: &Call, name: &str, tag: &str) -> Result<Answer, Answer> {
        let refused = |refusal| Answer::refused(&refusal, name);
        let unknown = |_| refused(Refusal::TagUnknown);
        let (laws, at) = (self.laws(), self.seen_at(call));
        let mut state = self.lock();
        if call.method == Method::DELETE {
            let digest = state.world.untag(name, tag, laws).map_err(refused)?;
            return Ok(Answer::empty(StatusCode::ACCEPTED).with(INT_DIGEST, &digest.to_string()));
        }
        if let Some(patch) = patch(call)? {
            let found = state.world.repository_mut(name).map_err(unknown)?.tags.get_mut(tag);
            patch.apply(&mut found.ok_or_else(|| refused(Refusal::TagUnknown))?.locks);
        }
        let at = if call.method == Method::GET { at } else { Timestamp::MAX };
        let repository = state.world.repository_at(name, at).map_err(unknown)?;
        let found = *repository.tags.get(tag).ok_or_else(|| refused(Refusal::TagUnknown))?;
        let item = TagItem::new(tag, &found, repository.quarantine_of(found.digest));
        let body = TagProperties { registry: &call.login_server, image_name: name, tag: item };
        Ok(Answer::json(StatusCode::OK, &body))
    }

    pub(crate) fn manifests(&self, call: &Call, name: &str) -> Result<Answer, Answer> {
        let page = self.page(call)?;
        let at = self.listed_at(call);
        let mut state = self.lock();
        if let Ok(repository) = state.world.repository_mut(name) {
            repository.prepare_manifests(page.order);
        }
        let repository = state.world.repository_at(name, at).map_err(|refusal| Answer::refused(&refusal, name))?;
        let (found, more, cursor) = self.manifests_on(&page, repository);
        let items = found.into_iter().map(|(digest, manifest)| self.item(repository, digest, manifest));
        let body = ManifestList { registry: &call.login_server, image_name: name, manifests: items.collect() };
        Ok(linked(Answer::json(StatusCode::OK, &body), call, &page, more, cursor))
    }

    fn manifests_on<'a>(&self, page: &Page, repository: &'a Repository) -> (Vec<(Digest, &'a Manifest)>, bool, Option<String>) {
        let wanted = |manifest: &Manifest| !self.hides(manifest.locks);
        if page.order != Order::Name {
            let read_name = |name: &str| name.parse().ok();
            let indexed = repository.manifest_times().cut(page, read_name, |digest| repository.manifests.get(digest).is_some_and(wanted));
            let cut = indexed.unwrap_or_else(|| {
                let items = repository.manifests.iter().filter(|(_, manifest)| wanted(manifest));
                page.cut_by_time(items.map(|(digest, manifest)| (manifest.pushed, *digest)), read_name)
            });
            let cursor = cut.items.last().map(|(key, digest)| paging::time_cursor(*key, &digest.to_string()));
            let found = cut.items.iter().filter_map(|(_, digest)| repository.manifests.get_key_value(digest));
            return (found.map(|(digest, manifest)| (*digest, manifest)).collect(), cut.more, cursor);
        }
        // Only what this registry issued is a cursor; anything else begins again.
        let last: Option<Digest> = page.last.as_deref().and_then(|last| last.parse().ok());
        let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
        let Cut { items, more } = match self.options().listing {
            Listing::Ascending => page.cut(repository.manifests.range((bound, Bound::Unbounded)).filter(|(_, manifest)| wanted(manifest))),
            Listing::Descending => {
                page.cut(repository.manifests.range((Bound::Unbounded, bound)).rev().filter(|(_, manifest)| wanted(manifest)))
            }
        };
        let cursor = items.last().map(|(digest, _)| digest.to_string());
        (items.into_iter().map(|(digest, manifest)| (*digest, manifest)).collect(), more, cursor)
    }

    pub(crate) fn manifest_properties(&self, call: &Call, name: &str, digest: Digest) -> Result<Answer, Answer> {
        let unknown = |_| Answer::refused(&Refusal::ManifestUnknown, name);
        let patch = patch(call)?;
        let at = if call.method == Method::GET { self.seen_at(call) } else { Timestamp::MAX };
        let mut state = self.lock();
        if let Some(patch) = patch {
            let repository = state.world.repository_mut(name).map_err(unknown)?;
            repository.live_manifest(digest).map_err(unknown)?;
            if let Some(manifest) = repository.manifests.get_mut(&digest) {
                patch.apply(&mut manifest.locks);
            }
        }
        let repository = state.world.repository_at(name, at).map_err(unknown)?;
        let manifest = repository.live_manifest(digest).map_err(unknown)?;
        let has_references = !self.options().unknowns.docker_references_only || manifest.kind.media_type != OCI_INDEX;
        let document = content::document(&manifest.body.bytes()).filter(|_| has_references);
        let references = document.and_then(|document| document.manifests).map(|children| {
            let reference = |child: content::Descriptor| {
                let (architecture, os) = child.platform.map_or((None, None), |platform| (platform.architecture, platform.os));
                Reference { digest: child.digest, architecture, os }
            };
            children.into_iter().map(reference).collect()
        });
        let item = ManifestItem { references, ..self.item(repository, digest, manifest) };
        Ok(Answer::json(StatusCode::OK, &ManifestProperties { registry: &call.login_server, image_name: name, manifest: item }))
    }

    /// What kind of artifact it is, where lists tell that.
    fn artifact_type(&self, manifest: &Manifest) -> Option<String> {
        let bytes = self.options().unknowns.lists_artifact_type.then(|| manifest.body.bytes())?;
        content::document(&bytes)?.artifact_type
    }

    fn item<'a>(&self, repository: &'a Repository, digest: Digest, manifest: &'a Manifest) -> ManifestItem<'a> {
        let time = manifest.pushed.to_string();
        let kind = &manifest.kind;
        ManifestItem {
            digest,
            image_size: manifest.image_size_bytes,
            created_time: time.clone(),
            last_update_time: time,
            architecture: kind.architecture.as_deref(),
            os: kind.os.as_deref(),
            media_type: &kind.media_type,
            config_media_type: kind.config_media_type.as_deref(),
            artifact_type: self.artifact_type(manifest),
            tags: repository.tags_of(digest).take(self.options().tags_shown_max).map(|tag| &**tag).collect(),
            changeable_attributes: Attributes::new(manifest.locks, manifest.quarantine),
            references: None,
        }
    }
}

/// What comes behind `last`, in the order that the registry lists in.
fn after<'a, V>(
    map: &'a BTreeMap<Arc<str>, V>,
    last: Option<&str>,
    listing: Listing,
) -> Box<dyn Iterator<Item = (&'a Arc<str>, &'a V)> + 'a> {
    let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
    match listing {
        Listing::Ascending => Box::new(map.range::<str, _>((bound, Bound::Unbounded))),
        Listing::Descending => Box::new(map.range::<str, _>((Bound::Unbounded, bound)).rev()),
    }
}

pub(crate) fn linked(answer: Answer, call: &Call, page: &Page, more: bool, cursor: Option<String>) -> Answer {
    match cursor {
        Some(cursor) if more => answer.with(LINK, &page.link(&call.path, &cursor)),
        _ => answer,
    }
}

fn repository_to_delete_unknown(name: &str) -> Answer {
    let detail = json!({"name": name});
    Answer::error_with(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry", detail)
}

/// The flags that a PATCH changes; `None` for the other methods.
fn patch(call: &Call) -> Result<Option<Patch>, Answer> {
    if call.method != Method::PATCH {
        return Ok(None);
    }
    let invalid = |_| Answer::error(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "the request body is not valid");
    serde_json::from_slice(&call.body).map(Some).map_err(invalid)
}
